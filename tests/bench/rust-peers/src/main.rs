//! The driver for other Rust clients: `driver rust-opendal|rust-object_store WORKLOAD name=value...`.
//!
//! Each way is a thread that drives its own runtime, which is fastest; opendal, whose operators share one pool
//! of connections, has one runtime with two threads instead where there are several ways.

#[path = "../../rust/src/arguments.rs"]
mod arguments;
#[path = "../../rust/src/measure.rs"]
mod measure;

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use arguments::Arguments;
use bytes::Bytes;
use measure::{Until, measure};
use nix::sys::resource::UsageWho;
use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, WriteMultipart};
use opendal::{Operator, services::Oss};
use tokio::runtime::{Builder, Runtime};

const KEY_ID: &str = "LTAI5tExampleKeyId0001";
const SECRET: &str = "ExampleSecretKey/for+tests=0001";
const BUCKET: &str = "examplebucket";

fn main() {
    let outcome = Arguments::read().and_then(|given| match given.workload.as_str() {
        "put" => puts(&given),
        "put-file" | "multipart" => file(&given),
        other => Err(format!("there is no workload `{other}`")),
    });
    if let Err(message) = outcome {
        eprintln!("bench-rust-peers: {message}");
        std::process::exit(1);
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[derive(Clone)]
enum Peer {
    Opendal(Operator),
    ObjectStore(Arc<dyn ObjectStore>),
}

impl Peer {
    fn new(given: &Arguments) -> Result<Peer, String> {
        let endpoint = given.text("endpoint")?;
        if given.who == "rust-opendal" {
            let service = Oss::default()
                .bucket(BUCKET)
                .endpoint(endpoint)
                .access_key_id(KEY_ID)
                .access_key_secret(SECRET)
                .addressing_style("path");
            return Ok(Peer::Opendal(Operator::new(service).map_err(said)?));
        }
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_allow_invalid_certificates(given.find("ca").is_some());
        let store = AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_endpoint(endpoint)
            .with_region("us-east-1")
            .with_access_key_id(KEY_ID)
            .with_secret_access_key(SECRET)
            .with_unsigned_payload(true)
            .with_client_options(options)
            .build()
            .map_err(said)?;
        Ok(Peer::ObjectStore(Arc::new(store)))
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), String> {
        match self {
            Peer::Opendal(operator) => operator.write(key, data).await.map(drop).map_err(said),
            Peer::ObjectStore(store) => store.put(&key.into(), data.into()).await.map(drop).map_err(said),
        }
    }

    async fn multipart(&self, path: &str, part: usize, ways: usize) -> Result<(), String> {
        let mut source = File::open(path).map_err(said)?;
        let mut next = || -> Result<Option<Bytes>, String> {
            let mut piece = Vec::with_capacity(part);
            let read = (&mut source).take(part as u64).read_to_end(&mut piece).map_err(said)?;
            Ok((read > 0).then(|| piece.into()))
        };
        match self {
            Peer::Opendal(operator) => {
                let mut writer =
                    operator.writer_with("k").chunk(part).concurrent(ways).await.map_err(said)?;
                while let Some(piece) = next()? {
                    writer.write(piece).await.map_err(said)?;
                }
                writer.close().await.map(drop).map_err(said)
            }
            Peer::ObjectStore(store) => {
                let upload = store.put_multipart(&"k".into()).await.map_err(said)?;
                let mut writer = WriteMultipart::new_with_chunk_size(upload, part);
                while let Some(piece) = next()? {
                    writer.wait_for_capacity(ways).await.map_err(said)?;
                    writer.put(piece);
                }
                writer.finish().await.map(drop).map_err(said)
            }
        }
    }
}

fn runtime() -> Result<Runtime, String> {
    Builder::new_current_thread().enable_all().build().map_err(said)
}

fn puts(given: &Arguments) -> Result<(), String> {
    let data = Bytes::from(vec![0x5a; given.number("size", 4096)?]);
    let ways: u64 = given.number("ways", 1)?;
    if ways > 1 && given.who == "rust-opendal" {
        return puts_together(given, data, ways);
    }
    // A connection belongs to the runtime in which it was opened.
    let workers: Vec<(Runtime, Peer)> =
        (0..ways).map(|_| Ok((runtime()?, Peer::new(given)?))).collect::<Result<_, String>>()?;
    let all = |until: Until| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = workers
                .iter()
                .enumerate()
                .map(|(number, (runtime, peer))| {
                    let data = &data;
                    scope.spawn(move || {
                        let (mut i, mut failed) = (0, None);
                        let done = until.shared(ways).run(1, || {
                            i += 1;
                            let key = format!("k/{number}-{i}");
                            failed = failed.take().or(runtime.block_on(peer.put(&key, data.clone())).err());
                        });
                        failed.map_or(Ok(done), Err)
                    })
                })
                .collect();
            let joined = threads.into_iter().map(|t| t.join().map_err(|_| "a worker panicked")?);
            joined.sum::<Result<u64, String>>()
        })
    };
    all(Until::warm(given, ways * 20)?)?;
    let until = Until::of(given)?;
    measure(UsageWho::RUSAGE_SELF, || all(until).map(|ops| (ops, ops * data.len() as u64)))
}

fn puts_together(given: &Arguments, data: Bytes, ways: u64) -> Result<(), String> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(said)?;
    let peer = Peer::new(given)?;
    let all = |until: Until| {
        let start = Instant::now();
        let tasks: Vec<_> = (0..ways)
            .map(|number| {
                let (peer, data) = (peer.clone(), data.clone());
                runtime.spawn(async move {
                    let mut done = 0;
                    while match until.shared(ways) {
                        Until::Operations(n) => done < n,
                        Until::Elapsed(limit) => start.elapsed() < limit,
                    } {
                        peer.put(&format!("k/{number}-{done}"), data.clone()).await?;
                        done += 1;
                    }
                    Ok::<u64, String>(done)
                })
            })
            .collect();
        tasks.into_iter().map(|task| runtime.block_on(task).map_err(said)?).sum::<Result<u64, String>>()
    };
    all(Until::warm(given, ways * 20)?)?;
    let until = Until::of(given)?;
    measure(UsageWho::RUSAGE_SELF, || all(until).map(|ops| (ops, ops * data.len() as u64)))
}

fn file(given: &Arguments) -> Result<(), String> {
    let path = given.text("file")?;
    let length = std::fs::metadata(path).map_err(said)?.len();
    let (part, ways) = (given.number("part", 8 << 20)?, given.number("ways", 4)?);
    let peer = Peer::new(given)?;
    let single = given.workload == "put-file";
    // Neither reads files. For a single PUT the caller has it all in memory already: reading is not counted.
    let data = if single { Bytes::from(std::fs::read(path).map_err(said)?) } else { Bytes::new() };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(said)?;
    runtime.block_on(peer.put("warm", Bytes::from_static(b"x")))?;
    measure(UsageWho::RUSAGE_SELF, || {
        runtime.block_on(async {
            if single { peer.put("k", data.clone()).await } else { peer.multipart(path, part, ways).await }
        })?;
        Ok((1, length))
    })
}

//! The driver for Rust: `rust` is the blocking client, `rust-start` the same client driven by its background
//! threads, `raw` a socket without any client. And `exec` measures another program.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use nix::sys::resource::UsageWho;
use oss_callback::receive::CallbackVerifier;
use oss_callback::sign::SignRequest;
use oss_callback::{
    Addressing, Body, Callback, Client, Credentials, Endpoint, PutRequest, Signer, UploadOptions, checksum,
};
use oss_callback_bench::arguments::Arguments;
use oss_callback_bench::measure::{Until, measure, measure_fastest};

const BUCKET: &str = "examplebucket";
const KEY_ID: &str = "LTAI5tExampleKeyId0001";
const SECRET: &str = "ExampleSecretKey/for+tests=0001";

fn main() {
    let outcome = Arguments::read().and_then(|arguments| match arguments.who.as_str() {
        "exec" => exec(&arguments),
        "raw" => raw(&arguments),
        _ => ours(&arguments),
    });
    if let Err(message) = outcome {
        eprintln!("bench-rust: {message}");
        std::process::exit(1);
    }
}

fn ours(arguments: &Arguments) -> Result<(), String> {
    match arguments.workload.as_str() {
        "put" if arguments.who == "rust-start" => puts_started(arguments),
        "put" => puts(arguments),
        "put-file" | "multipart" | "stream" => file(arguments),
        other => cpu(arguments, other),
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn client(arguments: &Arguments) -> Result<Client, String> {
    let mut builder = Client::builder()
        .endpoint(arguments.text("endpoint")?)
        .region("cn-hangzhou")
        .proxy("none")
        .access_key_id(arguments.find("key_id").unwrap_or(KEY_ID))
        .access_key_secret(arguments.find("secret").unwrap_or(SECRET));
    if let Some(ca) = arguments.find("ca") {
        builder = builder.ca_certificates(std::fs::read_to_string(ca).map_err(said)?);
    }
    builder.build().map_err(said)
}

fn callback(arguments: &Arguments) -> Result<Callback, String> {
    let url = arguments.find("callback").unwrap_or("http://app.example.com/oss/cb");
    Callback::builder(url).var("uid", "12345").build().map_err(said)
}

fn puts(arguments: &Arguments) -> Result<(), String> {
    let (client, callback) = (client(arguments)?, callback(arguments)?);
    let bucket = arguments.find("bucket").unwrap_or(BUCKET);
    let data = Bytes::from(vec![0x5a; arguments.number("size", 4096)?]);
    let ways: u64 = arguments.number("ways", 1)?;
    let put = |i: u64| {
        client.put_object_with_callback(bucket, &format!("k/{i}"), data.clone(), &callback).map_err(said)
    };
    let all = |until: Until| {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..ways)
                .map(|worker| {
                    let put = &put;
                    scope.spawn(move || {
                        let (mut i, mut failed) = (worker << 32, None);
                        let done = until.shared(ways).run(1, || {
                            i += 1;
                            failed = failed.take().or(put(i).err());
                        });
                        failed.map_or(Ok(done), Err)
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|w| w.join().map_err(|_| "a worker panicked")?)
                .sum::<Result<u64, String>>()
        })
    };
    let until = Until::of(arguments)?;
    if arguments.number("warm", 1)? > 0 {
        all(Until::warm(arguments, ways * 20)?)?;
    }
    measure(UsageWho::RUSAGE_SELF, || all(until).map(|ops| (ops, ops * data.len() as u64)))
}

/// As callers with an event loop do it: each answer starts the next upload, from one thread.
fn puts_started(arguments: &Arguments) -> Result<(), String> {
    let (client, callback) = (client(arguments)?, callback(arguments)?);
    let data = Bytes::from(vec![0x5a; arguments.number("size", 4096)?]);
    let ways: u64 = arguments.number("ways", 1)?;
    let (sender, ended) = mpsc::channel();
    let start = |i: u64| {
        let sender = sender.clone();
        let request = PutRequest::new(BUCKET, format!("k/{i}"), data.clone(), &callback);
        client.start(request, move |outcome| drop(sender.send(outcome.map(drop).map_err(said))));
    };
    let all = |until: Until| {
        (0..ways).for_each(start);
        let mut failed = Ok(());
        let done = until.run(1, || {
            let ended = ended.recv().map_err(said).and_then(|outcome| outcome);
            failed = std::mem::replace(&mut failed, Ok(())).and(ended);
            start(0);
        });
        for _ in 0..ways {
            ended.recv().map_err(said)??;
        }
        failed.map(|()| done + ways)
    };
    // 256 at once, once: what counts is when the last is done.
    let once = arguments.number("once", 0)? > 0;
    if !once {
        all(Until::warm(arguments, ways * 20)?)?;
    }
    let until = if once { Until::Operations(0) } else { Until::of(arguments)? };
    measure(UsageWho::RUSAGE_SELF, || all(until).map(|ops| (ops, ops * data.len() as u64)))
}

fn file(arguments: &Arguments) -> Result<(), String> {
    let (client, callback) = (client(arguments)?, callback(arguments)?);
    let path = PathBuf::from(arguments.text("file")?);
    let length = std::fs::metadata(&path).map_err(said)?.len();
    let options = UploadOptions::default()
        .part_size(arguments.number("part", 8 << 20)?)
        .parallel(arguments.number("ways", 4)?)
        .threshold(0);
    client.put_object_with_callback(BUCKET, "warm", &b"x"[..], &callback).map_err(said)?;
    measure(UsageWho::RUSAGE_SELF, || {
        match arguments.workload.as_str() {
            "multipart" if arguments.find("source") == Some("stream") => {
                let stream = Body::reader(File::open(path).map_err(said)?, None);
                client.upload_file_with_callback(BUCKET, "k", stream, &callback, &options)
            }
            "multipart" => client.upload_file_with_callback(BUCKET, "k", path, &callback, &options),
            "stream" => {
                let stream = Body::reader(File::open(path).map_err(said)?, None);
                client.put_object_with_callback(BUCKET, "k", stream, &callback)
            }
            _ => client.put_object_with_callback(BUCKET, "k", path, &callback),
        }
        .map_err(said)?;
        Ok((1, length))
    })
}

fn request(callback: &Callback) -> SignRequest {
    SignRequest {
        method: "PUT".to_owned(),
        bucket: Some(BUCKET.to_owned()),
        key: Some("exampledir/exampleobject.txt".to_owned()),
        query: Vec::new(),
        headers: vec![
            ("content-type".to_owned(), "text/plain".to_owned()),
            ("x-oss-callback".to_owned(), callback.encoded().to_owned()),
            ("x-oss-callback-var".to_owned(), callback.encoded_vars().unwrap_or_default().to_owned()),
        ],
        additional_headers: Vec::new(),
    }
}

/// Work that needs no server.
fn cpu(arguments: &Arguments, workload: &str) -> Result<(), String> {
    let credentials = Credentials::new(KEY_ID, SECRET).map_err(said)?;
    let request = request(&callback(arguments)?);
    let v4 = Signer::v4(credentials.clone(), "cn-hangzhou").map_err(said)?;
    let v1 = Signer::v1(credentials);
    let data = vec![0x5a; arguments.number("size", 4096)?];
    let (until, now) = (Until::of(arguments)?, SystemTime::now());
    let verifier = CallbackVerifier::builder().build().map_err(said)?;
    let mut failed = None;
    let mut operation: Box<dyn FnMut() -> Result<(), oss_callback::Error>> = match workload {
        "sign-v4" => Box::new(|| v4.sign(&request, now).map(drop)),
        "sign-v1" => Box::new(|| v1.sign(&request, now).map(drop)),
        "presign" => {
            let endpoint = Endpoint::parse("https://oss-cn-hangzhou.aliyuncs.com").map_err(said)?;
            let hour = Duration::from_secs(3600);
            let (v4, request) = (&v4, &request);
            Box::new(move || v4.presign(request, &endpoint, Addressing::Auto, hour, now).map(drop))
        }
        "encode" => Box::new(|| {
            let built = Callback::builder("https://app.example.com/cb").var("order", "42").build();
            built.map(|callback| drop(std::hint::black_box(callback)))
        }),
        "verify" => Box::new(|| verify(&verifier)),
        "crc64" => Box::new(|| {
            std::hint::black_box(checksum::crc64(std::hint::black_box(&data)));
            Ok(())
        }),
        "combine" => Box::new(|| {
            std::hint::black_box(checksum::combine(std::hint::black_box(0x1234_5678_9abc_def0), 42, 8 << 20));
            Ok(())
        }),
        other => return Err(format!("there is no workload `{other}`")),
    };
    let mut run = |until: Until| until.run(16, || failed = failed.take().or(operation().err()));
    run(Until::Operations(64));
    measure(UsageWho::RUSAGE_SELF, || {
        let ops = run(until);
        Ok((ops, if workload == "crc64" { ops * data.len() as u64 } else { 0 }))
    })?;
    failed.map_or(Ok(()), |error| Err(said(error)))
}

/// The example of OSS's Callback page, which its own 512-bit key signed.
fn verify(verifier: &CallbackVerifier) -> Result<(), oss_callback::Error> {
    let headers = [
        ("host", "121.43.113.8"),
        ("content-type", "application/x-www-form-urlencoded"),
        (
            "authorization",
            "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==",
        ),
        ("x-oss-pub-key-url", "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ=="),
    ];
    verifier.verify("POST", "/index.php?id=1&index=2", headers, b"bucket=yonghu-test").map(drop)
}

/// The limit: requests made beforehand, written to a socket, and answers read into a buffer. Files by
/// sendfile, which nothing that sums or encrypts can use.
fn raw(arguments: &Arguments) -> Result<(), String> {
    let address = arguments.text("endpoint")?.trim_start_matches("http://").to_owned();
    let ways: u64 = arguments.number("ways", 1)?;
    let head = |key: &str, length: u64| -> Result<String, String> {
        let callback = callback(arguments)?;
        Ok(format!(
            "PUT /{BUCKET}/{key} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\
             content-type: application/octet-stream\r\nx-oss-date: 20261122T120000Z\r\n\
             x-oss-content-sha256: UNSIGNED-PAYLOAD\r\nx-oss-callback: {}\r\nx-oss-callback-var: {}\r\n\
             authorization: {:0>200}\r\n\r\n",
            callback.encoded(),
            callback.encoded_vars().unwrap_or_default(),
            0
        ))
    };
    if arguments.workload == "put-file" {
        return raw_file(arguments, &address, head);
    }
    let data = vec![0x5a; arguments.number("size", 4096)?];
    let request = [head("k/1", data.len() as u64)?.into_bytes(), data.clone()].concat();
    let all = |until: Until| {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..ways)
                .map(|_| scope.spawn(|| raw_puts(&address, &request, until.shared(ways)).map_err(said)))
                .collect();
            workers
                .into_iter()
                .map(|w| w.join().map_err(|_| "a worker panicked")?)
                .sum::<Result<u64, String>>()
        })
    };
    // With connections of its own: a count of them is to be that of the upload.
    if let warm @ Until::Elapsed(_) = Until::warm(arguments, 0)? {
        all(warm)?;
    }
    let until = Until::of(arguments)?;
    measure(UsageWho::RUSAGE_SELF, || all(until).map(|ops| (ops, ops * data.len() as u64)))
}

fn raw_puts(address: &str, request: &[u8], until: Until) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut answer, mut failed) = ([0; 4096], Ok(()));
    let done = until.run(1, || {
        let sent = stream.write_all(request).and_then(|()| match stream.read(&mut answer)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        });
        failed = std::mem::replace(&mut failed, Ok(())).and(sent);
    });
    failed.map(|()| done)
}

#[cfg(target_os = "linux")]
fn raw_file(
    arguments: &Arguments,
    address: &str,
    head: impl FnOnce(&str, u64) -> Result<String, String>,
) -> Result<(), String> {
    let file = File::open(arguments.text("file")?).map_err(said)?;
    let length = file.metadata().map_err(said)?.len();
    let mut stream = TcpStream::connect(address).map_err(said)?;
    let head = head("k", length)?;
    measure(UsageWho::RUSAGE_SELF, || {
        stream.write_all(head.as_bytes()).map_err(said)?;
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left.min(1 << 20)).unwrap_or(1 << 20);
            match nix::sys::sendfile::sendfile(&stream, &file, None, most).map_err(said)? {
                0 => return Err("the file has become shorter".to_owned()),
                sent => left -= sent as u64,
            }
        }
        stream.read(&mut [0; 4096]).map_err(said)?;
        Ok((1, length))
    })
}

#[cfg(not(target_os = "linux"))]
fn raw_file(
    _: &Arguments,
    _: &str,
    _: impl FnOnce(&str, u64) -> Result<String, String>,
) -> Result<(), String> {
    Err("sendfile is measured on Linux only".to_owned())
}

/// Another program from its start to its end: `exec PROGRAM 1=… 2=… bytes=… n=…`.
fn exec(arguments: &Arguments) -> Result<(), String> {
    let words: Vec<&str> = (1..).map_while(|i: u32| arguments.find(&i.to_string())).collect();
    let times = arguments.number("n", 1_u64)?;
    let run = || {
        let mut command = Command::new(&arguments.workload);
        command.args(&words).stdout(Stdio::null());
        if let Some(path) = arguments.find("stdin") {
            command.stdin(File::open(path).map_err(said)?);
        }
        let status = command.status().map_err(|e| format!("{}: {e}", arguments.workload))?;
        if status.success() { Ok(()) } else { Err(format!("{}: {status}", arguments.workload)) }
    };
    if arguments.number("warm", 0)? > 0 {
        run()?;
    }
    let bytes = arguments.number("bytes", 0)?;
    measure_fastest(UsageWho::RUSAGE_CHILDREN, times, run, bytes)
}

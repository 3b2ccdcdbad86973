//! Every fault against every request that matters: what the client says must be what the servers know, the
//! object is whole or absent, and no callback is made twice. `tests/faults.md` says what comes of each; this
//! test fills the table in anew and compares. `OSS_CALLBACK_FAULTS=write` writes it.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use oss_callback::{CallbackReply, Client, Error, ErrorKind, UploadOptions};
use oss_callback_emulator::Operation;
use oss_callback_tests::http::Server;
use oss_callback_tests::rig::{BUCKET, KEY, Rig};

const OPERATIONS: [Operation; 3] =
    [Operation::PutObject, Operation::UploadPart, Operation::CompleteMultipartUpload];
const PART: u64 = 102_400;
const PARTS: usize = 5;

/// One of each that a line, a gateway or OSS can commit.
const FAULTS: &[&str] = &[
    "refuse",
    "reset",
    "reset request=50",
    "close request=50",
    "close request=all",
    "reset answer=0",
    "close answer=0",
    "close answer=40",
    "truncate",
    "oversize bytes=9000000",
    "delay seconds=0.3",
    "drip bytes=50 seconds=0.02",
    "stall seconds=2",
    "stall seconds=2 done=yes",
    "error status=500 code=InternalError",
    "error status=500 code=InternalError done=yes",
    "error status=503 code=SlowDown",
    "error status=429 code=TooManyRequests",
    "error status=400 code=RequestTimeout",
    "error status=403 code=AccessDenied",
    "gateway",
    "gateway done=yes",
    "redirect",
    "crc",
    "etag",
    "skew seconds=3600 times=always",
    "skew seconds=-3600 times=always",
    "callback cause=too-many",
    "callback cause=too-slow",
    "callback cause=connect-timeout",
    "callback cause=unreachable",
    "callback cause=tls",
    "callback cause=status-502",
    "callback cause=length-missing",
    "callback cause=length-invalid",
    "callback cause=length-too-long",
    "callback cause=not-json",
    "callback cause=image-info",
];

const HEAD: &str = "# What comes of a fault

Filled in by `tests/rust/tests/all/faults.rs`, which fails when anything here is no longer so. The first column is the
fault as `oss-callback serve --faults` takes it; it meets the first request of the kind that the column names, of an
upload with default options. A cell says how the call ends (`ok`, or the kind of its error), whether the object is stored
(always whole) and how often the request was sent and the application server called. No upload leaves parts behind.

| fault | PutObject | UploadPart | CompleteMultipartUpload |
|---|---|---|---|
";

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251 + n / 4096) as u8).collect()
}

fn send(rig: &Rig, client: &Client, operation: Operation, data: Vec<u8>) -> Result<CallbackReply, Error> {
    let callback = rig.callback();
    if operation == Operation::PutObject {
        return client.put_object_with_callback(BUCKET, KEY, data, &callback);
    }
    let options = UploadOptions::default().threshold(0).part_size(PART).parallel(2);
    client.upload_file_with_callback(BUCKET, KEY, data, &callback, &options)
}

/// One cell of the table.
fn cell(fault: &str, operation: Operation) -> String {
    let length = if operation == Operation::PutObject { 300_000 } else { PARTS * PART as usize - 7 };
    let data = data(length);
    let rig = Rig::start();
    // A connection is refused, whatever it is for; the others wait for their request.
    let selector = if fault == "refuse" { String::new() } else { format!(" on={operation}") };
    let client = rig.client();
    rig.fault(&format!("{fault}{selector}"));
    let outcome = send(&rig, &client, operation, data.clone());
    let place = format!("{fault} of {operation}");
    let stored = rig.holds(&data);
    let told = match &outcome {
        Ok(reply) => {
            assert!(stored && reply.text() == r#"{"Status":"OK"}"#, "{place}: {}", reply.text());
            "ok".to_owned()
        }
        Err(error) => {
            assert!(!error.stored() || stored, "{place} claims too much: {error}");
            error.kind().name().to_owned()
        }
    };
    let callbacks = rig.callbacks();
    assert!(callbacks <= 1, "{place}: {callbacks} callbacks");
    assert_eq!(rig.uploads_left(), 0, "{place} leaves parts behind");
    let usual = if operation == Operation::UploadPart { PARTS } else { 1 };
    // The fault has counted what arrived for it, answered or not; refused connections bring no request.
    let arrived = rig.emulator.faults()[0].seen as usize;
    let requests = if fault == "refuse" { rig.count(operation) } else { arrived };
    let requests = if requests > usual { "again" } else { "once" };
    let stored = if stored { "stored" } else { "absent" };
    let calls = if callbacks == 1 { "called" } else { "not called" };
    format!("{told}, {stored}, sent {requests}, {calls}")
}

fn table() -> String {
    let mut table = HEAD.to_owned();
    for faults in FAULTS.chunks(4) {
        let rows: Vec<_> = std::thread::scope(|scope| {
            let cells = |fault| OPERATIONS.map(|operation| scope.spawn(move || cell(fault, operation)));
            let running: Vec<_> = faults.iter().map(|fault| (fault, cells(*fault))).collect();
            let row = |cells: [std::thread::ScopedJoinHandle<'_, String>; 3]| {
                cells.map(|cell| cell.join().unwrap())
            };
            running.into_iter().map(|(fault, cells)| (fault, row(cells))).collect()
        });
        for (fault, cells) in rows {
            writeln!(table, "| `{fault}` | {} |", cells.join(" | ")).unwrap();
        }
    }
    table
}

#[test]
fn every_fault_ends_as_the_table_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../faults.md");
    let seen = table();
    if std::env::var_os("OSS_CALLBACK_FAULTS").is_some_and(|value| value == "write") {
        std::fs::write(&path, &seen).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = |(seen, known): &(&str, &str)| seen != known;
    let differences: Vec<_> = seen.lines().zip(known.lines()).filter(differing).collect();
    assert!(differences.is_empty(), "(seen, written in tests/faults.md): {differences:#?}");
    assert_eq!(seen, known, "tests/faults.md has other rows");
}

/// What is in the way of TLS is not OSS, and is told before anything is sent.
#[test]
fn a_connection_without_proper_tls_sends_nothing() {
    type Spoiler = fn(&mut std::net::TcpStream) -> std::io::Result<()>;
    let spoilers: [(&str, Spoiler); 3] = [
        ("no TLS at all", |stream| {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        }),
        ("the end in the handshake", |stream| stream.write_all(&[0x16, 0x03, 0x03, 0x00, 0x7a, 0x02])),
        ("an alert", |stream| stream.write_all(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28])),
    ];
    for (what, spoil) in spoilers {
        let (sender, receiver) = std::sync::mpsc::channel();
        let server = Server::start_raw(move |mut stream| {
            let mut hello = [0; 4096];
            let length = stream.read(&mut hello)?;
            let _ = sender.send(hello[..length].to_vec());
            spoil(&mut stream)
        })
        .unwrap();
        let client = Client::builder()
            .endpoint(format!("https://{}", server.address()))
            .region("cn-hangzhou")
            .access_key_id("id")
            .access_key_secret("verysecretindeed")
            .timeout(Duration::from_secs(5))
            .retries(1)
            .build()
            .unwrap();
        let callback = oss_callback::Callback::new("http://app.example.com/cb").unwrap();
        let error = client.put_object_with_callback(BUCKET, KEY, "Hello OSS", &callback).unwrap_err();
        assert_eq!((error.kind(), error.stored()), (ErrorKind::Network, false), "{what}: {error}");
        drop(server);
        for hello in receiver.try_iter() {
            let text = String::from_utf8_lossy(&hello);
            assert!(hello.first() == Some(&0x16), "{what}: a handshake comes first");
            assert!(!text.contains("x-oss") && !text.contains("Hello OSS"), "{what}");
        }
    }
}

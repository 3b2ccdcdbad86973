//! The HTTP side: connections, bodies that end too early, start and stop.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use oss_callback_emulator::{Emulator, Event, StartError};

use crate::client::{call, connect, exchange, read_answer};

#[test]
fn a_body_that_ends_too_early_stores_nothing() {
    let emulator = Emulator::builder().start().unwrap();
    call("PUT", "bkt", "old").body("old").send(&emulator);
    let lengths = call("PUT", "bkt", "old").header("Content-Length", "100").body("half").wire(&emulator);
    let chunked =
        call("PUT", "bkt", "old").header("Transfer-Encoding", "chunked").body("64\r\nhalf").wire(&emulator);
    for wire in [lengths, chunked] {
        let mut stream = connect(emulator.address());
        stream.write_all(&wire).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Whatever is answered, it is no success.
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while emulator.requests().len() < 3 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(emulator.requests().iter().map(|record| record.status).collect::<Vec<_>>(), [200, 400, 400]);
    assert_eq!(emulator.object("bkt", "old").unwrap().data, "old");
}

#[test]
fn chunked_bodies_are_taken_and_unmeasured_ones_are_not() {
    let emulator = Emulator::builder().start().unwrap();
    let chunked = call("PUT", "bkt", "k")
        .header("Transfer-Encoding", "chunked")
        .body("5\r\nhello\r\n3\r\n...\r\n0\r\n\r\n");
    assert_eq!(chunked.send(&emulator).status, 200);
    assert_eq!(emulator.object("bkt", "k").unwrap().data, "hello...");
    let wire = String::from_utf8(call("PUT", "bkt", "none").wire(&emulator)).unwrap();
    let unmeasured = wire.replace("Content-Length: 0\r\n", "");
    let answer = exchange(emulator.address(), unmeasured.as_bytes());
    assert_eq!(answer.verdict(), (411, "MissingContentLength".to_owned()));
    let huge =
        call("PUT", "bkt", "none").header("Content-Length", "5368709121").header("Expect", "100-continue");
    assert_eq!(huge.send(&emulator).verdict(), (400, "EntityTooLarge".to_owned()));
    assert_eq!(emulator.keys("bkt"), ["k"]);
}

#[test]
fn a_connection_serves_many_requests_even_after_an_error() {
    let emulator = Emulator::builder().start().unwrap();
    let mut stream = connect(emulator.address());
    for number in 0..3 {
        stream.write_all(&call("PUT", "bkt", &format!("{number}")).body("x").wire(&emulator)).unwrap();
        assert_eq!(read_answer(&mut stream, false).status, 200);
        stream.write_all(&call("GET", "bkt", "none").wire(&emulator)).unwrap();
        assert_eq!(read_answer(&mut stream, false).status, 404);
        // Its body is not wanted, and must not be taken for the next request.
        stream
            .write_all(
                &call("PUT", "bkt", "k").header("content-md5", "?").body(vec![b'x'; 1 << 20]).wire(&emulator),
            )
            .unwrap();
        assert_eq!(read_answer(&mut stream, false).status, 400);
    }
    assert_eq!(emulator.keys("bkt").len(), 3);
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it() {
    let emulator = Emulator::builder().start().unwrap();
    let wire = call("PUT", "bkt", "k")
        .header("Expect", "100-continue")
        .header("Content-Length", "5")
        .wire(&emulator);
    let mut stream = connect(emulator.address());
    stream.write_all(&wire).unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 200);
    assert_eq!(emulator.object("bkt", "k").unwrap().data, "hello");
}

#[test]
fn rubbish_is_refused_and_harms_nobody() {
    let emulator = Emulator::builder().start().unwrap();
    for rubbish in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET / HTTP/9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET \xff HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = connect(emulator.address());
        stream.write_all(rubbish).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{rubbish:?}");
    }
    for target in ["*", "/?%", "/bkt/%", "/bkt/k?a=%zz&=&&", "/bkt/k?uploadId"] {
        let wire = format!("GET {target} HTTP/1.1\r\nHost: \r\n\r\n");
        let status = exchange(emulator.address(), wire.as_bytes()).status;
        assert!((400..500).contains(&status), "{target}: {status}");
    }
    assert_eq!(call("PUT", "bkt", "k").send(&emulator).status, 200);
}

#[test]
fn stopping_closes_the_socket_and_idle_connections() {
    let emulator = Emulator::builder().start().unwrap();
    let address = emulator.address();
    let mut idle = connect(address);
    idle.write_all(&call("PUT", "bkt", "k").wire(&emulator)).unwrap();
    assert_eq!(read_answer(&mut idle, false).status, 200);
    let started = Instant::now();
    emulator.stop();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "closed");
    assert!(TcpStream::connect(address).is_err());
    TcpListener::bind(address).unwrap();
}

#[test]
fn a_hanging_client_does_not_keep_the_emulator_from_stopping() {
    let emulator = Emulator::builder().start().unwrap();
    let mut stream = connect(emulator.address());
    stream
        .write_all(&call("PUT", "bkt", "k").header("Content-Length", "9").body("half").wire(&emulator))
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let started = Instant::now();
    drop(emulator);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn it_starts_and_stops_within_an_async_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let emulator = Emulator::builder().start().unwrap();
        assert_eq!(call("PUT", "bkt", "k").send(&emulator).status, 200);
        drop(emulator);
    });
}

#[test]
fn watchers_hear_of_a_request_when_it_comes_and_when_it_is_answered() {
    let (sender, events) = mpsc::channel();
    let emulator =
        Emulator::builder().observer(move |event| sender.send(event.clone()).unwrap()).start().unwrap();
    let answer = call("PUT", "bkt", "a b").body("hello").send(&emulator);
    let Event::Arrived(head) = events.recv().unwrap() else { panic!("the arrival comes first") };
    assert_eq!((head.method.as_str(), head.target.as_str()), ("PUT", "/bkt/a%20b"));
    assert_eq!(Some(head.request_id.as_str()), answer.header("x-oss-request-id"));
    let Event::Answered(record) = events.recv().unwrap() else { panic!("then the answer") };
    assert_eq!((record.operation, record.status, record.received), ("PutObject", 200, 5));
    assert_eq!((record.bucket.as_deref(), record.key.as_deref()), (Some("bkt"), Some("a b")));
    call("GET", "bkt", "none").send(&emulator);
    let record = emulator.requests().pop().unwrap();
    assert_eq!(
        (record.error.unwrap().0.as_str(), record.ec.as_deref()),
        ("NoSuchKey", Some("0026-00000001"))
    );
    emulator.clear_log();
    assert!(emulator.requests().is_empty());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |builder: oss_callback_emulator::Builder| builder.start().unwrap_err();
    assert!(matches!(
        refused(Emulator::builder().region("oss-cn-hangzhou")),
        StartError::Invalid { setting: "region", .. }
    ));
    assert!(matches!(
        refused(Emulator::builder().cname("a.b", "X")),
        StartError::Invalid { setting: "cname", .. }
    ));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = refused(Emulator::builder().port(port));
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("mine"), "x").unwrap();
    assert!(matches!(refused(Emulator::builder().data_dir(directory.path())), StartError::DataDir { .. }));
}

#[test]
fn the_key_of_the_callbacks_is_served_to_everybody() {
    let emulator = Emulator::builder().start().unwrap();
    let path = emulator.public_key_url().replace(&emulator.endpoint(), "");
    let wire = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", emulator.address());
    let answer = exchange(emulator.address(), wire.as_bytes());
    assert_eq!((answer.status, answer.text().as_str()), (200, emulator.public_key_pem()));
}

//! Faults as they are seen on the wire.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use oss_callback_emulator::{Cut, Emulator, Fault, FaultAction, Operation};

use crate::client::{Answer, call, connect};

fn emulator(script: &str) -> Emulator {
    Emulator::builder().faults(Fault::parse_script(script).unwrap()).start().unwrap()
}

fn put(emulator: &Emulator, key: &str) -> Answer {
    call("PUT", "bkt", key).body(b"hello").send(emulator)
}

/// What comes back on a connection of its own until it ends, and whether that was in order.
fn raw(emulator: &Emulator, body: &[u8]) -> (Vec<u8>, bool) {
    let mut stream = connect(emulator.address());
    let call = call("PUT", "bkt", "k").body(body).header("Connection", "close");
    // A reset may come before all is sent, and is then told once.
    let sent = stream.write_all(&call.wire(emulator)).is_ok();
    let (mut seen, mut buffer) = (Vec::new(), [0; 65536]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (seen, sent),
            Ok(bytes) => seen.extend_from_slice(&buffer[..bytes]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                return (seen, false);
            }
        }
    }
}

fn stored(emulator: &Emulator) -> bool {
    emulator.object("bkt", "k").is_some()
}

#[test]
fn connections_end_where_they_shall_by_a_reset_or_in_order() {
    for (script, answered, in_order, is_stored) in [
        ("refuse", 0, false, false),
        ("reset", 0, false, false),
        ("reset request=all", 0, false, false),
        ("close request=all", 0, true, false),
        ("close answer=0", 0, true, true),
        ("reset answer=0", 0, false, true),
        ("close answer=25", 25, true, true),
    ] {
        let emulator = emulator(script);
        let (seen, ended) = raw(&emulator, b"hello");
        assert_eq!((seen.len(), ended, stored(&emulator)), (answered, in_order, is_stored), "{script}");
        assert_eq!(put(&emulator, "k").status, 200, "{script}: the next one is met well");
    }
}

#[test]
fn a_request_that_is_cut_within_its_data_stores_nothing() {
    let emulator = emulator("reset request=100000");
    let (seen, in_order) = raw(&emulator, &vec![7; 8_000_000]);
    assert_eq!((seen.len(), in_order, stored(&emulator)), (0, false, false));
    let received = emulator.requests()[0].received;
    assert!((100_000..8_000_000).contains(&received), "{received}");
}

#[test]
fn answers_are_truncated_oversized_and_dripped() {
    let script = "truncate bytes=3; oversize bytes=1000000; drip bytes=40 seconds=0.01";
    let emulator = emulator(script);
    let text = |seen: &[u8]| String::from_utf8_lossy(seen).into_owned();
    let (seen, _) = raw(&emulator, b"hello");
    let seen = text(&seen);
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 4"), "{head}");
    assert_eq!(body.len(), 3);
    let (seen, _) = raw(&emulator, b"hello");
    assert!(seen.ends_with(&[b'a'; 1_000_000]) && seen.len() < 1_001_000);
    let started = Instant::now();
    let (seen, in_order) = raw(&emulator, b"hello");
    assert!(in_order && seen.len() > 200, "{}", text(&seen));
    assert!(started.elapsed() >= Duration::from_millis(40), "{:?}", started.elapsed());
}

#[test]
fn errors_and_pages_come_with_nothing_done_or_all_done() {
    for (script, status, code, is_stored) in [
        ("error status=503 code=SlowDown", 503, "SlowDown", false),
        ("error done=yes", 500, "InternalError", true),
        ("gateway", 502, "", false),
        ("gateway status=504 done=yes", 504, "", true),
        ("redirect to=http://127.0.0.1:9/x", 307, "", false),
        ("skew", 403, "RequestTimeTooSkewed", false),
        ("skew seconds=-3600", 403, "RequestTimeTooSkewed", false),
    ] {
        let emulator = emulator(script);
        let answer = put(&emulator, "k");
        assert_eq!(answer.verdict(), (status, code.to_owned()), "{script}: {}", answer.text());
        assert_eq!(stored(&emulator), is_stored, "{script}");
        assert_eq!(answer.header("location").is_some(), status == 307);
    }
}

#[test]
fn the_clock_of_a_skewed_answer_is_told_by_its_date() {
    let emulator = emulator("skew seconds=7200");
    let date = |answer: Answer| httpdate::parse_http_date(answer.header("date").unwrap()).unwrap();
    let (skewed, right) = (date(put(&emulator, "k")), date(put(&emulator, "k")));
    let ahead = skewed.duration_since(right).unwrap().as_secs();
    assert!((7190..=7200).contains(&ahead), "{ahead}");
}

#[test]
fn checksums_can_be_wrong_and_answers_late() {
    let emulator = emulator("crc; etag; delay seconds=0.3");
    let answers = [(); 2].map(|()| put(&emulator, "k"));
    let started = Instant::now();
    let right = put(&emulator, "k");
    assert!(started.elapsed() >= Duration::from_millis(300));
    for (answer, wrong) in answers.iter().zip(["x-oss-hash-crc64ecma", "etag"]) {
        for name in ["x-oss-hash-crc64ecma", "etag"] {
            assert_eq!(answer.header(name) != right.header(name), name == wrong, "{name}");
        }
    }
}

#[test]
fn faults_meet_the_requests_that_they_are_ordered_for() {
    let emulator = Emulator::builder().start().unwrap();
    let cut = FaultAction::Error { status: 500, code: "X".into(), message: String::new(), done: false };
    emulator.inject([Fault::new(cut).on(Operation::PutObject).bucket("bk*").key("*.mp4").nth(2).times(2)]);
    let statuses = ["a.mp4", "a.txt", "b.mp4", "c.mp4", "d.mp4"].map(|key| put(&emulator, key).status);
    assert_eq!(statuses, [200, 200, 500, 500, 200]);
    let states = emulator.faults();
    assert_eq!((states[0].seen, states[0].hits), (4, 2));
    emulator.inject([Fault::new(FaultAction::Cut { at: Cut::Answer(0), reset: false }).always()]);
    emulator.clear_faults();
    assert_eq!((emulator.faults().len(), put(&emulator, "k").status), (0, 200));
}

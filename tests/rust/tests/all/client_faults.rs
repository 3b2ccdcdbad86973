//! The client against an OSS that misbehaves: every answer is judged right, nothing hangs, and no
//! error tells a secret.

use std::error::Error as _;
use std::time::{Duration, Instant};

use oss_callback::{Callback, CallbackCause, Cancel, Client, Error, ErrorKind, PutRequest, SignatureVersion};
use oss_callback_tests::faulty_oss::{self, HANG};
use oss_callback_tests::http::{ClosedPort, Server, Then, answer};

const SECRET: &str = "verysecretindeed";

fn client(endpoint: &str) -> Client {
    Client::builder()
        .endpoint(endpoint)
        .region("cn-hangzhou")
        .access_key_id("LTAI5tExampleKeyId0001")
        .access_key_secret(SECRET)
        .build()
        .unwrap()
}

fn callback() -> Callback {
    Callback::new("http://app.example.com/cb").unwrap()
}

fn put(client: &Client, key: &str) -> Result<oss_callback::CallbackReply, Error> {
    client.put_object_with_callback("examplebucket", key, b"Hello OSS", &callback())
}

fn fails(kind: &str) -> Error {
    let server = faulty_oss::start().unwrap();
    let error = put(&client(&server.url()), &format!("{kind}/a")).unwrap_err();
    let shown = format!("{error} {error:?} {:?}", error.source());
    assert!(!shown.contains(SECRET) && !shown.contains("Signature="), "{shown}");
    error
}

#[test]
fn reply_bodies_of_every_kind_come_back_byte_for_byte() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    let bodies: [(&str, &[u8]); 4] = [
        ("json", br#"{"Status":"OK"}"#),
        ("text", b"thank you"),
        ("empty", b""),
        ("binary", &[0xfe, 0x00, 0xff]),
    ];
    for (kind, body) in bodies {
        let reply = put(&client, &format!("{kind}/a")).unwrap();
        assert_eq!(reply.body(), body, "{kind}");
        assert_eq!(reply.json().is_ok(), kind == "json", "{kind}");
        assert_eq!(reply.etag(), Some("D41D8CD98F00B204E9800998ECF8427E"));
        assert_eq!(reply.crc64(), Some(oss_callback::checksum::crc64(b"Hello OSS")));
        assert_eq!(reply.version_id(), Some("CAEQ"));
        assert_eq!(reply.server_time(), Some(Duration::from_millis(7)));
    }
    assert_eq!(server.connections(), 1, "the connection is kept alive");
}

#[test]
fn a_203_is_a_failed_callback_that_says_the_object_is_stored() {
    let error = fails("failed");
    assert_eq!(error.kind(), ErrorKind::CallbackFailed);
    assert!(error.stored());
    assert_eq!(error.etag(), Some("D41D8CD98F00B204E9800998ECF8427E"));
    assert_eq!(error.crc64(), Some(oss_callback::checksum::crc64(b"Hello OSS")));
    assert_eq!(error.version_id(), Some("CAEQ"));
    assert_eq!(error.ec(), Some("0007-00000203"));
    assert_eq!((error.cause(), error.callback_status()), (Some(CallbackCause::BadStatus), Some(502)));
    assert_eq!(error.status(), Some(203));
    assert!(error.to_string().contains("stored"), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn a_203_without_a_document_is_a_failed_callback_too() {
    let error = fails("failed-bare");
    assert_eq!((error.kind(), error.cause()), (ErrorKind::CallbackFailed, Some(CallbackCause::Other)));
    assert!(error.stored());
    assert_eq!(error.request_id(), Some("6555AC0C0000000000000001"));
}

#[test]
fn another_crc_is_an_integrity_error() {
    let error = fails("wrong-crc");
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(!error.stored(), "what is stored is not what was meant");
}

#[test]
fn other_successes_are_no_success() {
    let error = fails("no-content");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Service, Some(204)));
}

#[test]
fn broken_answers_are_network_errors_that_leave_the_outcome_open() {
    for kind in ["rubbish", "truncated", "reset", "endless"] {
        let error = fails(kind);
        assert_eq!(error.kind(), ErrorKind::Network, "{kind}: {error}");
        assert!(error.hint().unwrap_or_default().contains("may or may not"), "{kind}: {error}");
    }
}

#[test]
fn redirects_are_not_followed() {
    let error = fails("redirect");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Service, Some(307)));
    assert!(error.hint().unwrap_or_default().contains("not followed"), "{error}");
}

#[test]
fn a_page_that_is_no_error_document_is_shown_in_part() {
    let error = fails("html");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Service, Some(502)));
    assert!(error.to_string().contains("Gateway"), "{error}");
    assert!(error.maybe_stored() && !error.is_retryable(), "the gateway may have lost OSS's answer");
}

#[test]
fn an_error_without_a_body_is_read_from_its_headers() {
    let error = fails("header-error");
    assert_eq!((error.status(), error.code()), (Some(403), Some("AccessDenied")));
    assert_eq!((error.message(), error.ec()), ("No & never", Some("0003-00000001")));
}

#[test]
fn a_connection_that_ended_after_the_last_answer_is_not_used_again() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    for round in 0..20 {
        put(&client, "close/a").unwrap_or_else(|error| panic!("round {round}: {error}"));
        // Until it has ended, whether to use it again is a race, and nobody's fault.
        let begun = Instant::now();
        while server.closed() <= round {
            assert!(begun.elapsed() < Duration::from_secs(10), "the connection stays open");
            std::thread::sleep(Duration::from_millis(1));
        }
        // Gives the end time to arrive.
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.connections(), 20);
}

#[test]
fn a_refused_connection_names_the_host_and_not_the_url() {
    let nobody = ClosedPort::take().unwrap();
    let address = nobody.address().to_string();
    let error = put(&client(&nobody.url()), "a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains(&address) && error.to_string().contains("refused"), "{error}");
    assert!(!error.to_string().contains("http://"), "{error}");
}

#[test]
fn an_unknown_host_is_a_network_error() {
    let error = put(&client("http://no-such-host.invalid"), "a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
}

#[test]
fn a_silent_server_is_a_timeout() {
    let server = faulty_oss::start().unwrap();
    let builders = [
        (Client::builder().timeout(Duration::from_millis(200)), "took longer"),
        (Client::builder().read_timeout(Duration::from_millis(200)), "no byte"),
    ];
    for (builder, says) in builders {
        let client = builder
            .endpoint(server.url())
            .region("cn-hangzhou")
            .access_key_id("id")
            .access_key_secret(SECRET)
            .build()
            .unwrap();
        let begun = Instant::now();
        let error = put(&client, "hang/a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(begun.elapsed() < HANG / 2, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_slow_but_living_upload_is_no_idle_timeout() {
    // 32 MiB at 10 MiB a second, with an idle limit of 2 s: bytes move all the time, but for those that wait in
    // the system's buffers at the end, for which it is a second at most.
    let server = Server::start_raw(|mut stream| {
        use std::io::Read;
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..32 {
            stream.read_exact(&mut buffer)?;
            std::thread::sleep(Duration::from_millis(100));
        }
        answer(&mut stream, 200, &[("ETag", "E")], b"{}")
    })
    .unwrap();
    let client = Client::builder()
        .endpoint(server.url())
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret(SECRET)
        .read_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let reply = client.put_object_with_callback("examplebucket", "a", vec![7; 32 << 20], &callback());
    assert_eq!(reply.unwrap().text(), "{}");
}

#[test]
fn cancelling_ends_a_blocking_call_and_the_client_works_on() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    let cancel = Cancel::new();
    let request = PutRequest::new("examplebucket", "hang/a", b"data", &callback()).cancel(&cancel);
    let begun = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        client.send(request).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < HANG / 10, "{:?}", begun.elapsed());
    put(&client, "json/a").unwrap();

    let already = PutRequest::new("examplebucket", "json/a", b"data", &callback()).cancel(&cancel);
    assert_eq!(client.send(already).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn an_interrupt_ends_a_blocking_call() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    let request = PutRequest::new("examplebucket", "hang/a", b"data", &callback());
    let mut asked = 0;
    let begun = Instant::now();
    let error = client
        .send_while(request, || {
            asked += 1;
            asked == 3
        })
        .unwrap_err();
    assert_eq!((error.kind(), asked), (ErrorKind::Cancelled, 3));
    assert!(begun.elapsed() < HANG / 10, "{:?}", begun.elapsed());
}

#[test]
fn started_uploads_end_with_their_outcome_even_when_the_client_is_gone() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    let (sender, receiver) = std::sync::mpsc::channel();
    for kind in ["json", "failed", "json"] {
        let sender = sender.clone();
        let request = PutRequest::new("examplebucket", format!("{kind}/a"), b"data", &callback());
        client.start(request, move |outcome| sender.send(outcome.is_ok()).unwrap());
    }
    drop(client);
    let mut outcomes: Vec<bool> = (0..3).map(|_| receiver.recv_timeout(HANG).unwrap()).collect();
    outcomes.sort();
    assert_eq!(outcomes, [false, true, true]);
}

#[test]
fn two_hundred_and_fifty_six_started_uploads_wait_side_by_side() {
    let server = Server::start(|_, stream| {
        std::thread::sleep(Duration::from_millis(500));
        answer(stream, 200, &[("ETag", "E")], b"{}")?;
        Ok(Then::KeepAlive)
    })
    .unwrap();
    let client = client(&server.url());
    let (sender, receiver) = std::sync::mpsc::channel();
    let begun = Instant::now();
    for number in 0..256 {
        let sender = sender.clone();
        let request = PutRequest::new("examplebucket", format!("{number}"), b"data", &callback());
        client.start(request, move |outcome| sender.send(outcome.map(drop)).unwrap());
    }
    for _ in 0..256 {
        receiver.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(32), "one after another would take 128 s");
}

#[test]
fn the_blocking_client_may_be_called_from_asynchronous_code() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        put(&client, "json/a").unwrap();
        drop(client);
    });
}

#[test]
fn one_client_serves_many_threads() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    put(&client, "json/a").unwrap();
                }
            });
        }
    });
    assert!(server.connections() <= 16, "{} connections", server.connections());
}

#[test]
fn what_is_not_needed_is_not_asked_for_and_what_is_missing_is_named() {
    let bare = || Client::builder().access_key_id("id").access_key_secret(SECRET);
    bare().endpoint("http://127.0.0.1:1").signature_version(SignatureVersion::V1).build().unwrap();
    bare().endpoint("oss-cn-hangzhou-internal.aliyuncs.com").build().unwrap();
    let error = bare().endpoint("https://upload.example.com").build().unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("region")));
    let error =
        bare().region("cn-beijing").endpoint("https://oss-cn-hangzhou.aliyuncs.com").build().unwrap_err();
    assert_eq!(error.field(), Some("region"));
    let error = Client::builder().region("cn-hangzhou").access_key_id("id").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
}

#[test]
fn busy_service_is_retried() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    assert_eq!(put(&client, "busy/2/a").unwrap().text(), r#"{"Status":"OK"}"#);
    let error = put(&client, "busy/9/a").unwrap_err();
    assert_eq!(
        (error.kind(), error.status(), error.code()),
        (ErrorKind::Service, Some(503), Some("SlowDown"))
    );
    assert!(error.is_retryable() && !error.stored(), "{error:?}");
}

#[test]
fn lost_answer_is_outcome_unknown() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    let error = put(&client, "lost/a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(error.stored() && !error.is_retryable());
    assert_eq!(error.etag(), Some("D41D8CD98F00B204E9800998ECF8427E"));
    assert_eq!(error.crc64(), Some(oss_callback::checksum::crc64(b"Hello OSS")));
    let source = std::io::Cursor::new(b"Hello OSS".to_vec());
    let stream = oss_callback::Body::reader(source, None);
    let error =
        client.put_object_with_callback("examplebucket", "lost/stream", stream, &callback()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
}

//! Asking OSS about a callback: what is there is confirmed, and whatever differs is told.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use oss_callback::receive::{CallbackEvent, CallbackVerifier};
use oss_callback::{
    BodyType, Callback, Cancel, Client, ErrorKind, SignatureVersion, VerificationReason as Reason,
};
use oss_callback_emulator::Emulator;
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::faulty_oss;
use oss_callback_tests::http::{Request, Server, Then};

use super::strict_example::{accept, strict};

const ALL: &str = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&crc64=${crc64}";

fn client(emulator: &Emulator, secret: &str, version: SignatureVersion) -> Client {
    Client::builder()
        .endpoint(emulator.endpoint())
        .region(emulator.region())
        .access_key_id(emulator.access_key_id())
        .access_key_secret(secret)
        .signature_version(version)
        .build()
        .unwrap()
}

fn event(body: &str) -> CallbackEvent {
    CallbackEvent::parse(body.as_bytes(), BodyType::Form, None).unwrap()
}

#[test]
fn confirm_asks_oss() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    let callback = Callback::builder(app.url("/ok")).body(ALL).build().unwrap();
    for version in SignatureVersion::ALL {
        let client = client(&emulator, emulator.access_key_secret(), *version);
        let put = |data: &'static str| {
            let reply = client.put_object_with_callback("photos", "dir/ü 1.txt", data, &callback).unwrap();
            let request = app.callbacks().pop().unwrap();
            let verifier =
                CallbackVerifier::builder().trusted_key(emulator.public_key_pem()).bucket("photos");
            let headers = request.headers.iter().map(|(name, value)| (name, value));
            let event = verifier.build().unwrap().verify("POST", &request.target, headers, &request.body);
            (event.unwrap(), reply)
        };
        let (first, reply) = put("123456789");
        let confirmed = client.confirm(&first).unwrap();
        assert_eq!((confirmed.etag.as_deref(), confirmed.size), (reply.etag(), Some(9)));
        assert_eq!(confirmed.crc64, Some(11051210869376104954));
        assert_eq!(confirmed.content_type.as_deref(), Some("text/plain"));
        assert!(confirmed.last_modified.is_some() && confirmed.request_id.is_some());

        let (second, _) = put("1234567890");
        assert!(client.confirm(&second).is_ok());
        let error = client.confirm(&first).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Verification, Some(Reason::ObjectDiffers)));
        for part in
            ["its ETag is E807F1FCF82D132F9BB018CA6738A19F, not 25F9E794", "its size is 10, not 9", "CRC-64"]
        {
            assert!(error.message().contains(part), "{error}");
        }
        assert!(error.request_id().is_some());
    }
}

#[test]
fn every_claim_is_compared_for_itself_and_a_wrong_number_is_no_match() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    let client = client(&emulator, emulator.access_key_secret(), SignatureVersion::V4);
    let callback = Callback::new(app.url("/ok")).unwrap();
    let reply = client.put_object_with_callback("b-1", "k", "123456789", &callback).unwrap();
    let etag = reply.etag().unwrap();
    for good in [format!("etag={etag}"), "size=9".to_owned(), "crc64=11051210869376104954".to_owned()] {
        assert!(client.confirm(&event(&format!("bucket=b-1&object=k&{good}"))).is_ok(), "{good}");
    }
    for wrong in ["etag=0", "etag=", "size=8", "size=", "size=nine", "size=-9", "crc64=1", "crc64="] {
        let error = client.confirm(&event(&format!("bucket=b-1&object=k&{wrong}"))).unwrap_err();
        assert_eq!(error.reason(), Some(Reason::ObjectDiffers), "{wrong}: {error}");
    }
    for (body, field) in [
        ("object=k&size=9", "event"),
        ("bucket=b-1&size=9", "event"),
        ("bucket=b-1&object=k", "event"),
        ("bucket=evil.example/x&object=k&size=9", "bucket"),
        ("bucket=b-1&object=&size=9", "key"),
    ] {
        let error = client.confirm(&event(body)).unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidArgument, Some(field)),
            "{body}: {error}"
        );
    }
    for missing in ["bucket=b-1&object=other&size=9", "bucket=nobodys&object=k&size=9"] {
        let error = client.confirm(&event(missing)).unwrap_err();
        assert_eq!((error.reason(), error.kind()), (Some(Reason::ObjectMissing), ErrorKind::Verification));
    }
}

#[test]
fn a_page_of_a_gateways_is_no_answer() {
    for status in ["404 Not Found", "200 OK"] {
        let page = move |_: &Request, stream: &mut TcpStream| {
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")?;
            Ok(Then::KeepAlive)
        };
        let server = Server::start(page).unwrap();
        let builder = Client::builder().endpoint(server.url()).region("cn-hangzhou");
        let client = builder.access_key_id("id").access_key_secret("secret").build().unwrap();
        let error = client.confirm(&event("bucket=b-1&object=k&size=9")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Service, "{status}: {error}");
    }
}

#[test]
fn a_question_that_oss_does_not_answer_confirms_nothing() {
    let emulator = Emulator::builder().start().unwrap();
    let claims = event("bucket=b-1&object=k&size=9");
    let error = client(&emulator, "wrong", SignatureVersion::V4).confirm(&claims).unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Service, Some(403)), "{error}");
    let client = client(&emulator, emulator.access_key_secret(), SignatureVersion::V4);
    emulator.stop();
    let error = client.confirm(&claims).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.hint().unwrap().contains("Nothing is known"), "{error}");
}

#[test]
fn a_question_ends_before_oss_gives_up_the_callback() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::builder()
        .endpoint(format!("http://{}", silent.local_addr().unwrap()))
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret("secret")
        .build()
        .unwrap();
    let start = Instant::now();
    let error = client.confirm(&event("bucket=examplebucket&object=a&size=1")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn callers_with_an_event_loop_are_told_of_the_outcome() {
    let emulator = Emulator::builder().start().unwrap();
    let client = client(&emulator, emulator.access_key_secret(), SignatureVersion::V4);
    let (done, outcome) = mpsc::channel();
    for body in ["bucket=b-1&object=k&size=9", "size=9"] {
        let done = done.clone();
        client.start_confirm(&event(body), move |result| done.send(result.map_err(|e| e.kind())).unwrap());
    }
    let mut kinds: Vec<_> =
        (0..2).map(|_| outcome.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err().name()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["invalid_argument", "verification"]);
    let (done, outcome) = mpsc::channel();
    let cancel = Cancel::new();
    cancel.cancel();
    client.start_confirm_until(&event("bucket=b-1&object=k&size=9"), &cancel, move |result| {
        done.send(result.map_err(|e| e.kind())).unwrap();
    });
    assert_eq!(outcome.recv_timeout(Duration::from_secs(10)).unwrap(), Err(ErrorKind::Cancelled));
    let error = client.confirm_while(&event("size=9"), || true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_question_can_be_cancelled_from_another_thread() {
    let faulty = faulty_oss::start().unwrap();
    let client = Client::builder().endpoint(faulty.url()).region("cn-hangzhou");
    let client = client.access_key_id("id").access_key_secret("secret").build().unwrap();
    let claims = event("bucket=examplebucket&object=hang/a&size=9");
    let begun = Instant::now();
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            cancel.cancel();
        });
        let error = client.confirm_until(&claims, &cancel).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    });
    assert!(begun.elapsed() < Duration::from_secs(5));
    let cancelled = Cancel::new();
    cancelled.cancel();
    assert_eq!(client.confirm_until(&claims, &cancelled).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_callback_about_a_strangers_bucket_is_refused() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    let client = client(&emulator, emulator.access_key_secret(), SignatureVersion::V4);
    let verifier = |buckets: &[&str]| {
        let trusting = CallbackVerifier::builder().trusted_key(emulator.public_key_pem());
        buckets.iter().fold(trusting, |builder, bucket| builder.bucket(*bucket)).build().unwrap()
    };
    for (body, accepted) in [("b=1&bucket=${bucket}", true), ("object=${object}", false)] {
        let callback = Callback::builder(app.url("/ok")).body(body).build().unwrap();
        client.put_object_with_callback("photos", "k", "x", &callback).unwrap();
        let request = app.callbacks().pop().unwrap();
        let verify = |buckets: &[&str]| {
            let headers = request.headers.iter().map(|(name, value)| (name, value));
            verifier(buckets).verify("POST", &request.target, headers, &request.body)
        };
        assert!(verify(&[]).is_ok());
        assert_eq!(verify(&["films", "photos"]).is_ok(), accepted);
        assert_eq!(verify(&["films"]).unwrap_err().reason(), Some(Reason::WrongBucket));
    }
}

#[test]
fn the_strict_example_of_the_documentation_accepts_a_sealed_upload_once() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    let client = client(&emulator, emulator.access_key_secret(), SignatureVersion::V4);
    let secret = "a secret of more than sixteen bytes";
    let trusting = CallbackVerifier::builder().trusted_key(emulator.public_key_pem());
    let verifier = strict(trusting, secret.into()).unwrap();
    let callback =
        Callback::builder(app.url("/ok?a=1")).var("order", "42").seal(secret, Duration::from_secs(60));
    client.put_object_with_callback("photos", "k", "123456789", &callback.build().unwrap()).unwrap();
    let captured = app.callbacks().pop().unwrap();
    let mut request = http::Request::post(&captured.target);
    for (name, value) in &captured.headers {
        request = request.header(name, value);
    }
    let request = request.body(captured.body).unwrap();
    let reply = accept(&verifier, &client, &request).unwrap();
    assert_eq!(reply.body, r#"{"order":"42","size":9}"#);
    let error = accept(&verifier, &client, &request).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::Replayed));
}

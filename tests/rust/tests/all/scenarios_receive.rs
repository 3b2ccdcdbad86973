//! The scenarios of `tests/scenarios.toml` on the receiving side; `confirm_asks_oss` stands in
//! `confirm.rs`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use oss_callback::receive::{CallbackEvent, CallbackVerifier, CallbackVerifierBuilder, Number, answer};
use oss_callback::{
    BodyType, Callback, CallbackBuilder, Error, ErrorKind, VerificationReason as Reason, checksum,
};
use oss_callback_tests::http::Request;

use crate::scenarios::{BUCKET, Bed};

const SECRET: &str = "a secret of more than sixteen bytes";
const HOUR: Duration = Duration::from_secs(3600);
const OFFICIAL: &str = "https://gosspublic.alicdn.com/callback_pub_key_v7.pem";
const BUILT_IN: &str = "https://gosspublic.alicdn.com/callback_pub_key_v1.pem";

impl Bed {
    fn callback_builder(&self) -> CallbackBuilder {
        Callback::builder(self.app.url("/echo?from=rust"))
    }

    /// Uploads, and gives back what the application server received.
    fn received(&self, key: &str, callback: CallbackBuilder) -> Request {
        let callback = callback.build().unwrap();
        self.client().put_object_with_callback(BUCKET, key, "Hello OSS", &callback).unwrap();
        self.app.callbacks().pop().unwrap()
    }

    fn verifier(&self) -> CallbackVerifierBuilder {
        CallbackVerifier::builder().trusted_key(self.emulator.public_key_pem())
    }
}

fn verify_at(v: &CallbackVerifier, request: &Request, now: SystemTime) -> Result<CallbackEvent, Error> {
    let headers = request.headers.iter().map(|(name, value)| (name, value));
    v.verify_at(&request.method, &request.target, headers, &request.body, now)
}

fn verify(verifier: &CallbackVerifier, request: &Request) -> Result<CallbackEvent, Error> {
    verify_at(verifier, request, SystemTime::now())
}

#[track_caller]
fn reason<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Reason {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
    error.reason().unwrap()
}

/// The same request with another key URL.
fn naming(url: &str, request: &Request) -> Request {
    let mut altered = request.clone();
    for (name, value) in &mut altered.headers {
        if name.eq_ignore_ascii_case("x-oss-pub-key-url") {
            *value = BASE64.encode(url);
        }
    }
    assert_ne!(altered.headers, request.headers);
    altered
}

#[test]
fn received_callback_is_verified() {
    let bed = Bed::new();
    let verifier = bed.verifier().bucket(BUCKET).build().unwrap();
    let mut callback = bed.callback_builder().var("order", "42 é").var("bytes", "many");
    for name in ["bucket", "object", "etag", "size", "crc64", "reqId", "operation", "imageInfo.width"] {
        callback = callback.field(name, format!("${{{name}}}"));
    }
    callback = callback.field("order", "${x:order}").field("bytes", "${x:bytes}");
    for body_type in [BodyType::Form, BodyType::Json] {
        let request = bed.received("dir/ø.txt", callback.clone().body_type(body_type));
        let event = verify(&verifier, &request).unwrap();
        assert_eq!((event.bucket(), event.key()), (Some(BUCKET), Some("dir/ø.txt")));
        let object = bed.emulator.object(BUCKET, "dir/ø.txt").unwrap();
        assert_eq!(event.etag(), Some(object.etag.as_str()));
        assert_eq!(event.size(), Number::Value(9));
        assert_eq!(event.crc64(), Number::Value(checksum::crc64(b"Hello OSS")));
        assert_eq!(event.request_id().map(str::len), Some(24));
        assert_eq!(event.operation(), Some("PutObject"));
        assert_eq!(event.image().width, Number::Empty);
        assert_eq!(event.image().height, Number::Absent);
        assert_eq!(event.variables().collect::<Vec<_>>(), [("bytes", "many"), ("order", "42 é")]);
        assert_eq!(event.field("order").map(|field| field.text()), Some("42 é"));
        assert!(event.field("nothing").is_none() && event.seal().is_none());
    }
    let mistaken = bed.callback_builder().var("n", "many").body("bucket=${bucket}&size=${x:n}");
    let event = verify(&verifier, &bed.received("a", mistaken)).unwrap();
    assert_eq!(event.size(), Number::Invalid("many"));
}

#[test]
fn altered_callback_is_refused_with_a_reason() {
    let bed = Bed::new();
    let verifier = bed.verifier().official_keys(true).max_body(400).bucket(BUCKET).build().unwrap();
    let honest = bed.received("a.txt", bed.callback_builder());
    verify(&verifier, &honest).unwrap();
    let signature = honest.header("authorization").unwrap();
    let with = |change: &dyn Fn(&mut Request)| {
        // In the name of the key that is built in, lest one be fetched.
        let mut altered = naming(BUILT_IN, &honest);
        change(&mut altered);
        altered
    };
    let evil = "http://gosspublic.alicdn.com.evil.example/k.pem";
    let cases = [
        (with(&|r| r.body.extend_from_slice(b"&x=1")), Reason::WrongSignature),
        (with(&|r| r.target = "/other".into()), Reason::WrongSignature),
        (
            with(&|r| r.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"))),
            Reason::MissingAuthorization,
        ),
        (with(&|r| *r = Request { target: "/other".into(), ..naming(evil, r) }), Reason::KeyUrlRefused),
        (with(&|r| r.body = vec![b'a'; 401]), Reason::BodyTooLarge),
        (with(&|r| r.method = "GET".into()), Reason::WrongMethod),
    ];
    let body = String::from_utf8(honest.body.clone()).unwrap();
    for (altered, expected) in cases {
        let error = verify(&verifier, &altered).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(signature) && !shown.contains(&body), "{shown}");
        assert_eq!(reason(Err::<(), _>(error)), expected);
    }
    let others = bed.verifier().bucket("others").build().unwrap();
    assert_eq!(reason(verify(&others, &honest)), Reason::WrongBucket);
}

#[test]
fn key_function_replaces_the_fetching_never_the_rule() {
    let bed = Bed::new();
    let request = bed.received("a.txt", bed.callback_builder());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (log, key) = (Arc::clone(&asked), bed.emulator.public_key_pem().to_owned());
    let fetch = move |url: &str| {
        log.lock().unwrap().push(url.to_owned());
        Ok::<_, Error>(key.clone().into_bytes())
    };
    let verifier = CallbackVerifier::builder().fetch_key(fetch).build().unwrap();
    for _ in 0..2 {
        verify(&verifier, &naming(OFFICIAL, &request)).unwrap();
    }
    let evil = naming("https://evil.example/callback_pub_key_v7.pem", &request);
    assert_eq!(reason(verify(&verifier, &evil)), Reason::KeyUrlRefused);
    assert_eq!(*asked.lock().unwrap(), [OFFICIAL]);

    let failing = |_: &str| Err::<Vec<u8>, _>("no way there");
    let verifier = CallbackVerifier::builder().fetch_key(failing).build().unwrap();
    let error = verify(&verifier, &naming(OFFICIAL, &request)).unwrap_err();
    assert!(error.to_string().contains("no way there"), "{error}");
    assert_eq!(reason(Err::<(), _>(error)), Reason::KeyUnavailable);
}

#[test]
fn seal_is_demanded_and_used_once() {
    let bed = Bed::new();
    let sealed = bed.received("k", bed.callback_builder().var("order", "42").seal(SECRET, HOUR));
    let (now, other) = (SystemTime::now(), "another secret of 16 bytes");
    let knowing = |secrets: &[&str]| {
        let with = |builder: CallbackVerifierBuilder, secret: &&str| builder.seal_secret(*secret);
        secrets.iter().fold(bed.verifier(), with)
    };
    let verifier = knowing(&[other, SECRET]).build().unwrap();
    let event = verify_at(&verifier, &sealed, now).unwrap();
    let seal = event.seal().unwrap().clone();
    assert!(seal.expires_at > now + HOUR / 2 && seal.expires_at <= now + 2 * HOUR);
    assert_eq!(event.variables().collect::<Vec<_>>(), [("order", "42")]);
    assert!(verify_at(&verifier, &sealed, now + HOUR / 2).is_ok());
    assert_eq!(reason(verify_at(&verifier, &sealed, now + 2 * HOUR)), Reason::SealExpired);
    let unsealed = bed.received("k", bed.callback_builder());
    assert_eq!(reason(verify(&verifier, &unsealed)), Reason::SealMissing);
    assert_eq!(reason(verify(&knowing(&[other]).build().unwrap(), &sealed)), Reason::SealWrong);

    let seen: Mutex<HashSet<(String, SystemTime)>> = Mutex::default();
    let expected = (seal.nonce, seal.expires_at);
    let once = knowing(&[SECRET]).first_use(move |nonce, expires_at| {
        assert_eq!((nonce, expires_at), (expected.0.as_str(), expected.1));
        seen.lock().unwrap().insert((nonce.to_owned(), expires_at))
    });
    let once = once.build().unwrap();
    assert!(verify(&once, &sealed).is_ok());
    assert_eq!(reason(verify(&once, &sealed)), Reason::Replayed);

    let error = bed.callback_builder().seal("short", HOUR).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(!format!("{error} {error:?}").contains("\"short\""), "{error:?}");
}

#[test]
fn answer_is_checked_before_it_is_sent() {
    let reply = answer::reply(r#"{"Status":"OK"}"#).unwrap();
    assert_eq!((reply.status, &reply.body[..]), (200, &br#"{"Status":"OK"}"#[..]));
    let headers = [("Content-Type", "application/json"), ("Content-Length", "15")];
    assert_eq!(reply.headers, headers.map(|(name, value)| (name, value.to_owned())));
    let bad = [
        ("OK".to_owned(), Some("0007-00000205")),
        ("\u{feff}{}".to_owned(), Some("0007-00000205")),
        (format!("\"{}\"", "a".repeat(2 << 20)), Some("0007-00000204")),
        (String::new(), None),
    ];
    for (text, ec) in bad {
        let error = answer::reply(text).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("answer")), "{error}");
        assert_eq!(error.ec(), ec, "{error}");
    }
    assert_eq!((answer::refusal().status, answer::failure().status), (403, 500));
}

#[test]
fn hostile_callbacks_are_refused_without_harm() {
    let bed = Bed::new();
    let verifier = bed.verifier().build().unwrap();
    let long = "A".repeat(1 << 16);
    for target in ["", "no path", "/\0", "/%zz", "/%ff", "http://", "é", &"/a".repeat(1 << 16)] {
        for value in [&b""[..], b"\0", b"\xff\xfe", long.as_bytes()] {
            let headers =
                [("Authorization", value), ("X-Oss-Pub-Key-Url", value), ("\u{ff}", b""), ("", b"")];
            reason(verifier.verify("POST", target, headers, value));
        }
    }
    let bodies = [
        "[".repeat(1 << 20).into_bytes(),
        "{\"a\":".repeat(1 << 18).into_bytes(),
        "a=b&".repeat(1 << 20).into_bytes(),
        b"\xff\0=\xff".to_vec(),
        b"{\"a\":\"\0\"}".to_vec(),
        b"{}".to_vec(),
    ];
    for body in bodies {
        for body_type in [BodyType::Form, BodyType::Json] {
            if let Err(error) = CallbackEvent::parse(&body, body_type, None) {
                assert_eq!(reason(Err::<(), _>(error)), Reason::MalformedBody);
            }
        }
    }
    // The same, signed: anybody can have OSS sign a body of his choice.
    for body in ["[".repeat(1000), "a&".repeat(1500), "%ff%00=%ff".to_owned(), "{\"size\":{}".to_owned()] {
        for body_type in [BodyType::Form, BodyType::Json] {
            let callback = bed.callback_builder().body(&body).body_type(body_type).unchecked(true);
            if let Err(error) = verify(&verifier, &bed.received("a", callback)) {
                assert_eq!(reason(Err::<(), _>(error)), Reason::MalformedBody, "{body_type:?} {body:.20}");
            }
        }
    }
    // A NUL cuts nothing off.
    let event = CallbackEvent::parse(b"object=a%00b", BodyType::Form, None).unwrap();
    assert_eq!(event.key(), Some("a\0b"));
}

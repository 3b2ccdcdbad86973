//! The scenarios of `tests/scenarios.toml` about credentials and the receiving side that no other file shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use oss_callback::receive::{CallbackVerifier, CallbackVerifierBuilder, Number, answer};
use oss_callback::{Callback, Client, Credentials, ErrorKind};
use oss_callback_tests::http::Request;
use oss_callback_tests::rig::{BUCKET, KEY, Rig};

/// An upload's callback, as the application server got it.
fn received(rig: &Rig, body: &str) -> Request {
    let callback = Callback::builder(rig.app.url("/ok?a=1")).var("order", "4 2").body(body).build().unwrap();
    rig.client().put_object_with_callback(BUCKET, KEY, "Hello OSS", &callback).unwrap();
    rig.app.callbacks().pop().unwrap()
}

fn verifier(rig: &Rig) -> CallbackVerifierBuilder {
    CallbackVerifier::builder().trusted_key(rig.emulator.public_key_pem())
}

const BODY: &str = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&crc64=${crc64}\
                    &width=${imageInfo.width}&reqId=${reqId}&order=${x:order}";

#[test]
fn received_callback_is_verified() {
    let rig = Rig::start();
    let request = received(&rig, BODY);
    let headers = request.headers.iter().map(|(name, value)| (name, value));
    let event = verifier(&rig)
        .template(BODY)
        .build()
        .unwrap()
        .verify("POST", &request.target, headers, &request.body)
        .unwrap();
    let stored = rig.object().unwrap();
    assert_eq!((event.bucket(), event.key(), event.etag()), (Some(BUCKET), Some(KEY), Some(&*stored.etag)));
    assert_eq!((event.size(), event.crc64()), (Number::Value(9), Number::Value(stored.crc64)));
    assert_eq!(event.variables().collect::<Vec<_>>(), [("order", "4 2")]);
    assert_eq!(event.request_id().map(str::len), Some(24));
    assert_eq!((event.image().width, event.image().height), (Number::Empty, Number::Absent));
}

#[test]
fn altered_callback_is_refused_with_a_reason() {
    let rig = Rig::start();
    let good = received(&rig, BODY);
    let signature = good.header("authorization").unwrap().to_owned();
    let altered = |change: fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let plain = || verifier(&rig);
    let elsewhere = |request: &mut Request| {
        for (name, value) in &mut request.headers {
            if name.eq_ignore_ascii_case("x-oss-pub-key-url") {
                *value = BASE64.encode("http://evil.example/k.pem");
            }
        }
    };
    let unsigned = |request: &mut Request| {
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    };
    let cases = [
        (plain(), altered(|request| request.body.push(b'1')), "wrong_signature"),
        (plain(), altered(|request| request.target.push('1')), "wrong_signature"),
        (plain(), altered(unsigned), "missing_authorization"),
        (CallbackVerifier::builder(), altered(elsewhere), "key_url_refused"),
        (plain().max_body(10), good.clone(), "body_too_large"),
        (plain().bucket("another"), good.clone(), "wrong_bucket"),
    ];
    for (verifier, request, reason) in cases {
        let headers = request.headers.iter().map(|(name, value)| (name, value));
        let error =
            verifier.build().unwrap().verify("POST", &request.target, headers, &request.body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification, "{error}");
        assert_eq!(error.reason().map(|reason| reason.name()), Some(reason), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&signature) && !shown.contains("order="), "{shown}");
    }
}

#[test]
fn key_function_replaces_the_fetching_never_the_rule() {
    let rig = Rig::start();
    let good = received(&rig, BODY);
    let (asked, pem) = (Arc::new(AtomicUsize::new(0)), rig.emulator.public_key_pem().to_owned());
    let counter = Arc::clone(&asked);
    let verifier = CallbackVerifier::builder().fetch_key(move |url: &str| {
        counter.fetch_add(1, Ordering::SeqCst);
        match url.ends_with("/mine.pem") {
            true => Ok(pem.clone().into_bytes()),
            false => Err("the safe is locked".to_owned()),
        }
    });
    let verifier = verifier.build().unwrap();
    let ask = |url: &str| {
        let url = BASE64.encode(url);
        let headers = good.headers.iter().map(|(name, value)| {
            let is_url = name.eq_ignore_ascii_case("x-oss-pub-key-url");
            (name, if is_url { &url } else { value })
        });
        let outcome = verifier.verify("POST", &good.target, headers, &good.body);
        outcome.map(drop).map_err(|error| (error.reason().map(|reason| reason.name()), error.to_string()))
    };
    for _ in 0..2 {
        assert_eq!(ask("https://gosspublic.alicdn.com/mine.pem"), Ok(()));
    }
    assert_eq!(
        ask("https://gosspublic.alicdn.com.evil.example/mine.pem").unwrap_err().0,
        Some("key_url_refused")
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1, "once, and for the official URL only");
    let (reason, text) = ask("https://gosspublic.alicdn.com/other.pem").unwrap_err();
    assert_eq!(reason, Some("key_unavailable"));
    assert!(text.contains("the safe is locked"), "{text}");
}

#[test]
fn answer_is_checked_before_it_is_sent() {
    let reply = answer::reply(r#"{"Status":"OK"}"#).unwrap();
    assert_eq!((reply.status, &*reply.body), (200, &br#"{"Status":"OK"}"#[..]));
    assert_eq!(reply.headers[1], ("Content-Length", "15".to_owned()));
    for wrong in ["thank you".to_owned(), "\u{feff}{}".to_owned(), format!("\"{}\"", "a".repeat(1 << 20))] {
        let error = answer::reply(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.ec().is_some_and(|ec| ec.starts_with("0007-0000020")), "{error}");
    }
}

#[test]
fn credentials_function_is_asked() {
    let rig = Rig::start();
    let upload = |client: &Client| {
        client.put_object_with_callback(BUCKET, KEY, "Hello OSS", &rig.callback()).map(drop)
    };
    let (id, secret) = (rig.emulator.access_key_id(), rig.emulator.access_key_secret());
    for (lifetime, times) in [(Duration::from_secs(3600), 1), (Duration::from_secs(1), 2)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, id, secret) = (Arc::clone(&asked), id.to_owned(), secret.to_owned());
        let provider = move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Credentials::new(&*id, &*secret).map(|pair| pair.with_expiry(SystemTime::now() + lifetime))
        };
        let builder = Client::builder().endpoint(rig.emulator.endpoint()).region(rig.emulator.region());
        let client = builder.credentials_provider(provider).build().unwrap();
        upload(&client).unwrap();
        // The short-lived ones expire meanwhile.
        std::thread::sleep(Duration::from_millis(1200));
        upload(&client).unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), times, "{lifetime:?}");
    }
    let builder = Client::builder().endpoint(rig.emulator.endpoint()).region(rig.emulator.region());
    let client =
        builder.credentials_provider(|| Err::<Credentials, _>("the safe is locked")).build().unwrap();
    let error = upload(&client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.to_string().contains("the safe is locked"), "{error}");
}

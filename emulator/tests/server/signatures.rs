//! Signatures over the wire; the finer points are tested beside the code.

use std::time::{Duration, SystemTime};

use oss_callback::sign::SignRequest;
use oss_callback::{Addressing, Endpoint};
use oss_callback_emulator::{AccessKey, Emulator};

use crate::client::{call, exchange, v1_signer, v4_signer};

#[test]
fn both_versions_work_by_header_and_by_url() {
    let temporary = AccessKey::temporary("STS.id", "sts-secret", "token+with/signs==", None);
    let emulator = Emulator::builder()
        .access_key(AccessKey::new("id", "secret"))
        .access_key(temporary.clone())
        .start()
        .unwrap();
    let endpoint = Endpoint::parse(&emulator.endpoint()).unwrap();
    for key in [emulator.access_key().clone(), temporary] {
        for signer in [v1_signer(&key), v4_signer(&key, emulator.region())] {
            let answer = call("PUT", "bkt", "a b")
                .signer(signer.clone())
                .header("x-oss-meta-a", "1")
                .body("x")
                .send(&emulator);
            assert_eq!(answer.status, 200, "{}", answer.text());

            let request = SignRequest {
                method: "GET".into(),
                bucket: Some("bkt".into()),
                key: Some("a b".into()),
                query: vec![("response-content-type".into(), Some("a/b".into()))],
                ..SignRequest::default()
            };
            let presigned = signer
                .presign(&request, &endpoint, Addressing::Auto, Duration::from_secs(60), SystemTime::now())
                .unwrap();
            let target = presigned.url.strip_prefix(&emulator.endpoint()).unwrap().to_owned();
            let get = |target: &str| {
                let wire = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", emulator.address());
                exchange(emulator.address(), wire.as_bytes())
            };
            let answer = get(&target);
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, Some("a/b")),
                "{}",
                answer.text()
            );
            assert_eq!(
                get(&target.replace("a%20b", "a%20c")).verdict(),
                (403, "SignatureDoesNotMatch".into())
            );

            emulator.set_clock_offset_seconds(61);
            let late = get(&target);
            assert_eq!(late.verdict(), (403, "AccessDenied".into()));
            assert_eq!(late.element("Message").unwrap(), "Request has expired.");
            emulator.set_clock_offset_seconds(0);
        }
    }
}

#[test]
fn the_answer_to_a_wrong_signature_shows_what_was_signed() {
    let emulator = Emulator::builder().start().unwrap();
    let wrong = AccessKey::new(emulator.access_key_id(), "wrong");
    let answer = call("PUT", "bkt", "k")
        .signer(v1_signer(&wrong))
        .header("Content-Type", "text/plain")
        .body("x")
        .send(&emulator);
    assert_eq!(answer.verdict(), (403, "SignatureDoesNotMatch".into()));
    let string_to_sign = answer.element("StringToSign").unwrap();
    assert!(
        string_to_sign.starts_with("PUT\n\ntext/plain\n") && string_to_sign.ends_with("/bkt/k"),
        "{string_to_sign}"
    );
    assert_eq!(answer.element("OSSAccessKeyId").as_deref(), Some(emulator.access_key_id()));
    assert!(answer.element("SignatureProvided").is_some());

    let answer =
        call("GET", "bkt", "k").signer(v4_signer(&wrong, "cn-hangzhou")).query("a b", "c").send(&emulator);
    assert_eq!(answer.verdict(), (403, "SignatureDoesNotMatch".into()));
    let canonical = answer.element("CanonicalRequest").unwrap();
    assert!(canonical.starts_with("GET\n/bkt/k\na%20b=c\n"), "{canonical}");
    assert!(emulator.object("bkt", "k").is_none());
}

#[test]
fn skewed_unknown_and_unsigned_requests_are_refused() {
    let emulator = Emulator::builder().start().unwrap();
    let key = emulator.access_key().clone();
    for signer in [v1_signer(&key), v4_signer(&key, emulator.region())] {
        for offset in [-1000, 1000] {
            emulator.set_clock_offset_seconds(offset);
            let answer = call("PUT", "bkt", "k").signer(signer.clone()).body("x").send(&emulator);
            assert_eq!(answer.verdict(), (403, "RequestTimeTooSkewed".into()), "{offset}");
            // The client corrects its clock by this.
            let date = httpdate::parse_http_date(answer.header("date").unwrap()).unwrap();
            let away = date.duration_since(SystemTime::now()).unwrap_or_else(|error| error.duration());
            assert!((990..1010).contains(&away.as_secs()), "{away:?}");
        }
        emulator.set_clock_offset_seconds(0);
    }
    let stranger = AccessKey::new("stranger", "x");
    let answer = call("GET", "bkt", "k").signer(v4_signer(&stranger, "cn-hangzhou")).send(&emulator);
    assert_eq!(answer.verdict(), (403, "InvalidAccessKeyId".into()));
    let wire = format!("GET /bkt/k HTTP/1.1\r\nHost: {}\r\n\r\n", emulator.address());
    assert_eq!(exchange(emulator.address(), wire.as_bytes()).verdict(), (403, "AccessDenied".into()));
    let answer = call("GET", "bkt", "k").signer(v4_signer(&key, "cn-beijing")).send(&emulator);
    assert_eq!((answer.status, answer.element("EC").as_deref()), (400, Some("0002-00000226")));
    assert!(emulator.keys("bkt").is_empty());
}

#[test]
fn a_blank_may_be_sent_as_a_plus_and_a_plus_as_itself() {
    let emulator = Emulator::builder().start().unwrap();
    for key in ["a b", "a+b"] {
        call("PUT", "bkt", key).send(&emulator);
        let list = call("GET", "bkt", "").query("prefix", key);
        // Both send a raw plus; what they signed tells them apart.
        let wire = String::from_utf8(list.wire(&emulator)).unwrap();
        let wire = wire.replacen("prefix=a%20b", "prefix=a+b", 1).replacen("prefix=a%2Bb", "prefix=a+b", 1);
        let answer = exchange(emulator.address(), wire.as_bytes());
        assert_eq!(answer.elements("Key"), [key], "{}", answer.text());
    }
}

#[test]
fn the_log_shows_no_secret() {
    let temporary = AccessKey::temporary("STS.id", "sts-secret", "t0ken", None);
    let emulator = Emulator::builder().access_key(temporary.clone()).start().unwrap();
    call("GET", "bkt", "k").signer(v1_signer(&temporary)).send(&emulator);
    let shown = format!("{:?}", emulator.requests());
    assert!(shown.contains("OSS STS.id:***") && !shown.contains("t0ken"), "{shown}");
}

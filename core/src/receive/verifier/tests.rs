use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use ::rsa::pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding};
use ::rsa::{Pkcs1v15Sign, RsaPrivateKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::seal::seal;
use super::*;

const V1_URL: &str = "http://gosspublic.alicdn.com/callback_pub_key_v1.pem";
const SECRET: &str = "a secret of more than sixteen bytes";

/// Plays OSS with a key of the vectors.
struct Oss(RsaPrivateKey);

impl Oss {
    fn new(name: &str) -> Oss {
        let keys: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/vectors/test_keys.json")).unwrap();
        Oss(RsaPrivateKey::from_pkcs8_pem(keys["keys"][name]["private_pem"].as_str().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.to_public_key().to_public_key_pem(LineEnding::LF).unwrap()
    }

    fn sign(&self, target: &str, body: &[u8]) -> String {
        let prefix = [0x30, 0x20, 0x30, 0x0c, 6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5, 5, 0, 4, 0x10];
        let scheme = Pkcs1v15Sign { hash_len: Some(16), prefix: prefix.into() };
        STANDARD.encode(self.0.sign(scheme, &signature::digest(target, body)).unwrap())
    }

    fn headers(&self, target: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        vec![
            ("authorization", self.sign(target, body)),
            ("x-oss-pub-key-url", STANDARD.encode(V1_URL)),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ]
    }
}

fn reason<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Verification, "{error}");
    error.reason().unwrap().name()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn each_failed_check_has_its_own_reason() {
    let oss = Oss::new("oss_like");
    let verifier = CallbackVerifier::builder().trusted_key(oss.pem()).official_keys(true).max_body(100);
    let known = |url: &str| match url.ends_with("callback_pub_key_v1.pem") {
        true => Ok(super::super::OFFICIAL_KEY_PEM.as_bytes().to_vec()),
        false => Err("no network"),
    };
    let verifier = verifier.fetch_key(known).build().unwrap();
    let body = b"bucket=b&object=k".as_slice();
    let good = oss.headers("/cb", body);
    let check = |headers: &[(&str, String)]| {
        verifier.verify("POST", "/cb", headers.iter().map(|(name, value)| (*name, value)), body)
    };
    assert!(check(&good).is_ok());
    assert_eq!(verifier.max_body(), 100);
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, old)| *old = value.to_owned());
        headers
    };
    let stranger = Oss::new("attacker").sign("/cb", body);
    let without = |name: &str| good.iter().filter(|(known, _)| *known != name).cloned().collect::<Vec<_>>();
    assert_eq!(reason(verifier.verify("GET", "/cb", good.clone(), body)), "wrong_method");
    assert_eq!(reason(verifier.verify("POST", "cb", good.clone(), body)), "bad_target");
    assert_eq!(reason(verifier.verify("POST", "/cb", good.clone(), &[b'a'; 101])), "body_too_large");
    assert_eq!(reason(check(&[good.clone(), good.clone()].concat())), "duplicate_header");
    let version =
        |version: &str| [good.clone(), vec![("X-Oss-Signature-Version", version.to_owned())]].concat();
    assert!(check(&version("1.0")).is_ok());
    assert_eq!(reason(check(&version("2.0"))), "unsupported_version");
    assert_eq!(reason(check(&without("authorization"))), "missing_authorization");
    assert_eq!(reason(check(&with("authorization", "OSS id:signature"))), "bad_authorization");
    let mut forged = with("authorization", &stranger);
    assert_eq!(reason(check(&forged)), "wrong_signature");
    forged.retain(|(name, _)| *name != "x-oss-pub-key-url");
    assert_eq!(reason(check(&forged)), "missing_key_url");
    for (url, expected) in [
        ("not base64!", "bad_key_url".to_owned()),
        (&STANDARD.encode(b"\xff\xfe"), "bad_key_url".to_owned()),
        (&"A".repeat(2000), "bad_key_url".to_owned()),
        ("", "key_url_refused".to_owned()),
        (&STANDARD.encode("http://evil.example/k.pem"), "key_url_refused".to_owned()),
        (&STANDARD.encode("http://gosspublic.alicdn.com/v2.pem"), "key_unavailable".to_owned()),
    ] {
        let mut headers = forged.clone();
        headers.push(("x-oss-pub-key-url", url.to_owned()));
        assert_eq!(reason(check(&headers)), expected, "{url:.60}");
    }
}

#[test]
fn trusted_keys_alone_shut_out_oss_itself_and_need_no_key_url() {
    let (oss, other) = (Oss::new("oss_like"), Oss::new("big"));
    let body = b"bucket=b";
    let only = CallbackVerifier::builder().trusted_key(oss.pem()).trusted_key(other.pem()).build().unwrap();
    for signer in [&oss, &other] {
        let headers = [("Authorization", signer.sign("/cb", body))];
        assert_eq!(only.verify("POST", "/cb", headers, body).unwrap().bucket(), Some("b"));
    }
    let real = [
        (
            "authorization",
            "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==",
        ),
        ("x-oss-pub-key-url", "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ=="),
    ];
    let (target, body) = ("/index.php?id=1&index=2", b"bucket=yonghu-test");
    assert_eq!(reason(only.verify("POST", target, real, body)), "wrong_signature");
    let both = CallbackVerifier::builder().trusted_key(oss.pem()).official_keys(true).build().unwrap();
    assert!(both.verify("POST", target, real, body).is_ok());
    let default = CallbackVerifier::builder().build().unwrap();
    assert!(default.verify("POST", target, real, body).is_ok());
    assert_eq!(reason(default.verify("POST", target, oss.headers(target, body), body)), "wrong_signature");
}

#[test]
fn no_server_but_oss_is_ever_contacted_for_a_key() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let here = listener.local_addr().unwrap();
    let port = here.port();
    let attacker = Oss::new("attacker");
    let verifier = CallbackVerifier::builder().key_scheme_as_named(true).build().unwrap();
    for url in [
        format!("http://{here}/k.pem"),
        format!("https://{here}/k.pem"),
        format!("http://localhost:{port}/k.pem"),
        format!("http://gosspublic.alicdn.com@{here}/k.pem"),
        format!("http://gosspublic.alicdn.com:80@{here}/k.pem"),
        format!("http://{here}/gosspublic.alicdn.com/k.pem"),
        format!("http://{here}#http://gosspublic.alicdn.com/k.pem"),
        format!("http://{here}?http://gosspublic.alicdn.com/k.pem"),
        format!("http://gosspublic.alicdn.com:{port}/k.pem"),
        format!("//{here}/k.pem"),
        format!("http://2130706433:{port}/k.pem"),
        format!("http://[::ffff:127.0.0.1]:{port}/k.pem"),
        "file:///etc/passwd".to_owned(),
    ] {
        let headers =
            [("authorization", attacker.sign("/cb", b"")), ("x-oss-pub-key-url", STANDARD.encode(&url))];
        assert_eq!(reason(verifier.verify("POST", "/cb", headers, b"")), "key_url_refused", "{url}");
    }
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_key_url_that_is_not_official_is_never_asked_for() {
    let (attacker, calls) = (Oss::new("attacker"), Arc::new(AtomicUsize::new(0)));
    let (counter, pem) = (calls.clone(), attacker.pem());
    let fetch = move |_: &str| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<_, String>(pem.clone().into_bytes())
    };
    let verifier = CallbackVerifier::builder().fetch_key(fetch).build().unwrap();
    for url in [
        "http://evil.example/k.pem",
        "http://gosspublic.alicdn.com.evil.example/k.pem",
        "http://127.0.0.1/k.pem",
    ] {
        let headers =
            [("authorization", attacker.sign("/cb", b"")), ("x-oss-pub-key-url", STANDARD.encode(url))];
        assert_eq!(reason(verifier.verify("POST", "/cb", headers, b"")), "key_url_refused");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

/// A key URL of OSS's that is not built in, and headers that name it.
fn other_key(oss: &Oss) -> (&'static str, Vec<(&'static str, String)>) {
    let url = "https://gosspublic.alicdn.com/callback_pub_key_v2.pem";
    (url, vec![("authorization", oss.sign("/cb", b"bucket=b")), ("x-oss-pub-key-url", STANDARD.encode(url))])
}

#[test]
fn verifying_without_waiting_asks_for_the_key_once_and_goes_on_with_it() {
    let oss = Oss::new("oss_like");
    let (url, headers) = other_key(&oss);
    let verifier = CallbackVerifier::builder().build().unwrap();
    let verify = || verifier.verify_now("POST", "/cb", headers.clone(), b"bucket=b");
    let Verdict::KeyWanted(dropped) = verify().unwrap() else { panic!("the key is not known") };
    assert_eq!(dropped.url(), url);
    assert!(matches!(verify().unwrap(), Verdict::KeyInFlight(other) if other == url));
    drop(dropped);
    let Verdict::KeyWanted(fetch) = verify().unwrap() else { panic!("it was given up") };
    fetch.land(Ok::<_, String>(oss.pem().into_bytes())).unwrap();
    let Verdict::Accepted(event) = verify().unwrap() else { panic!("the key is known") };
    assert_eq!(event.bucket(), Some("b"));
    assert!(verifier.verify("POST", "/cb", headers.clone(), b"bucket=b").is_ok(), "both remember the same");
    let forged = verifier.verify_now("POST", "/cb", headers.clone(), b"bucket=c");
    assert_eq!(reason(forged), "wrong_signature");
}

#[test]
fn the_signature_alone_is_verified_without_waiting_too() {
    let oss = Oss::new("oss_like");
    let (url, mut headers) = other_key(&oss);
    headers.push(("content-type", "application/json".to_owned()));
    let verifier = CallbackVerifier::builder().bucket("other").build().unwrap();
    let verify = |body: &[u8]| verifier.verify_signature_now("POST", "/cb", headers.clone(), body);
    let Verdict::KeyWanted(fetch) = verify(b"bucket=b").unwrap() else { panic!("the key is not known") };
    assert!(matches!(verify(b"bucket=b").unwrap(), Verdict::KeyInFlight(other) if other == url));
    fetch.land(Ok::<_, String>(oss.pem().into_bytes())).unwrap();
    assert!(matches!(verify(b"bucket=b").unwrap(), Verdict::Accepted(())), "the body is not looked at");
    assert_eq!(reason(verify(b"bucket=c")), "wrong_signature");
}

#[test]
fn a_key_that_could_not_be_had_is_told_and_remembered_without_waiting_too() {
    let oss = Oss::new("oss_like");
    let headers = other_key(&oss).1;
    for (answer, expected) in [(Err("no route"), "key_unavailable"), (Ok(b"<html>".to_vec()), "bad_key")] {
        let verifier = CallbackVerifier::builder().build().unwrap();
        let verify = || verifier.verify_now("POST", "/cb", headers.clone(), b"bucket=b");
        let Verdict::KeyWanted(fetch) = verify().unwrap() else { panic!("the key is not known") };
        assert_eq!(reason(fetch.land(answer)), expected);
        assert_eq!(reason(verify()), expected);
    }
    let fetcher = |_: &str| Err::<Vec<u8>, _>("asked");
    let own = CallbackVerifier::builder().fetch_key(fetcher).build().unwrap();
    let Verdict::KeyWanted(fetch) = own.verify_now("POST", "/cb", headers, b"bucket=b").unwrap() else {
        panic!("the key is not known")
    };
    assert!(fetch.run().unwrap_err().message().contains("asked"));
}

#[test]
fn a_failure_names_the_accident_behind_it() {
    let oss = Oss::new("oss_like");
    let verifier = CallbackVerifier::builder().trusted_key(oss.pem()).build().unwrap();
    let error = verifier.verify("POST", "/cb", oss.headers("/cb?id=1", b"a=1"), b"a=1").unwrap_err();
    assert!(error.message().contains("not over this target and body"), "{error}");
    let error = verifier.verify("POST", "/cb", oss.headers("/cb", b"a=1"), b"a=1\n").unwrap_err();
    assert!(error.hint().unwrap().contains("line end was added"), "{error}");
    let forged = Oss::new("attacker").headers("/cb", b"a=1");
    let error = verifier.verify("POST", "/cb", forged, b"a=1").unwrap_err();
    assert!(error.message().contains("not by any of the trusted keys"), "{error}");
}

#[test]
fn forged_requests_do_not_push_out_a_key_that_has_verified() {
    let (oss, fetches) = (Oss::new("oss_like"), Arc::new(AtomicUsize::new(0)));
    let (pem, counter) = (oss.pem().into_bytes(), fetches.clone());
    let fetch = move |_: &str| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<_, String>(pem.clone())
    };
    let verifier = CallbackVerifier::builder().fetch_key(fetch).build().unwrap();
    let verify = |name: &str, body: &[u8]| {
        let key_url = STANDARD.encode(format!("https://gosspublic.alicdn.com/{name}.pem"));
        let headers = [("authorization", oss.sign("/cb", b"object=k")), ("x-oss-pub-key-url", key_url)];
        verifier.verify("POST", "/cb", headers, body)
    };
    assert!(verify("new", b"object=k").is_ok());
    for index in 1..=9 {
        assert_eq!(reason(verify(&format!("callback_pub_key_v{index}"), b"object=l")), "wrong_signature");
    }
    for index in 0..100 {
        assert!(verify(&index.to_string(), b"object=l").is_err());
    }
    let before = fetches.load(Ordering::SeqCst);
    assert!(before > 16, "{before} keys push out none");
    assert!(verify("new", b"object=k").is_ok());
    assert_eq!(fetches.load(Ordering::SeqCst), before);
}

#[test]
fn the_content_type_decides_how_a_body_is_read_unless_a_template_does() {
    let oss = Oss::new("oss_like");
    let verify = |verifier: &CallbackVerifier, content_type: &str, body: &[u8]| {
        let headers = [("Authorization", oss.sign("/", body)), ("Content-Type", content_type.to_owned())];
        verifier.verify("POST", "/", headers, body)
    };
    let plain = CallbackVerifier::builder().trusted_key(oss.pem()).build().unwrap();
    let json = br#"{"object":"a&bucket=other"}"#;
    assert_eq!(
        verify(&plain, "Application/JSON; charset=utf-8", json).unwrap().key(),
        Some("a&bucket=other")
    );
    assert_eq!(reason(verify(&plain, "application/json", b"object=k")), "malformed_body");
    assert!(
        plain.verify_signature("POST", "/", [("authorization", oss.sign("/", b"\xff"))], b"\xff").is_ok()
    );
    let callback = Callback::builder("https://app.example.com/cb").body_type(BodyType::Json).build().unwrap();
    let fixed = CallbackVerifier::builder().trusted_key(oss.pem()).callback(&callback).build().unwrap();
    let body = br#"{"bucket":"b","object":"k","etag":"E","size":1,"mimeType":"t"}"#;
    let event = verify(&fixed, "application/x-www-form-urlencoded", body).unwrap();
    assert_eq!((event.key(), event.size().value()), (Some("k"), Some(1)));
}

/// Seals for bucket `b` and key `k`, expiring at 1000.
fn sealed_body(variables: &[(&str, &str)], nonce: &str) -> String {
    let seal = seal(&Secret::new(SECRET), "b", "k", variables.iter().copied(), nonce, at(1000)).unwrap();
    let variables: String = variables.iter().map(|(name, value)| format!("&{name}={value}")).collect();
    format!("bucket=b&object=k&size=1{variables}&seal={seal}")
}

#[test]
fn a_seal_is_demanded_checked_and_accepted_once() {
    let oss = Oss::new("oss_like");
    let used = Mutex::new(HashSet::new());
    let first = move |nonce: &str, expiry: SystemTime| {
        assert_eq!(expiry, at(1000));
        used.lock().unwrap().insert(nonce.to_owned())
    };
    let builder =
        || CallbackVerifier::builder().trusted_key(oss.pem()).seal_secret("the new secret of this year");
    let verifier = builder().seal_secret(SECRET).first_use(first).build().unwrap();
    let at_time = |verifier: &CallbackVerifier, body: &str, now| {
        let body = body.as_bytes();
        verifier.verify_at("POST", "/cb", oss.headers("/cb", body), body, at(now))
    };
    let body = sealed_body(&[("order", "42")], "nonce-nonce-nonce");
    assert_eq!(reason(at_time(&verifier, &body, 1000)), "seal_expired");
    assert_eq!(reason(at_time(&verifier, &body.replace("order=42", "order=43"), 1)), "seal_wrong");
    assert_eq!(reason(at_time(&verifier, &body.replace("object=k", "object=l"), 1)), "seal_wrong");
    assert_eq!(reason(at_time(&verifier, &format!("{body}&role=admin"), 1)), "seal_wrong");
    assert_eq!(reason(at_time(&verifier, &body.replace("bucket=b&", ""), 1)), "seal_wrong");
    assert_eq!(reason(at_time(&verifier, "bucket=b&object=k", 1)), "seal_missing");
    assert_eq!(reason(at_time(&verifier, "bucket=b&object=k&seal=", 1)), "seal_missing");
    let event = at_time(&verifier, &body, 999).unwrap();
    assert_eq!(event.seal().unwrap().nonce, "nonce-nonce-nonce");
    assert_eq!(event.variables().collect::<Vec<_>>(), [("order", "42")]);
    assert_eq!(reason(at_time(&verifier, &body, 999)), "replayed");
    assert!(at_time(&verifier, &sealed_body(&[], "another-nonce-16"), 1).is_ok());
    let others = builder().build().unwrap();
    assert_eq!(reason(at_time(&others, &body, 1)), "seal_wrong");
    let error = at_time(&others, &body, 1).unwrap_err();
    assert!(!format!("{error} {error:?} {others:?}").contains("secret of"), "{error} {others:?}");
}

#[test]
fn a_seal_fits_a_users_own_template_with_constants_in_it() {
    let oss = Oss::new("oss_like");
    let template = "b=${bucket}&k=${object}&source=web&o=${x:order}&s=${x:seal}";
    let seal =
        seal(&Secret::new(SECRET), "b", "k", [("x:order", "4 2")], "nonce-nonce-nonce", at(1000)).unwrap();
    let body = format!("b=b&k=k&source=web&o=4%202&s={seal}");
    let headers = oss.headers("/cb", body.as_bytes());
    let builder = || CallbackVerifier::builder().trusted_key(oss.pem()).seal_secret(SECRET);
    let with = builder().template(template).build().unwrap();
    assert!(with.verify_at("POST", "/cb", headers.clone(), body.as_bytes(), at(1)).is_ok());
    let now = |now| with.verify_now_at("POST", "/cb", headers.clone(), body.as_bytes(), at(now));
    assert!(matches!(now(999).unwrap(), Verdict::Accepted(event) if event.seal().is_some()));
    assert_eq!(reason(now(1000)), "seal_expired");
    let without = builder().build().unwrap();
    let outcome = without.verify_at("POST", "/cb", headers.clone(), body.as_bytes(), at(1));
    assert_eq!(reason(outcome), "seal_missing", "without the template `s` is just a variable");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (field, builder) in [
        ("trusted_keys", CallbackVerifier::builder().trusted_key("-----BEGIN CERTIFICATE-----")),
        ("official_keys", CallbackVerifier::builder().official_keys(false)),
        ("seal_secret", CallbackVerifier::builder().seal_secret("short")),
        ("first_use", CallbackVerifier::builder().first_use(|_, _| true)),
        ("template", CallbackVerifier::builder().template("a=${nonsense}")),
        ("body_timeout", CallbackVerifier::builder().body_timeout(Duration::ZERO)),
        ("body_timeout", CallbackVerifier::builder().body_timeout(Duration::MAX)),
    ] {
        assert_eq!(builder.build().unwrap_err().field(), Some(field));
    }
}

#[test]
fn whoever_reads_a_body_is_told_its_bounds() {
    let bounds = |builder: CallbackVerifierBuilder| {
        let verifier = builder.build().unwrap();
        (verifier.max_body(), verifier.body_timeout())
    };
    assert_eq!(bounds(CallbackVerifier::builder()), (1024 * 1024, Duration::from_secs(5)));
    let own = CallbackVerifier::builder().max_body(100).body_timeout(Duration::from_micros(1500));
    assert_eq!(bounds(own), (100, Duration::from_micros(1500)));
}

#[test]
fn no_request_makes_it_panic() {
    let (oss, mut random) = (Oss::new("oss_like"), super::super::testing::Random::new(5));
    let verifier = CallbackVerifier::builder().trusted_key(oss.pem()).official_keys(true).seal_secret(SECRET);
    let verifier = verifier.build().unwrap();
    let names = [
        "authorization",
        "x-oss-pub-key-url",
        "content-type",
        "content-md5",
        "x-original-uri",
        "x-forwarded-prefix",
    ];
    let text = |random: &mut super::super::testing::Random| {
        let length = random.below(30);
        random.bytes(length)
    };
    for _ in 0..3_000 {
        let target = format!("/{}", String::from_utf8_lossy(&text(&mut random)));
        let body = text(&mut random);
        let mut headers: Vec<(&str, Vec<u8>)> =
            (0..random.below(5)).map(|_| (names[random.below(names.len())], text(&mut random))).collect();
        if random.below(2) == 0 {
            // A real signature over something else, so that the diagnosis runs.
            headers.retain(|(name, _)| *name != "authorization");
            headers.push(("authorization", oss.sign("/cb", b"a=1").into_bytes()));
        }
        assert!(verifier.verify("POST", &target, headers, &body).is_err());
    }
}

#[test]
fn settings_that_contradict_one_another_or_say_nothing_are_refused() {
    let callback = Callback::builder("https://app.example.com/cb").var("a", "1").build().unwrap();
    let both = CallbackVerifier::builder().callback(&callback);
    for both in [both.clone().template("a=${x:a}"), both.template_type(BodyType::Json)] {
        let error = both.build().unwrap_err();
        assert_eq!((error.kind(), error.field()), (crate::ErrorKind::InvalidArgument, Some("template")));
    }
    // What comes by its name, as from other languages, may be a list of secrets that were not found.
    for name in ["seal_secret", "bucket", "trusted_keys"] {
        let mut builder = CallbackVerifier::builder();
        let error = builder.set(name, crate::OptionValue::List(Vec::new())).unwrap_err();
        assert_eq!((error.field(), error.message()), (Some(name), "must not be an empty list"));
    }
}

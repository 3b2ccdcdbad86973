//! Browser forms from the policy that core signs over the emulator to the verifier, sealed callbacks
//! included.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use oss_callback::receive::CallbackVerifier;
use oss_callback::{Callback, Credentials, SignatureVersion, Signer};
use oss_callback_tests::rig::{BUCKET, Rig};
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const LATER: &str = "2999-01-01T00:00:00.000Z";

type Fields = Vec<(String, String)>;

fn signer(rig: &Rig, version: SignatureVersion) -> Signer {
    let (id, secret) = (rig.emulator.access_key_id(), rig.emulator.access_key_secret());
    let credentials = Credentials::new(id, secret).unwrap();
    match version {
        SignatureVersion::V4 => Signer::v4(credentials, rig.emulator.region()).unwrap(),
        _ => Signer::v1(credentials),
    }
}

/// The fields of a form for this key, whose policy holds these conditions beside those that must be.
fn signed(rig: &Rig, version: SignatureVersion, key: &str, conditions: &[Value]) -> Fields {
    signed_at(rig, version, key, conditions, LATER)
}

fn signed_at(rig: &Rig, version: SignatureVersion, key: &str, conditions: &[Value], until: &str) -> Fields {
    let (signer, now) = (signer(rig, version), SystemTime::now());
    let mut all = vec![json!({ "bucket": BUCKET }), json!(["eq", "$key", key])];
    all.extend(
        signer.policy_conditions(now).unwrap().into_iter().map(|(name, value)| json!({ name: value })),
    );
    all.extend_from_slice(conditions);
    let policy = json!({ "expiration": until, "conditions": all }).to_string();
    let mut fields = vec![("key".to_owned(), key.to_owned())];
    fields.extend(signer.sign_policy(&policy, now).unwrap());
    fields
}

fn with(mut fields: Fields, more: &[(&str, &str)]) -> Fields {
    fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    fields
}

/// Status, head and body of the answer.
fn post(rig: &Rig, fields: &[(String, String)], file: &[u8]) -> (u16, String, String) {
    let address = rig.emulator.address().to_string();
    post_to(rig, &address, &format!("/{BUCKET}/"), fields, file)
}

/// To another host and path than those of path style, for which `post` is.
fn post_to(
    rig: &Rig,
    host: &str,
    path: &str,
    fields: &[(String, String)],
    file: &[u8],
) -> (u16, String, String) {
    let mut body = Vec::new();
    for (name, value) in fields {
        write!(body, "--frontier\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            .unwrap();
    }
    let disposition = "Content-Disposition: form-data; name=\"file\"; filename=\"cat.jpg\"";
    write!(body, "--frontier\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n").unwrap();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--frontier--\r\n");
    let mut stream = TcpStream::connect(rig.emulator.address()).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: Multipart/Form-Data; boundary=frontier\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

#[test]
fn a_signed_form_stores_the_file_with_what_its_fields_say() {
    for version in SignatureVersion::ALL {
        let rig = Rig::start();
        let fields = signed(&rig, *version, "pets/${filename}", &[json!(["content-length-range", 1, 100])]);
        let fields = with(fields, &[("Cache-Control", "no-cache"), ("x-oss-meta-who", "me")]);
        let file = b"\r\n--frontie\0\xff";
        let (status, head, body) = post(&rig, &fields, file);
        assert_eq!((status, body.as_str()), (204, ""), "{head}");
        let object = rig.emulator.object(BUCKET, "pets/cat.jpg").unwrap();
        assert_eq!((&*object.data, object.content_type.as_str()), (&file[..], "image/jpeg"));
        assert!(object.headers.contains(&("x-oss-meta-who".to_owned(), "me".to_owned())), "{object:?}");
        assert!(head.contains(&format!("x-oss-hash-crc64ecma: {}", object.crc64)), "{head}");
    }
}

#[test]
fn a_sealed_callback_travels_in_a_form() {
    for version in SignatureVersion::ALL {
        let rig = Rig::start();
        let callback = Callback::builder(rig.app.url("/ok?a=1"))
            .var("order", "n° 42 & more")
            .idempotency_variable("upload_id")
            .seal(SECRET, Duration::from_secs(60))
            .build()
            .unwrap();
        let sealed = callback.sealed_for(BUCKET, "cat.jpg", SystemTime::now()).unwrap();
        let condition = json!(["eq", "$callback", sealed.encoded()]);
        let mut fields = signed(&rig, *version, "cat.jpg", &[condition]);
        fields.push(("callback".to_owned(), sealed.encoded().to_owned()));
        fields.extend(sealed.vars().iter().cloned());
        let (status, head, body) = post(&rig, &fields, b"meow");
        assert_eq!((status, body.as_str()), (200, r#"{"Status":"OK"}"#), "{head}");

        let verifier =
            CallbackVerifier::builder().trusted_key(rig.emulator.public_key_pem()).seal_secret(SECRET);
        let verifier = verifier.build().unwrap();
        let request = rig.app.callbacks().pop().unwrap();
        let headers = || request.headers.iter().map(|(name, value)| (name, value));
        let event = verifier.verify(&request.method, &request.target, headers(), &request.body).unwrap();
        assert_eq!((event.key(), event.size().value()), (Some("cat.jpg"), Some(4)));
        assert_eq!(event.variable("order"), Some("n° 42 & more"));
        assert_eq!(event.variable("upload_id").map(str::len), Some(22));

        // Whoever changes a variable on the way has OSS sign the change, and the seal tells.
        let other = fields.iter().map(|(name, value)| match name.as_str() {
            "x:order" => (name.clone(), "43".to_owned()),
            _ => (name.clone(), value.clone()),
        });
        assert_eq!(post(&rig, &other.collect::<Vec<_>>(), b"meow").0, 200);
        let request = rig.app.callbacks().pop().unwrap();
        let headers = request.headers.iter().map(|(name, value)| (name, value));
        let error = verifier.verify(&request.method, &request.target, headers, &request.body).unwrap_err();
        assert_eq!(error.reason().map(|reason| reason.name()), Some("seal_wrong"));
    }
}

#[test]
fn a_callback_that_fails_leaves_the_object_stored() {
    let rig = Rig::start();
    let callback = Callback::new(rig.app.url("/status/500")).unwrap();
    let fields = with(signed(&rig, SignatureVersion::V4, "k", &[]), &[("callback", callback.encoded())]);
    let (status, _, body) = post(&rig, &fields, b"x");
    assert!(status == 203 && body.contains("<Code>CallbackFailed</Code>"), "{status} {body}");
    assert!(rig.emulator.object(BUCKET, "k").is_some());
    let (status, _, body) = post(&rig, &with(fields, &[("x:Upper", "1")]), b"x");
    assert!(status == 400 && body.contains("in lowercase"), "{status} {body}");
}

#[test]
fn the_answer_is_the_one_that_the_form_asks_for() {
    let rig = Rig::start();
    for (field, value, status, part) in [
        ("success_action_status", "200", 200, "content-length: 0"),
        ("success_action_status", "201", 201, "<PostResponse>"),
        ("success_action_status", "404", 204, "etag"),
        ("success_action_redirect", "http://a.example/done", 303, "location: http://a.example/done"),
    ] {
        let fields = with(signed(&rig, SignatureVersion::V4, "k", &[]), &[(field, value)]);
        let (seen, head, body) = post(&rig, &fields, b"x");
        assert_eq!(seen, status, "{field}={value}");
        assert!(format!("{head}{body}").contains(part), "{head}{body}");
    }
}

#[test]
fn what_the_policy_does_not_allow_is_not_stored() {
    /// The condition, further fields, status and code.
    type Case = (Value, &'static [(&'static str, &'static str)], u16, &'static str);
    let version = SignatureVersion::V4;
    let cases: [Case; 9] = [
        (json!(["content-length-range", 1, 3]), &[], 400, "EntityTooLarge"),
        (json!(["content-length-range", 5, 9]), &[], 400, "EntityTooSmall"),
        (json!(["starts-with", "$key", "elsewhere/"]), &[], 403, "AccessDenied"),
        (json!({ "success_action_status": "201" }), &[("success_action_status", "200")], 403, "AccessDenied"),
        (
            json!(["in", "$content-type", ["image/png"]]),
            &[("content-type", "image/jpeg")],
            403,
            "AccessDenied",
        ),
        (json!(["not-in", "$content-type", ["a/b"]]), &[("content-type", "a/b")], 403, "AccessDenied"),
        (json!(["like", "$key", "k"]), &[], 400, "InvalidPolicyDocument"),
        (json!(["eq", "key", "k"]), &[], 400, "InvalidPolicyDocument"),
        (json!(["STARTS-WITH", "$key", "k"]), &[], 400, "InvalidPolicyDocument"),
    ];
    for (condition, more, status, code) in cases {
        let rig = Rig::start();
        let fields = with(signed(&rig, version, "k", std::slice::from_ref(&condition)), more);
        let (seen, _, body) = post(&rig, &fields, b"meow");
        assert_eq!(seen, status, "{condition}: {body}");
        assert!(body.contains(code) && rig.emulator.object(BUCKET, "k").is_none(), "{condition}: {body}");
    }
}

#[test]
fn a_form_reaches_its_bucket_by_every_name_of_the_emulator() {
    let virtual_host = format!("{BUCKET}.localhost");
    for (host, path, status) in [
        ("localhost:9000", format!("/{BUCKET}/"), 204),
        ("host.docker.internal:9000", format!("/{BUCKET}/"), 204),
        ("host.docker.internal:9000", format!("/{BUCKET}"), 204),
        (&virtual_host, "/".to_owned(), 204),
        // A form goes to a bucket, not to a key in it.
        (&virtual_host, "/uploads/".to_owned(), 403),
    ] {
        for used in [false, true] {
            let rig = Rig::start();
            let fields = signed(&rig, SignatureVersion::V4, "k", &[]);
            if used || status == 403 {
                assert_eq!(post(&rig, &fields, b"x").0, 204);
            }
            let (seen, _, body) = post_to(&rig, host, &path, &fields, b"new");
            assert_eq!(seen, status, "{host}{path}: {body}");
            let stored = rig.emulator.object(BUCKET, "k").unwrap();
            assert_eq!(stored.data == "new", status == 204, "{host}{path}");
            assert!(rig.emulator.keys("uploads").is_empty());
        }
    }
}

#[test]
fn a_form_for_one_bucket_is_good_for_no_other() {
    let rig = Rig::start();
    for fields in [&[][..], &[("bucket", BUCKET)]] {
        let fields = with(signed(&rig, SignatureVersion::V4, "k", &[]), fields);
        let address = rig.emulator.address().to_string();
        let (status, _, body) = post_to(&rig, &address, "/another-bucket/", &fields, b"x");
        assert!(status == 403 && body.contains("Policy Condition failed"), "{status} {body}");
        assert!(rig.emulator.keys("another-bucket").is_empty());
        // The field is one more that says nothing.
        let fields = with(fields, &[("bucket", "another-bucket")]);
        assert_eq!(post(&rig, &fields, b"x").0, 204);
    }
}

#[test]
fn forms_that_are_not_signed_right_are_refused() {
    let rig = Rig::start();
    for version in SignatureVersion::ALL {
        let signature = if *version == SignatureVersion::V4 { "x-oss-signature" } else { "Signature" };
        let good = || signed(&rig, *version, "k", &[]);
        let mut wrong = good();
        wrong.iter_mut().filter(|(name, _)| name == signature).for_each(|(_, value)| value.push('0'));
        let mut lacking = good();
        lacking.retain(|(name, _)| name != signature);
        let mut other_key = good();
        other_key[0].1 = "other".to_owned();
        let expired = signed_at(&rig, *version, "k", &[], "2020-01-01T00:00:00.000Z");
        for (fields, code) in [
            (wrong, "SignatureDoesNotMatch"),
            (lacking, if *version == SignatureVersion::V4 { "AccessDenied" } else { "InvalidArgument" }),
            (other_key, "Policy Condition failed"),
            (expired, "Policy expired"),
            (vec![("key".to_owned(), "k".to_owned())], "not signed"),
        ] {
            let (status, _, body) = post(&rig, &fields, b"x");
            assert!(status >= 400 && body.contains(code), "{code}: {status} {body}");
        }
    }
    assert!(rig.emulator.keys(BUCKET).is_empty());
}

//! Client, emulator, application server and verifier together: what each refuses, and that the chain
//! holds from the uploader to the application server's answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use oss_callback::receive::CallbackVerifier;
use oss_callback::sign::SignRequest;
use oss_callback::{
    Addressing, BodyType, Callback, CallbackCause, Client, ClientBuilder, Credentials, Endpoint, Error,
    ErrorKind, SignatureVersion, Signer,
};
use oss_callback_emulator::{CallbackConfig, Emulator};
use oss_callback_tests::app_server::AppServer;

const BUCKET: &str = "examplebucket";

fn client_of(emulator: &Emulator, version: SignatureVersion) -> Client {
    builder_of(emulator, version).build().unwrap()
}

fn builder_of(emulator: &Emulator, version: SignatureVersion) -> ClientBuilder {
    Client::builder()
        .endpoint(emulator.endpoint())
        .region(emulator.region())
        .access_key_id(emulator.access_key_id())
        .access_key_secret(emulator.access_key_secret())
        .signature_version(version)
}

fn put(emulator: &Emulator, callback: &Callback) -> Result<oss_callback::CallbackReply, Error> {
    client_of(emulator, SignatureVersion::V4).put_object_with_callback(
        BUCKET,
        "dir/a+b.txt",
        b"Hello OSS",
        callback,
    )
}

#[test]
fn the_application_server_can_verify_and_understand_what_it_received() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    for body_type in [BodyType::Form, BodyType::Json] {
        let callback = Callback::builder(app.url("/ok?a=1&b=%2F"))
            .body_type(body_type)
            .var("order", "n° 42 & more")
            .build()
            .unwrap();
        let reply = put(&emulator, &callback).unwrap();
        let request = app.callbacks().pop().unwrap();
        let headers = || request.headers.iter().map(|(name, value)| (name, value));
        let verifier = CallbackVerifier::builder().trusted_key(emulator.public_key_pem()).build().unwrap();
        let event = verifier.verify(&request.method, &request.target, headers(), &request.body).unwrap();
        assert_eq!((event.bucket(), event.key()), (Some(BUCKET), Some("dir/a+b.txt")));
        assert_eq!(event.etag(), reply.etag());
        assert_eq!(event.size().value(), Some(9));
        assert_eq!(event.variable("order"), Some("n° 42 & more"));

        let mut forged = request.body.clone();
        forged[0] ^= 1;
        let error = verifier.verify(&request.method, &request.target, headers(), &forged).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification);
        let official = CallbackVerifier::builder().build().unwrap();
        official.verify(&request.method, &request.target, headers(), &request.body).unwrap_err();
    }
}

#[test]
fn a_late_application_server_is_a_timeout_of_the_callback() {
    let mut config = CallbackConfig::default();
    config.timeout = Duration::from_millis(200);
    let emulator = Emulator::builder().callback(config).start().unwrap();
    let app = AppServer::start().unwrap();
    let error = put(&emulator, &Callback::new(app.url("/delay/1000")).unwrap()).unwrap_err();
    assert_eq!((error.kind(), error.cause()), (ErrorKind::CallbackFailed, Some(CallbackCause::Timeout)));
    assert_eq!(error.ec(), Some("0007-00000202"));
    assert!(error.stored() && emulator.object(BUCKET, "dir/a+b.txt").is_some());
}

#[test]
fn too_many_callbacks_and_unreadable_images_have_their_own_causes() {
    let app = AppServer::start().unwrap();
    let mut config = CallbackConfig::default();
    config.max_concurrent = Some(0);
    let emulator = Emulator::builder().callback(config).start().unwrap();
    let error = put(&emulator, &Callback::new(app.url("/ok")).unwrap()).unwrap_err();
    assert_eq!((error.cause(), error.ec()), (Some(CallbackCause::Busy), Some("0007-00000201")));

    let mut config = CallbackConfig::default();
    config.image_info_fails = true;
    let emulator = Emulator::builder().callback(config).start().unwrap();
    let callback = Callback::builder(app.url("/ok")).body("w=${imageInfo.width}").build().unwrap();
    let error = put(&emulator, &callback).unwrap_err();
    assert_eq!((error.cause(), error.ec()), (Some(CallbackCause::ImageInfo), Some("0007-00000302")));
}

#[test]
fn urls_are_tried_in_turn_until_one_succeeds() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    let callback = Callback::builder(app.url("/status/500"))
        .url(app.url("/reset"))
        .url(app.url("/ok"))
        .url(app.url("/echo"))
        .build()
        .unwrap();
    assert_eq!(put(&emulator, &callback).unwrap().text(), r#"{"Status":"OK"}"#);
    let paths: Vec<String> = app.callbacks().iter().map(|r| r.target.clone()).collect();
    assert_eq!(paths, ["/status/500", "/reset", "/ok"]);
}

#[test]
fn what_the_builder_lets_through_unchecked_is_refused_by_oss_and_nothing_is_stored() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    let good = || Callback::builder(app.url("/ok")).unchecked(true);
    let refused = [
        (Callback::builder("http://host:port/").unchecked(true), "0007-00000004"),
        (
            Callback::builder("http://a/;http://b/;http://c/;http://d/;http://e/;http://f/").unchecked(true),
            "0007-00000005",
        ),
        (good().body(""), "0007-00000011"),
        (good().body("a".repeat(6000)), "0007-00000001"),
        (good().var("long", "v".repeat(6000)), "0007-00000101"),
        (good().body("a=$x:my_var}"), "0007-00000105"),
        (good().header("x-oss-mine", "1"), "0007-00000026"),
    ];
    for (builder, ec) in refused {
        let callback = builder.build().unwrap_or_else(|error| panic!("{ec}: {error}"));
        let error = put(&emulator, &callback).unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Service, Some(400)), "{ec}: {error}");
        assert_eq!((error.code(), error.ec()), (Some("InvalidArgument"), Some(ec)), "{error}");
    }
    assert!(emulator.keys(BUCKET).is_empty() && app.callbacks().is_empty());
}

#[test]
fn a_strict_emulator_refuses_private_addresses_and_unknown_buckets_as_oss_does() {
    let emulator = Emulator::builder().strict(true).start().unwrap();
    let app = AppServer::start().unwrap();
    let callback = Callback::new(app.url("/ok")).unwrap();
    // A public address, to which nothing is sent: there is no bucket to store to.
    let error = put(&emulator, &Callback::new("http://203.0.113.7/cb").unwrap()).unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), Some("NoSuchBucket")), "{error}");
    create_bucket(&emulator);
    let error = put(&emulator, &callback).unwrap_err();
    assert_eq!((error.status(), error.ec()), (Some(400), Some("0007-00000008")), "{error}");
    assert!(error.to_string().contains("Private address is forbidden to callback"), "{error}");
}

#[test]
fn a_wrong_clock_is_told_from_a_wrong_secret() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    for version in SignatureVersion::ALL {
        for (offset, accepted) in [(14 * 60, true), (-14 * 60, true), (16 * 60, false), (-16 * 60, false)] {
            emulator.set_clock_offset_seconds(offset);
            let callback = Callback::new(app.url("/ok")).unwrap();
            let put = |client: Client| client.put_object_with_callback(BUCKET, "a", b"data", &callback);
            // Tried again, it is signed with OSS's own time.
            put(client_of(&emulator, *version)).unwrap();
            let outcome = put(builder_of(&emulator, *version).retries(0).build().unwrap());
            match outcome {
                Ok(_) => assert!(accepted, "{version:?} at {offset} s"),
                Err(error) => {
                    assert!(!accepted, "{version:?} at {offset} s: {error}");
                    assert_eq!((error.status(), error.code()), (Some(403), Some("RequestTimeTooSkewed")));
                    assert!(error.hint().unwrap().contains("clock"), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_signed_url_carries_its_callback_until_it_expires() {
    let emulator = Emulator::builder().start().unwrap();
    let app = AppServer::start().unwrap();
    let callback = Callback::builder(app.url("/ok")).var("order", "42").build().unwrap();
    let credentials = Credentials::new(emulator.access_key_id(), emulator.access_key_secret()).unwrap();
    let signers = [Signer::v4(credentials.clone(), emulator.region()).unwrap(), Signer::v1(credentials)];
    for signer in signers {
        emulator.set_clock_offset_seconds(0);
        let request = SignRequest {
            method: "PUT".to_owned(),
            bucket: Some(BUCKET.to_owned()),
            key: Some("signed.txt".to_owned()),
            query: vec![
                ("callback".to_owned(), Some(callback.encoded().to_owned())),
                ("callback-var".to_owned(), callback.encoded_vars().map(str::to_owned)),
            ],
            ..SignRequest::default()
        };
        let endpoint = Endpoint::parse(&emulator.endpoint()).unwrap();
        let presigned = signer
            .presign(&request, &endpoint, Addressing::Auto, Duration::from_secs(60), SystemTime::now())
            .unwrap();
        let target = presigned.url.strip_prefix(&emulator.endpoint()).unwrap();
        let answer = exchange(&emulator, "PUT", target, "", "from a browser");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"Status":"OK"}"#), "{answer}");

        emulator.set_clock_offset_seconds(120);
        let answer = exchange(&emulator, "PUT", target, "", "too late");
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("<Code>AccessDenied</Code>"),
            "{answer}"
        );
        assert_eq!(emulator.object(BUCKET, "signed.txt").unwrap().data, "from a browser");
    }
    assert_eq!(app.callbacks().len(), 2);
}

fn create_bucket(emulator: &Emulator) {
    let credentials = Credentials::new(emulator.access_key_id(), emulator.access_key_secret()).unwrap();
    let signer = Signer::v4(credentials, emulator.region()).unwrap();
    let request =
        SignRequest { method: "PUT".to_owned(), bucket: Some(BUCKET.to_owned()), ..SignRequest::default() };
    let signed = signer.sign(&request, SystemTime::now()).unwrap();
    let headers: String = signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = exchange(emulator, "PUT", &format!("/{BUCKET}/"), &headers, "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

pub(super) fn exchange(emulator: &Emulator, method: &str, target: &str, headers: &str, body: &str) -> String {
    let address = emulator.address();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

//! The scenarios of `tests/scenarios.toml`, in Rust; those about large uploads and about receiving are in
//! `scenarios_upload.rs` and `scenarios_receive.rs`. The other languages show the same ones, each in its
//! own folder below `tests/`; `scenario_list.rs` sees to it that none is missing.

use std::time::{Duration, Instant};

use oss_callback::callback::PreviewValues;
use oss_callback::{
    BodyType, Callback, CallbackCause, CallbackPlacement, CallbackReply, Cancel, Client, ClientBuilder,
    Credentials, Error, ErrorKind, PutOptions, PutRequest, SignatureVersion, checksum,
};
use oss_callback_emulator::{AccessKey, Emulator};
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::faulty_oss::{self, HANG};
use oss_callback_tests::http::{ClosedPort, Server};
use serde_json::{Value, json};

/// What the `testbed` command gives the other languages.
pub struct Bed {
    pub emulator: Emulator,
    pub app: AppServer,
}

pub const BUCKET: &str = "examplebucket";
pub const STS: (&str, &str, &str) = ("STS.TestbedKeyId", "TestbedStsSecret", "TestbedSecurityToken");

impl Bed {
    pub fn new() -> Bed {
        let emulator = Emulator::builder()
            .access_key(AccessKey::new("TestbedKeyId", "TestbedKeySecret"))
            .access_key(AccessKey::temporary(STS.0, STS.1, STS.2, None))
            .start()
            .unwrap();
        Bed { emulator, app: AppServer::start().unwrap() }
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .endpoint(self.emulator.endpoint())
            .region(self.emulator.region())
            .access_key_id(self.emulator.access_key_id())
            .access_key_secret(self.emulator.access_key_secret())
    }

    pub fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    fn callback(&self, path: &str) -> Callback {
        Callback::new(self.app.url(path)).unwrap()
    }

    fn put(&self, path: &str) -> Result<CallbackReply, Error> {
        self.client().put_object_with_callback(BUCKET, "a.txt", b"Hello OSS", &self.callback(path))
    }
}

fn faulty_client(server: &Server) -> Client {
    client_of(server.url())
}

fn client_of(endpoint: String) -> Client {
    Client::builder()
        .endpoint(endpoint)
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret("secret")
        .build()
        .unwrap()
}

fn anywhere() -> Callback {
    Callback::new("http://app.example.com/cb").unwrap()
}

#[test]
fn reply_comes_back() {
    let bed = Bed::new();
    let reply = bed.put("/ok").unwrap();
    assert_eq!(reply.text(), r#"{"Status":"OK"}"#);
    assert_eq!(reply.json().unwrap(), json!({"Status": "OK"}));
    assert_eq!(reply.content_type(), Some("application/json"));
    let object = bed.emulator.object(BUCKET, "a.txt").unwrap();
    assert_eq!(object.data, "Hello OSS");
    assert_eq!(reply.etag(), Some(object.etag.as_str()));
    assert_eq!(reply.crc64(), Some(checksum::crc64(b"Hello OSS")));
    assert_eq!(reply.request_id().map(str::len), Some(24));
}

#[test]
fn application_server_receives_the_callback() {
    let bed = Bed::new();
    let callback = Callback::builder(bed.app.url("/echo"))
        .body_type(BodyType::Json)
        .body(r#"{"object":${object},"size":${size},"note":${x:note}}"#)
        .var("note", "brød & \"smør\" 中文")
        .header("x-my-header", "mine")
        .build()
        .unwrap();
    let reply = bed.client().put_object_with_callback(BUCKET, "dir/ø.txt", b"Hello OSS", &callback).unwrap();
    let echo = reply.json().unwrap();
    assert_eq!(echo["method"], "POST");
    let body: Value = serde_json::from_str(echo["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"object": "dir/ø.txt", "size": 9, "note": "brød & \"smør\" 中文"}));
    let headers = echo["headers"].to_string().to_ascii_lowercase();
    assert!(headers.contains(r#"["x-my-header","mine"]"#), "{headers}");
}

#[test]
fn built_fields_reach_the_application_server() {
    let bed = Bed::new();
    for body_type in [BodyType::Form, BodyType::Json] {
        let callback = Callback::builder(bed.app.url("/echo"))
            .body_type(body_type)
            .field("where", "${bucket}")
            .field("bytes", "${size}")
            .field("a b", "x=1&y=2")
            .build()
            .unwrap();
        let reply = bed.client().put_object_with_callback(BUCKET, "a", b"Hello OSS", &callback).unwrap();
        let body = reply.json().unwrap()["body"].as_str().unwrap().to_owned();
        match body_type {
            BodyType::Json => {
                let body: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(body, json!({"where": BUCKET, "bytes": 9, "a b": "x=1&y=2"}));
            }
            _ => assert_eq!(body, "where=examplebucket&bytes=9&a%20b=x%3D1%26y%3D2"),
        }
    }
}

#[test]
fn preview_shows_the_body_that_is_sent() {
    let bed = Bed::new();
    for body_type in [BodyType::Form, BodyType::Json] {
        let callback = Callback::builder(bed.app.url("/echo"))
            .body_type(body_type)
            .var("order", "n° 42/7")
            .build()
            .unwrap();
        let data = b"Hello OSS";
        let reply = bed.client().put_object_with_callback(BUCKET, "dir/a.txt", data, &callback).unwrap();
        let values = PreviewValues::new()
            .bucket(BUCKET)
            .object("dir/a.txt")
            .etag(reply.etag().unwrap())
            .size(data.len() as u64)
            .mime_type("text/plain");
        assert_eq!(reply.json().unwrap()["body"], callback.preview(&values).unwrap());
    }
}

#[test]
fn reply_views_never_fail_the_upload() {
    let server = faulty_oss::start().unwrap();
    let client = faulty_client(&server);
    let bodies: [(&str, &[u8]); 4] = [
        ("json/a", br#"{"Status":"OK"}"#),
        ("text/a", b"thank you"),
        ("empty/a", b""),
        ("binary/a", &[0xfe, 0x00, 0xff]),
    ];
    for (key, body) in bodies {
        let reply = client.put_object_with_callback(BUCKET, key, b"", &anywhere()).unwrap();
        assert_eq!(reply.body(), body, "{key}");
        assert_eq!(reply.json().is_ok(), key == "json/a", "{key}");
    }
}

#[test]
fn failed_callback_says_the_object_is_stored() {
    let bed = Bed::new();
    let nobody = ClosedPort::take().unwrap();
    let refused = nobody.url();
    let causes = [
        (bed.app.url("/status/500"), CallbackCause::BadStatus, "0007-00000203", Some(500)),
        (bed.app.url("/status/201"), CallbackCause::BadStatus, "0007-00000203", Some(201)),
        (bed.app.url("/redirect"), CallbackCause::BadStatus, "0007-00000203", Some(302)),
        (bed.app.url("/reset"), CallbackCause::Unreachable, "0007-00000203", None),
        (refused, CallbackCause::Unreachable, "0007-00000203", None),
        (bed.app.url("/empty"), CallbackCause::BadContentLength, "0007-00000204", Some(400)),
        (bed.app.url("/chunked"), CallbackCause::BadContentLength, "0007-00000204", Some(400)),
        (bed.app.url("/large/1100000"), CallbackCause::BadContentLength, "0007-00000204", Some(400)),
        (bed.app.url("/text"), CallbackCause::NotJson, "0007-00000205", None),
        (bed.app.url("/binary"), CallbackCause::NotJson, "0007-00000205", None),
        (bed.app.url("/bom"), CallbackCause::NotJson, "0007-00000205", None),
    ];
    for (url, cause, ec, status) in causes {
        let key = url.rsplit("//").next().unwrap().replace([':', '.'], "-");
        let callback = Callback::new(&url).unwrap();
        let error = bed.client().put_object_with_callback(BUCKET, &key, b"Hello OSS", &callback).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CallbackFailed, "{url}: {error}");
        assert_eq!((error.cause(), error.ec()), (Some(cause), Some(ec)), "{url}: {error}");
        assert_eq!(error.callback_status(), status, "{url}: {error}");
        assert!(error.stored() && error.hint().is_some() && error.request_id().is_some(), "{url}: {error}");
        let object = bed.emulator.object(BUCKET, &key).unwrap();
        assert_eq!(error.etag(), Some(object.etag.as_str()), "{url}");
        assert_eq!(error.crc64(), Some(object.crc64), "{url}");
    }
}

#[test]
fn callback_in_the_query_works_the_same() {
    let bed = Bed::new();
    let options = PutOptions::default().callback_in(CallbackPlacement::Query);
    for version in [SignatureVersion::V4, SignatureVersion::V1] {
        let client = bed.builder().signature_version(version).build().unwrap();
        let put = |path| {
            let callback = Callback::builder(bed.app.url(path)).var("a", "b+/=").build().unwrap();
            client.put_object_with_callback_opts(BUCKET, "a", b"data", &callback, &options)
        };
        assert_eq!(put("/ok").unwrap().text(), r#"{"Status":"OK"}"#);
        assert_eq!(put("/status/500").unwrap_err().kind(), ErrorKind::CallbackFailed);
    }
    let requests = bed.emulator.requests();
    let requests = format!("{requests:?}").to_ascii_lowercase();
    assert!(requests.contains("callback=") && !requests.contains("x-oss-callback"), "{requests}");
}

#[test]
fn wrong_secret_is_a_service_error() {
    let bed = Bed::new();
    for version in [SignatureVersion::V4, SignatureVersion::V1] {
        let client =
            bed.builder().access_key_secret("notthesecret").signature_version(version).build().unwrap();
        let error = client.put_object_with_callback(BUCKET, "a", b"data", &bed.callback("/ok")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Service);
        assert_eq!((error.status(), error.code()), (Some(403), Some("SignatureDoesNotMatch")));
        assert!(error.request_id().is_some());
        assert!(error.string_to_sign().is_some_and(|text| text.contains('\n')));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("notthesecret") && !shown.contains("string_to_sign:"), "{shown}");
    }
    assert_eq!(bed.app.callbacks().len(), 0);
    assert!(bed.emulator.object(BUCKET, "a").is_none());
}

#[test]
fn invalid_callback_is_refused_before_anything_is_sent() {
    let bad = [
        (Callback::builder("http://a.example/cb").body("o=${objekt}"), "callback.body"),
        (Callback::builder("http://a.example/cb").body("o=${x:missing}"), "callback.body"),
        (Callback::builder("http://a.example:port/cb"), "callback.url"),
        (Callback::builder("http://[::1]/cb"), "callback.url"),
    ];
    for (builder, field) in bad {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert_eq!(error.field(), Some(field), "{error}");
    }
    let error = Callback::builder("http://a.example:port/cb").build().unwrap_err();
    assert_eq!(error.ec(), Some("0007-00000004"));
}

#[test]
fn invalid_arguments_name_their_field() {
    let bed = Bed::new();
    let client = bed.client();
    let callback = bed.callback("/ok");
    let plain = PutOptions::default;
    let bad = [
        ("No_Bucket", "a", plain(), "bucket"),
        (BUCKET, "", plain(), "key"),
        (BUCKET, "/a", plain(), "key"),
        (BUCKET, "a", plain().traffic_limit(1), "traffic_limit"),
        (BUCKET, "a", plain().meta("name", "line\r\nbreak: yes"), "metadata"),
        (BUCKET, "a", plain().content_md5("d41d8cd98f00b204e9800998ecf8427e"), "content_md5"),
        (BUCKET, "a", plain().header("Authorization", "mine"), "headers"),
        (BUCKET, "a", plain().timeout(Duration::ZERO), "timeout"),
    ];
    for (bucket, key, options, field) in bad {
        let error =
            client.put_object_with_callback_opts(bucket, key, b"data", &callback, &options).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some(field)), "{error}");
    }
    assert!(bed.emulator.requests().is_empty(), "nothing was sent");
}

#[test]
fn signature_v1_and_v4_work() {
    let bed = Bed::new();
    for version in SignatureVersion::ALL {
        let client = bed.builder().signature_version(*version).build().unwrap();
        client.put_object_with_callback(BUCKET, "a", b"data", &bed.callback("/ok")).unwrap();
    }
}

#[test]
fn sts_token_is_sent_and_checked() {
    let bed = Bed::new();
    for version in SignatureVersion::ALL {
        let put = |token: &str| {
            let credentials = Credentials::new(STS.0, STS.1).unwrap().with_security_token(token).unwrap();
            let client = bed.builder().credentials(credentials).signature_version(*version).build().unwrap();
            client.put_object_with_callback(BUCKET, "a", b"data", &bed.callback("/ok"))
        };
        put(STS.2).unwrap();
        let error = put("AnotherToken").unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Service, Some(403)));
        assert!(!format!("{error:?}").contains("AnotherToken"));
    }
}

#[test]
fn awkward_keys_arrive_byte_for_byte() {
    let bed = Bed::new();
    let client = bed.client();
    let callback = Callback::builder(bed.app.url("/echo"))
        .body_type(BodyType::Json)
        .field("object", "${object}")
        .build();
    let callback = callback.unwrap();
    let keys = [
        "a//b",
        "a/./b",
        "a/../b",
        "../a",
        "./a",
        "a/..",
        "a/.",
        "a+b",
        "a%b",
        "a%2Fb",
        "a%2e%2e/b",
        "a?b=c",
        "a#b",
        "a b",
        " a ",
        "a\"b'c",
        "a&b=c;d",
        "a\\b",
        "a:b@c",
        "~!*()[]{}|^`<>",
        "中文/ключ/🎈",
        "a\u{301}",
        "a\tb",
        "a/",
        "...",
        "a/.../b",
        "%",
        "+",
    ];
    for key in keys {
        for placement in CallbackPlacement::ALL {
            let options = PutOptions::default().callback_in(*placement);
            let reply = client
                .put_object_with_callback_opts(BUCKET, key, b"data", &callback, &options)
                .unwrap_or_else(|error| panic!("{key:?}: {error}"));
            let echo = reply.json().unwrap();
            let body: Value = serde_json::from_str(echo["body"].as_str().unwrap()).unwrap();
            assert_eq!(body["object"], key);
            assert!(bed.emulator.object(BUCKET, key).is_some(), "{key:?}");
        }
    }
    assert_eq!(bed.emulator.keys(BUCKET).len(), keys.len(), "each key is an object of its own");
}

#[test]
fn sizes_0_1_and_64_mib_arrive_whole() {
    let bed = Bed::new();
    let client = bed.client();
    for size in [0, 1, 64 << 20] {
        let data: Vec<u8> = (0..size).map(|i: u32| (i % 251) as u8).collect();
        let crc = checksum::crc64(&data);
        let reply = client.put_object_with_callback(BUCKET, "a", data, &bed.callback("/echo")).unwrap();
        let body = reply.json().unwrap()["body"].as_str().unwrap().to_owned();
        assert!(body.contains(&format!("&size={size}&")), "{body}");
        assert_eq!(reply.crc64(), Some(crc));
    }
}

#[test]
fn upload_options_arrive() {
    let bed = Bed::new();
    let options = PutOptions::default()
        .content_type("application/x-my-type")
        .content_md5("auto")
        .cache_control("no-cache")
        .content_disposition("attachment")
        .content_encoding("identity")
        .expires("Sun, 22 Nov 2026 18:00:00 GMT")
        .storage_class(oss_callback::StorageClass::Ia)
        .acl(oss_callback::ObjectAcl::Private)
        .tag("a b", "x/y+z")
        .meta("Owner", "me")
        .server_side_encryption(oss_callback::ServerSideEncryption::Kms)
        .server_side_encryption_key_id("key-1")
        .server_side_data_encryption(oss_callback::ServerSideDataEncryption::Sm4)
        .traffic_limit(819_200)
        .forbid_overwrite(true)
        .header("x-oss-further", "1");
    let put = || {
        bed.client().put_object_with_callback_opts(BUCKET, "a.txt", b"data", &bed.callback("/echo"), &options)
    };
    let reply = put().unwrap();
    assert!(reply.text().contains("mimeType=application%2Fx-my-type"), "{}", reply.text());
    let sent = format!("{:?}", bed.emulator.requests());
    for header in [
        "jXd/OF09/siBXSD3SWAm3A==",
        "no-cache",
        "attachment",
        "identity",
        "Sun, 22 Nov 2026 18:00:00 GMT",
        "\"IA\"",
        "\"private\"",
        "a%20b=x%2Fy%2Bz",
        "x-oss-meta-owner",
        "key-1",
        "\"SM4\"",
        "\"819200\"",
        "x-oss-further",
    ] {
        assert!(sent.contains(header), "{header} is not in {sent}");
    }
    let error = put().unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(409), Some("FileAlreadyExists")));
}

#[test]
fn damaged_data_is_an_integrity_error() {
    let server = faulty_oss::start().unwrap();
    let error = faulty_client(&server)
        .put_object_with_callback(BUCKET, "wrong-crc/a", b"data", &anywhere())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(!error.stored() && !error.is_retryable() && error.etag().is_some(), "{error:?}");
}

#[test]
fn refused_connection_is_a_network_error() {
    let nobody = ClosedPort::take().unwrap();
    let client = client_of(nobody.url());
    let host = nobody.address().to_string();
    let error = client.put_object_with_callback(BUCKET, "a", b"data", &anywhere()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains(&host) && !error.to_string().contains("http://"), "{error}");
    assert!(error.os_error().is_some(), "{error:?}");
}

#[test]
fn timeout_is_reported() {
    let server = faulty_oss::start().unwrap();
    let options = PutOptions::default().timeout(Duration::from_millis(300));
    let begun = Instant::now();
    let error = faulty_client(&server)
        .put_object_with_callback_opts(BUCKET, "hang/a", b"data", &anywhere(), &options)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() < HANG / 2, "{:?}", begun.elapsed());
}

#[test]
fn cancel_ends_the_call_promptly() {
    let server = faulty_oss::start().unwrap();
    let client = faulty_client(&server);
    let cancel = Cancel::new();
    let begun = Instant::now();
    let request = PutRequest::new(BUCKET, "hang/a", b"data", &anywhere()).cancel(&cancel);
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        client.send(request).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < HANG / 10, "{:?}", begun.elapsed());
    client.put_object_with_callback(BUCKET, "json/a", b"data", &anywhere()).unwrap();
}

#[test]
fn parallel_calls_share_one_client() {
    let bed = Bed::new();
    let client = bed.client();
    let callback = bed.callback("/delay/1000");
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (client, callback) = (&client, &callback);
            scope.spawn(move || {
                client.put_object_with_callback(BUCKET, &number.to_string(), b"data", callback).unwrap();
            });
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(16) / 2, "{:?}", begun.elapsed());
}

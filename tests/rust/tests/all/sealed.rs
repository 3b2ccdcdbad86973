//! Sealed uploads from the client over the emulator to the verifier, and what an attacker can try who
//! has OSS sign for him: a valid signature over a body of his choice, but no seal.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use oss_callback::receive::{CallbackEvent, CallbackVerifier, CallbackVerifierBuilder};
use oss_callback::sign::SignRequest;
use oss_callback::{
    Addressing, BodyType, Callback, CallbackBuilder, CallbackPlacement, Client, Credentials, Endpoint,
    PutOptions, Signer, VerificationReason,
};
use oss_callback_emulator::Emulator;
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::http::Request;

const BUCKET: &str = "examplebucket";
const SECRET: &str = "Zm9yIHRlc3RzIG9ubHksIDMyIGJ5dGVz";
const HOUR: Duration = Duration::from_secs(3600);

struct World {
    emulator: Emulator,
    app: AppServer,
    client: Client,
}

impl World {
    fn new() -> World {
        let emulator = Emulator::builder().start().unwrap();
        let client = Client::builder()
            .endpoint(emulator.endpoint())
            .region(emulator.region())
            .access_key_id(emulator.access_key_id())
            .access_key_secret(emulator.access_key_secret())
            .build()
            .unwrap();
        World { app: AppServer::start().unwrap(), emulator, client }
    }

    fn callback(&self) -> CallbackBuilder {
        Callback::builder(self.app.url("/ok?a=1"))
    }

    fn sealed(&self) -> CallbackBuilder {
        self.callback().var("order", "n° 42 & more").seal(SECRET, HOUR)
    }

    /// Uploads, and tells what the application server was sent.
    fn put(&self, key: &str, callback: &Callback) -> Request {
        self.client.put_object_with_callback(BUCKET, key, "Hello OSS", callback).unwrap();
        self.app.callbacks().pop().unwrap()
    }

    fn verifier(&self) -> CallbackVerifierBuilder {
        CallbackVerifier::builder().trusted_key(self.emulator.public_key_pem())
    }
}

fn verify(
    verifier: &CallbackVerifier,
    request: &Request,
    now: SystemTime,
) -> Result<CallbackEvent, &'static str> {
    let headers = request.headers.iter().map(|(name, value)| (name, value));
    verifier
        .verify_at(&request.method, &request.target, headers, &request.body, now)
        .map_err(|error| error.reason().map_or("no reason", VerificationReason::name))
}

#[test]
fn a_sealed_upload_is_accepted_once() {
    let world = World::new();
    let seen = Mutex::new(HashSet::new());
    let first_use = move |nonce: &str, _: SystemTime| seen.lock().unwrap().insert(nonce.to_owned());
    let verifier = world.verifier().seal_secret(SECRET).first_use(first_use).build().unwrap();
    let now = SystemTime::now();
    for body_type in [BodyType::Form, BodyType::Json] {
        let callback = world.sealed().body_type(body_type).build().unwrap();
        for placement in [CallbackPlacement::Header, CallbackPlacement::Query] {
            let options = PutOptions::default().callback_in(placement);
            world
                .client
                .put_object_with_callback_opts(BUCKET, "dir/ü+1.txt", "Hello OSS", &callback, &options)
                .unwrap();
            let request = world.app.callbacks().pop().unwrap();
            let event = verify(&verifier, &request, now).unwrap();
            assert_eq!((event.bucket(), event.key()), (Some(BUCKET), Some("dir/ü+1.txt")));
            assert_eq!(event.variables().collect::<Vec<_>>(), [("order", "n° 42 & more")]);
            let expires_at = event.seal().unwrap().expires_at;
            assert!(expires_at > now + HOUR / 2 && expires_at <= now + 2 * HOUR);
            assert_eq!(verify(&verifier, &request, now).unwrap_err(), "replayed");
        }
    }
}

#[test]
fn a_body_of_ones_own_is_understood_by_its_template() {
    let world = World::new();
    let body = r#"{"where":{"b":${bucket},"k":${object}},"operation":${x:order},"proof":${x:seal}}"#;
    let callback = world.sealed().body(body).body_type(BodyType::Json).build().unwrap();
    let request = world.put("k", &callback);
    let verifier = world.verifier().seal_secret(SECRET).callback(&callback).build().unwrap();
    let event = verify(&verifier, &request, SystemTime::now()).unwrap();
    assert_eq!((event.key(), event.variable("order")), (Some("k"), Some("n° 42 & more")));
    let without_template = world.verifier().seal_secret(SECRET).build().unwrap();
    assert!(verify(&without_template, &request, SystemTime::now()).is_err());
}

#[test]
fn what_oss_signs_for_an_attacker_is_refused_without_a_seal_that_fits() {
    let world = World::new();
    let request = world.put("mine.txt", &world.sealed().build().unwrap());
    let body = String::from_utf8(request.body.clone()).unwrap();
    let verifier = world.verifier().seal_secret(SECRET).build().unwrap();
    let now = SystemTime::now();
    assert!(verify(&verifier, &request, now).is_ok());
    // The attacker is a customer of OSS too: a body without variables comes out as he wrote it.
    let signed_for_attacker = |body: &str| {
        let callback = world.callback().body(body).unchecked(true).build().unwrap();
        world.put("attack.txt", &callback)
    };
    let without_seal = body.split("&seal=").next().unwrap();
    for (forged, reason) in [
        (without_seal.to_owned(), "seal_missing"),
        (format!("{without_seal}&seal="), "seal_missing"),
        (format!("{without_seal}&seal=1.9999999999.nnnnnnnnnnnnnnnn.mmmm"), "seal_wrong"),
        (body.replace("object=mine.txt", "object=other.txt"), "seal_wrong"),
        (body.replace("bucket=examplebucket", "bucket=attackers"), "seal_wrong"),
        (body.replace("42", "43"), "seal_wrong"),
        (format!("{body}&admin=1"), "seal_wrong"),
        (format!("{body}&object=other.txt"), "malformed_body"),
        (body.replace("object=mine.txt&", ""), "seal_wrong"),
    ] {
        assert_ne!(forged, body);
        assert_eq!(verify(&verifier, &signed_for_attacker(&forged), now).unwrap_err(), reason, "{forged}");
    }
    // What a seal cannot know is not covered: this is what asking OSS is for.
    let grown = body.replace("size=9", "size=900");
    assert_eq!(verify(&verifier, &signed_for_attacker(&grown), now).unwrap().size().value(), Some(900));
    // Not even signed by OSS.
    let tampered = Request { body: grown.into_bytes(), ..request };
    assert_eq!(verify(&verifier, &tampered, now).unwrap_err(), "wrong_signature");
}

#[test]
fn a_signed_url_carries_its_seal() {
    let world = World::new();
    let callback =
        world.sealed().build().unwrap().sealed_for(BUCKET, "signed.txt", SystemTime::now()).unwrap();
    let emulator = &world.emulator;
    let credentials = Credentials::new(emulator.access_key_id(), emulator.access_key_secret()).unwrap();
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
    let signer = Signer::v4(credentials, emulator.region()).unwrap();
    let url = signer.presign(&request, &endpoint, Addressing::Auto, HOUR, SystemTime::now()).unwrap().url;
    let target = url.strip_prefix(&emulator.endpoint()).unwrap();
    let answer = super::end_to_end::exchange(emulator, "PUT", target, "", "from a browser");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let verifier = world.verifier().seal_secret(SECRET).build().unwrap();
    let event = verify(&verifier, &world.app.callbacks().pop().unwrap(), SystemTime::now()).unwrap();
    assert_eq!((event.key(), event.size().value()), (Some("signed.txt"), Some(14)));
}

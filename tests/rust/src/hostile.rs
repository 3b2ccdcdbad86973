//! What must hold of the receiving side whatever bytes arrive. Each property takes bytes and panics where
//! it does not hold: a search on stable Rust (`tests/all/hostile.rs`) and cargo-fuzz (`tests/fuzz`) feed
//! them.

use std::cell::RefCell;
use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use oss_callback::callback::PreviewValues;
use oss_callback::receive::{CallbackEvent, CallbackVerifier, Number, signature};
use oss_callback::{BodyType, Callback};
use url::Url;

/// A property, by name.
pub type Property = (&'static str, fn(&[u8]));

/// All of them.
pub const PROPERTIES: [Property; 4] =
    [("body", body), ("round_trip", round_trip), ("target", target), ("key_url", key_url)];

const TEMPLATE: &str = "b=${bucket}&k=${object}&s=${size}&c=1&o=${x:order}";

/// Any body, read as any type by any template, is an event or an error, and an event's parts agree.
pub fn body(data: &[u8]) {
    let (choice, rest) = data.split_first().unwrap_or((&0, data));
    let body_type = if choice & 1 == 0 { BodyType::Form } else { BodyType::Json };
    let (template, body) = match choice >> 1 & 3 {
        0 => (None, rest),
        1 => (Some(TEMPLATE.to_owned()), rest),
        _ => {
            let cut = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
            let (template, body) = rest.split_at(cut);
            (Some(String::from_utf8_lossy(template).into_owned()), body)
        }
    };
    let Ok(event) = CallbackEvent::parse(body, body_type, template.as_deref()) else { return };
    for number in [event.size(), event.crc64(), event.image().width, event.image().height] {
        match number {
            Number::Value(value) => assert_eq!(number.value(), Some(value)),
            Number::Invalid(text) => assert!(!text.is_empty()),
            Number::Absent | Number::Empty => assert_eq!(number.value(), None),
        }
    }
    for (name, value) in event.variables() {
        // A name may begin with `x:` itself, which is why the prefix is written.
        assert_eq!(event.variable(&format!("x:{name}")), Some(value));
    }
    for field in event.fields() {
        assert!(event.field(field.name()).is_some());
    }
    let again = CallbackEvent::parse(body, body_type, template.as_deref()).unwrap();
    assert_eq!(format!("{:?}", again.fields()), format!("{:?}", event.fields()));
}

/// What OSS would send for any key, type and variable is read back as that.
pub fn round_trip(data: &[u8]) {
    let text: String = String::from_utf8_lossy(data).chars().take(600).collect();
    let mut pieces = text.splitn(3, '|');
    let mut piece = || pieces.next().unwrap_or_default().chars().take(200).collect::<String>();
    let (key, order, mime) = (piece(), piece(), piece());
    if key.is_empty() || order.is_empty() || mime.is_empty() {
        return;
    }
    for body_type in [BodyType::Form, BodyType::Json] {
        let callback = Callback::builder("https://app.example.com/cb").body_type(body_type);
        let callback = callback.var("order", &order).build().unwrap();
        let values = PreviewValues::new().bucket("b").object(&key).mime_type(&mime).size(7).etag("E");
        let sent = callback.preview(&values).unwrap();
        let event = CallbackEvent::parse(sent.as_bytes(), body_type, None).unwrap();
        assert_eq!(event.key(), Some(key.as_str()), "{sent}");
        assert_eq!(event.variable("order"), Some(order.as_str()), "{sent}");
        assert_eq!((event.mime_type(), event.size().value()), (Some(mime.as_str()), Some(7)), "{sent}");
    }
}

/// No target, with whatever headers, passes without a signature that fits.
pub fn target(data: &[u8]) {
    static VERIFIER: LazyLock<CallbackVerifier> =
        LazyLock::new(|| CallbackVerifier::builder().build().unwrap());
    let text = String::from_utf8_lossy(data);
    let mut pieces = text.splitn(4, '|');
    let mut piece = || pieces.next().unwrap_or_default();
    let (target, name, value, body) = (piece(), piece(), piece(), piece());
    let headers = [("authorization", "AAAA"), (name, value), ("content-type", value)];
    let error = VERIFIER.verify("POST", target, headers, body.as_bytes()).unwrap_err();
    assert!(error.reason().is_some(), "{error}");
    let signed = signature::string_to_sign(target, body.as_bytes());
    assert!(signed.ends_with(body.as_bytes()));
}

/// A key is asked for from OSS's own host, or from nobody.
pub fn key_url(data: &[u8]) {
    thread_local!(static ASKED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });
    let fetch = |url: &str| {
        ASKED.with_borrow_mut(|asked| asked.push(url.to_owned()));
        Err::<Vec<u8>, _>("nobody is asked".to_owned())
    };
    for as_named in [false, true] {
        let verifier =
            CallbackVerifier::builder().fetch_key(fetch).key_scheme_as_named(as_named).build().unwrap();
        let headers = [("authorization", "AAAA".to_owned()), ("x-oss-pub-key-url", BASE64.encode(data))];
        verifier.verify("POST", "/cb", headers, b"").unwrap_err();
    }
    for asked in ASKED.take() {
        let url = Url::parse(&asked).unwrap();
        assert_eq!(url.host_str(), Some("gosspublic.alicdn.com"), "{asked:?}");
        assert!(matches!(url.scheme(), "http" | "https"), "{asked:?}");
        assert_eq!((url.port(), url.username(), url.password()), (None, "", None), "{asked:?}");
        assert_eq!((url.query(), url.fragment(), url.as_str()), (None, None, asked.as_str()));
    }
}

//! The application server's side: is a callback request from OSS, and what does it say. Verifying never
//! waits: where a key has to be fetched first, JavaScript is told so, and verifies again afterwards.

use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use napi::Unknown;
use napi::bindgen_prelude::{Array, Buffer, Either, Either6, External, ExternalRef, Uint8ArraySlice};
use napi_derive::napi;
use oss_callback::BodyType;
use oss_callback::receive::answer::{self, Reply};
use oss_callback::receive::{
    CallbackEvent, CallbackVerifier, CallbackVerifierBuilder, Field, FieldKind, KeyFetch, Number, Verdict,
    seal,
};

use crate::callback::NativeCallback;
use crate::channel::{Call, Channel};
use crate::convert::{self, MAX_SAFE_INTEGER};
use crate::handles::Live;
use crate::options::Group;
use crate::outcome::{Failure, Outcome, Told, guard};

static OPTIONS: Group = Group::new(CallbackVerifierBuilder::OPTIONS);

/// What JavaScript's CallbackVerifier is made of.
pub struct NativeVerifier {
    inner: CallbackVerifier,
    _live: Live,
}

/// Makes a verifier from a flat list of options. Whether JavaScript has functions of its own for keys and
/// for the first use of a seal is all that is told of them here: `index.js` calls them.
#[napi(catch_unwind)]
pub fn verifier_new(
    options: Array<'_>,
    callback: Option<ExternalRef<NativeCallback>>,
    fetches_keys: bool,
    asks_first_use: bool,
) -> Outcome<External<NativeVerifier>> {
    guard(|| {
        let mut builder = CallbackVerifierBuilder::default();
        OPTIONS.apply(&options, |name, value| builder.set(name, value))?;
        if let Some(callback) = callback {
            builder = builder.callback(&callback.inner);
        }
        if fetches_keys {
            builder = builder.fetch_key(|_: &str| Err::<Vec<u8>, _>("JavaScript was not asked"));
        }
        if asks_first_use {
            builder = builder.first_use(|_, _| true);
        }
        Ok(External::new(NativeVerifier { inner: builder.build()?, _live: Live::new() }))
    })
}

/// The largest body in bytes.
#[napi(catch_unwind)]
pub fn verifier_max_body(verifier: &External<NativeVerifier>) -> f64 {
    verifier.inner.max_body() as f64
}

/// The longest time for a body to arrive, in milliseconds.
#[napi(catch_unwind)]
pub fn verifier_body_timeout_ms(verifier: &External<NativeVerifier>) -> f64 {
    // By nanoseconds, whose quotient is exact for whole milliseconds.
    verifier.inner.body_timeout().as_nanos() as f64 / 1e6
}

/// How far a verification came: an event, or the key that is to be fetched first.
#[napi(object, object_from_js = false)]
pub struct Verified {
    pub event: Option<EventFacts>,
    /// Where the key is that is wanted.
    pub key_url: Option<String>,
    /// There if it is the caller's turn to fetch it.
    pub fetch: Option<External<NativeFetch>>,
}

impl Verified {
    fn new<T>(verdict: Verdict<T>, told: impl FnOnce(T) -> Option<EventFacts>) -> Result<Verified, Failure> {
        let waits = |url, fetch| Verified { event: None, key_url: Some(url), fetch };
        Ok(match verdict {
            Verdict::Accepted(said) => Verified { event: told(said), key_url: None, fetch: None },
            Verdict::KeyWanted(fetch) => {
                let url = fetch.url().to_owned();
                let fetch = NativeFetch { inner: Mutex::new(Some(fetch)), _live: Live::new() };
                waits(url, Some(External::new(fetch)))
            }
            Verdict::KeyInFlight(url) => waits(url, None),
            _ => return Err(Failure::bug("a verdict of an unknown kind")),
        })
    }
}

/// A request as it was handed over.
#[napi(object, object_to_js = false)]
pub struct Request<'env> {
    pub method: String,
    pub target: String,
    /// A flat list.
    pub headers: Vec<String>,
    pub body: Uint8ArraySlice<'env>,
}

impl Request<'_> {
    fn headers(&self) -> impl Iterator<Item = (&String, &String)> {
        self.headers.chunks_exact(2).map(|pair| (&pair[0], &pair[1]))
    }
}

/// Verifies a request, now or at a moment of the caller's.
#[napi(catch_unwind)]
pub fn verifier_verify(
    verifier: &External<NativeVerifier>,
    request: Request<'_>,
    now: Option<Unknown<'_>>,
) -> Outcome<Verified> {
    guard(|| {
        let now = convert::moment("now", now)?;
        let Request { method, target, body, .. } = &request;
        let verdict = verifier.inner.verify_now_at(method, target, request.headers(), body, now)?;
        Verified::new(verdict, |event| Some(EventFacts::new(&event)))
    })
}

/// Verifies nothing but the signature. Accepted is what neither fails nor waits for a key.
#[napi(catch_unwind)]
pub fn verifier_verify_signature(
    verifier: &External<NativeVerifier>,
    request: Request<'_>,
) -> Outcome<Verified> {
    guard(|| {
        let Request { method, target, body, .. } = &request;
        let verdict = verifier.inner.verify_signature_now(method, target, request.headers(), body)?;
        Verified::new(verdict, |()| None)
    })
}

/// Understands a body, without verifying anything.
#[napi(catch_unwind)]
pub fn event_parse(
    body: Uint8ArraySlice<'_>,
    body_type: Unknown<'_>,
    template: Option<Unknown<'_>>,
) -> Outcome<EventFacts> {
    guard(|| {
        let body_type: BodyType = convert::text("bodyType", &body_type)?.parse()?;
        let template = convert::optional_text("template", template)?;
        let event = CallbackEvent::parse(&body, body_type, template.as_deref())?;
        Ok(EventFacts::new(&event))
    })
}

/// A key that is being fetched.
pub struct NativeFetch {
    inner: Mutex<Option<KeyFetch>>,
    _live: Live,
}

impl NativeFetch {
    fn take(&self) -> Result<KeyFetch, Failure> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
        inner.ok_or_else(|| Failure::bug("a key was fetched twice"))
    }
}

/// Fetches the key on a thread of its own, and tells `number` when it is there. There are few of them: the
/// core bounds how many keys are fetched.
#[napi(catch_unwind)]
pub fn key_fetch_run(channel: &External<Channel>, number: f64, fetch: &External<NativeFetch>) -> Outcome<()> {
    guard(|| {
        let fetch = fetch.take()?;
        let call = Call::new(channel.listener(number));
        let thread = std::thread::Builder::new().name("oss-callback-key".to_owned());
        let run = move || call.ends(fetch.run().map(Either6::E));
        thread.spawn(run).map(drop).map_err(|e| Failure::bug(&format!("no thread could be started: {e}")))
    })
}

/// Takes what JavaScript has fetched: PEM, or in words why there is none.
#[napi(catch_unwind)]
pub fn key_fetch_land(
    fetch: &External<NativeFetch>,
    answer: Either<Uint8ArraySlice<'_>, String>,
) -> Outcome<()> {
    guard(|| {
        let answer = match answer {
            Either::A(pem) => Ok(pem.to_vec()),
            Either::B(why) => Err(why),
        };
        Ok(fetch.take()?.land(answer)?)
    })
}

/// The refusal of a seal that was used before.
#[napi(catch_unwind)]
pub fn seal_replayed() -> Told {
    Failure::from(seal::replayed()).told()
}

/// The refusal of a body that was not read to its end.
#[napi(catch_unwind)]
pub fn verifier_body_too_large(verifier: &External<NativeVerifier>) -> Told {
    Failure::from(verifier.inner.body_too_large()).told()
}

/// What a callback says. Lists are flat.
#[napi(object, object_from_js = false)]
pub struct EventFacts {
    pub bucket: Option<String>,
    pub key: Option<String>,
    pub etag: Option<String>,
    pub size: Option<f64>,
    pub mime_type: Option<String>,
    /// Decimal: a number of JavaScript holds 53 bits.
    pub crc64: Option<String>,
    pub content_md5: Option<String>,
    pub image: ImageFacts,
    pub client_ip: Option<String>,
    pub vpc_id: Option<String>,
    pub request_id: Option<String>,
    pub operation: Option<String>,
    /// By OSS's name, the text of what should be a number and is none.
    pub not_numbers: Vec<String>,
    pub variables: Vec<String>,
    /// Name, text and kind of each.
    pub fields: Vec<String>,
    pub seal: Option<SealFacts>,
}

/// What a callback says of an image.
#[napi(object, object_from_js = false)]
pub struct ImageFacts {
    pub width: Option<f64>,
    pub height: Option<f64>,
    pub format: Option<String>,
}

/// What a seal says.
#[napi(object, object_from_js = false)]
pub struct SealFacts {
    pub nonce: String,
    /// In Unix milliseconds.
    pub expires_at: f64,
}

impl EventFacts {
    fn new(event: &CallbackEvent) -> EventFacts {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let image = event.image();
        let mut not_numbers = Vec::new();
        // A size beyond 2^53 is none: OSS's largest object has less than 2^46 bytes.
        let mut number = |name: &str, number: Number<'_>| {
            let text = match number {
                Number::Absent => return None,
                Number::Value(value) if value as f64 <= MAX_SAFE_INTEGER => return Some(value as f64),
                Number::Value(value) => value.to_string(),
                Number::Empty => String::new(),
                Number::Invalid(text) => text.to_owned(),
            };
            not_numbers.extend([name.to_owned(), text]);
            None
        };
        let size = number("size", event.size());
        let image = ImageFacts {
            width: number("imageInfo.width", image.width),
            height: number("imageInfo.height", image.height),
            format: owned(image.format),
        };
        let crc64 = event.crc64().value().map(|value| value.to_string());
        if crc64.is_none() {
            number("crc64", event.crc64());
        }
        EventFacts {
            bucket: owned(event.bucket()),
            key: owned(event.key()),
            etag: owned(event.etag()),
            size,
            mime_type: owned(event.mime_type()),
            crc64,
            content_md5: owned(event.content_md5()),
            image,
            client_ip: owned(event.client_ip()),
            vpc_id: owned(event.vpc_id()),
            request_id: owned(event.request_id()),
            operation: owned(event.operation()),
            not_numbers,
            variables: event
                .variables()
                .flat_map(|(name, text)| [name.to_owned(), text.to_owned()])
                .collect(),
            fields: event.fields().iter().flat_map(described).collect(),
            seal: event.seal().map(|seal| SealFacts {
                nonce: seal.nonce.clone(),
                expires_at: seal
                    .expires_at
                    .duration_since(UNIX_EPOCH)
                    .map_or(0.0, |since| since.as_secs_f64() * 1000.0),
            }),
        }
    }
}

fn described(field: &Field) -> [String; 3] {
    let kind = match field.kind() {
        FieldKind::Number => "number",
        FieldKind::Bool => "boolean",
        FieldKind::Null => "null",
        _ => "string",
    };
    [field.name().to_owned(), field.text().to_owned(), kind.to_owned()]
}

/// An answer to OSS. Headers are a flat list.
#[napi(object, object_from_js = false)]
pub struct Answer {
    pub status: u32,
    pub headers: Vec<String>,
    pub body: Buffer,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        let headers = reply.headers.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        Answer { status: reply.status.into(), headers: headers.collect(), body: reply.body.to_vec().into() }
    }
}

/// The answer by which an upload succeeds.
#[napi(catch_unwind)]
pub fn answer_reply(json: Uint8ArraySlice<'_>) -> Outcome<Answer> {
    guard(|| Ok(answer::reply(json.to_vec())?.into()))
}

/// The answer to a request that does not verify.
#[napi(catch_unwind)]
pub fn answer_refusal() -> Answer {
    answer::refusal().into()
}

/// The answer when the application could not give one.
#[napi(catch_unwind)]
pub fn answer_failure() -> Answer {
    answer::failure().into()
}

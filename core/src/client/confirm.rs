//! Asking OSS whether the object of a callback is there, and is the one that the callback tells of.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, Method};

use super::exchange::{Budget, Call, Deadline, Parcel};
use super::{Client, Inner, answer};
use crate::body::Lease;
use crate::engine::{Cancel, Interrupt, Load};
use crate::error::{Error, ErrorKind, Result, ServiceFacts, VerificationReason as Reason};
use crate::receive::{CallbackEvent, Number};
use crate::transport::{Outgoing, Response, Transport};

/// What OSS says of an object whose callback it has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmation {
    /// ETag, without quotes.
    pub etag: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// CRC-64.
    pub crc64: Option<u64>,
    /// Content-Type.
    pub content_type: Option<String>,
    /// When it was stored, to the second.
    pub last_modified: Option<SystemTime>,
    /// Version, in a versioned bucket.
    pub version_id: Option<String>,
    /// OSS's id of the question.
    pub request_id: Option<String>,
}

impl Client {
    /// Asks OSS (HeadObject, with this client's credentials) whether the object of a callback is there
    /// with the ETag, size and CRC-64 that the callback tells: those that its body names, at least one.
    ///
    /// It proves what is stored now, not who stored it: the bucket is the one that the callback claims,
    /// so hold it against your own by
    /// [`bucket`](crate::receive::CallbackVerifierBuilder::bucket) or a seal. The credentials need the
    /// right to read the object (`oss:GetObject`).
    ///
    /// It takes 4 s at most, retries included, unless the client has a `timeout` of its own: OSS waits 5 s
    /// for the application server's answer (OSS, Callback).
    ///
    /// # Errors
    /// `verification` with reason `object_missing` or `object_differs`; `invalid_argument` for an event
    /// that names no bucket or key, or nothing to compare; else as
    /// [`put_object_with_callback`](Client::put_object_with_callback).
    pub fn confirm(&self, event: &CallbackEvent) -> Result<Confirmation> {
        self.confirm_interruptibly(event, None, None)
    }

    /// [`confirm`](Client::confirm) that `cancel` ends.
    ///
    /// # Errors
    /// As [`confirm`](Client::confirm); `cancelled` once the token is.
    pub fn confirm_until(&self, event: &CallbackEvent, cancel: &Cancel) -> Result<Confirmation> {
        self.confirm_interruptibly(event, Some(cancel), None)
    }

    /// [`confirm`](Client::confirm) that can be interrupted, as [`send_while`](Client::send_while) can.
    ///
    /// # Errors
    /// As [`confirm`](Client::confirm); `cancelled` once `interrupt` returns true.
    pub fn confirm_while(
        &self,
        event: &CallbackEvent,
        mut interrupt: impl FnMut() -> bool,
    ) -> Result<Confirmation> {
        self.confirm_interruptibly(event, None, Some(&mut interrupt))
    }

    /// [`confirm`](Client::confirm) that returns at once, as [`start`](Client::start) does; `done` is
    /// called with the outcome on a thread of the library's.
    pub fn start_confirm(
        &self,
        event: &CallbackEvent,
        done: impl FnOnce(Result<Confirmation>) + Send + 'static,
    ) {
        self.start_interruptibly(event, None, done);
    }

    /// [`start_confirm`](Client::start_confirm) that ends with kind `cancelled` once `cancel` says so.
    pub fn start_confirm_until(
        &self,
        event: &CallbackEvent,
        cancel: &Cancel,
        done: impl FnOnce(Result<Confirmation>) + Send + 'static,
    ) {
        self.start_interruptibly(event, Some(cancel.clone()), done);
    }

    fn start_interruptibly(
        &self,
        event: &CallbackEvent,
        cancel: Option<Cancel>,
        done: impl FnOnce(Result<Confirmation>) + Send + 'static,
    ) {
        let question = match Question::new(&self.inner, event) {
            Ok(question) => question,
            Err(error) => return done(Err(error)),
        };
        let inner = Arc::clone(&self.inner);
        let ask = |transport| async move { question.ask(&inner, transport).await };
        self.inner.engines.start(Load::Small, cancel, Lease::default(), ask, done);
    }

    fn confirm_interruptibly(
        &self,
        event: &CallbackEvent,
        cancel: Option<&Cancel>,
        interrupt: Option<Interrupt<'_>>,
    ) -> Result<Confirmation> {
        let question = Question::new(&self.inner, event)?;
        self.inner
            .engines
            .block_on(cancel, interrupt, &Lease::default(), |transport| question.ask(&self.inner, transport))
    }
}

/// Where to ask, and what the callback claims.
struct Question {
    call: Call,
    bucket: String,
    key: String,
    etag: Option<String>,
    size: Option<Claim>,
    crc64: Option<Claim>,
}

/// A number as the callback has it; `Err` for what is none.
type Claim = std::result::Result<u64, String>;

impl Question {
    fn new(client: &Inner, event: &CallbackEvent) -> Result<Question> {
        let refuse = |message: &str| Error::invalid_argument("event", message);
        let (Some(bucket), Some(key)) = (event.bucket(), event.key()) else {
            return Err(refuse("names no bucket or no object, so OSS cannot be asked about it")
                .with_hint("Put `${bucket}` and `${object}` into the callback body."));
        };
        let etag = event.etag().map(str::to_owned);
        let (size, crc64) = (claim(event.size()), claim(event.crc64()));
        if etag.is_none() && size.is_none() && crc64.is_none() {
            return Err(refuse("tells neither ETag nor size nor CRC-64, so there is nothing to compare")
                .with_hint("Put `${etag}`, `${size}` or `${crc64}` into the callback body."));
        }
        Ok(Question {
            call: Call::new(client, Method::HEAD, (bucket, key), Vec::new(), Vec::new())?,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            etag,
            size,
            crc64,
        })
    }

    async fn ask(self, client: &Inner, transport: Arc<dyn Transport>) -> Result<Confirmation> {
        let deadline = Deadline::within(client.timeouts.confirm());
        let mut budget = Budget::new(deadline, client.retries);
        let judge = |response: Response, _: &Outgoing| match response.status {
            200 if answer::is_from_oss(&response) => self.compare(&response.headers),
            404 if answer::is_from_oss(&response) => Err(self.refuse(
                &response.headers,
                Reason::ObjectMissing,
                format!("OSS has no object `{}` in the bucket `{}`", self.key, self.bucket),
            )),
            _ => Err(answer::service_error(&response)),
        };
        let found = self.call.repeat(client, &*transport, &Parcel::empty(), &mut budget, judge).await;
        found.map_err(|error| match error.kind() {
            ErrorKind::Network | ErrorKind::Timeout => {
                error.with_hint("Nothing is known of the object; ask again.")
            }
            _ => error,
        })
    }

    fn compare(&self, headers: &HeaderMap) -> Result<Confirmation> {
        let text = |name: &str| answer::text(headers, name);
        let number = |name: &str| text(name).and_then(|number| number.parse::<u64>().ok());
        let found = Confirmation {
            etag: text("etag").map(|etag| etag.trim_matches('"').to_owned()),
            size: number("content-length"),
            crc64: number("x-oss-hash-crc64ecma"),
            content_type: text("content-type"),
            last_modified: text("last-modified").and_then(|date| httpdate::parse_http_date(&date).ok()),
            version_id: text("x-oss-version-id"),
            request_id: text("x-oss-request-id"),
        };
        let numbers = |claim: &Option<Claim>, found: Option<u64>| {
            let claimed = claim.as_ref()?;
            let shown = |number: u64| number.to_string();
            let differs = !matches!((claimed, found), (Ok(claimed), Some(found)) if *claimed == found);
            differs.then(|| (claimed.clone().map_or_else(|text| text, shown), found.map(shown)))
        };
        let etag = || {
            let claimed = self.etag.clone()?;
            (found.etag.as_ref() != Some(&claimed)).then(|| (claimed, found.etag.clone()))
        };
        let differences = [
            ("ETag", etag()),
            ("size", numbers(&self.size, found.size)),
            ("CRC-64", numbers(&self.crc64, found.crc64)),
        ];
        let told: Vec<String> = differences
            .into_iter()
            .filter_map(|(what, difference)| {
                let (claimed, found) = difference?;
                let found = found.unwrap_or_else(|| "unknown".to_owned());
                Some(format!("its {what} is {found}, not {claimed:.80}"))
            })
            .collect();
        if told.is_empty() {
            return Ok(found);
        }
        let message = format!(
            "the object `{}` in the bucket `{}` is not the one that the callback tells of: {}",
            self.key,
            self.bucket,
            told.join("; ")
        );
        Err(self.refuse(headers, Reason::ObjectDiffers, message))
    }

    fn refuse(&self, headers: &HeaderMap, reason: Reason, message: String) -> Error {
        let request_id = answer::text(headers, "x-oss-request-id");
        Error::verification(reason, message)
            .with_service(ServiceFacts { request_id, ..ServiceFacts::default() })
    }
}

fn claim(number: Number<'_>) -> Option<Claim> {
    match number {
        Number::Absent => None,
        Number::Value(value) => Some(Ok(value)),
        Number::Empty => Some(Err("(nothing)".to_owned())),
        Number::Invalid(text) => Some(Err(format!("`{}`", text.escape_debug()))),
    }
}

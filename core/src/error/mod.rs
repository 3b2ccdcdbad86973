//! One error type for everything: a kind from the shared list, a message, and the facts that apply.

mod kind;

use std::borrow::Cow;
use std::fmt;

pub use kind::{CallbackCause, ERROR_FACTS, ErrorKind, VerificationReason};

/// A `Result` whose error is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

const NOTHING_STORED: &str = "Nothing was stored.";

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong: [`kind`](Error::kind) says it in one word, `Display` in a sentence, and the
/// accessors give the facts. No secret, signature or token is ever part of it.
pub struct Error {
    // Boxed so that `Result`s stay small on the way of success.
    facts: Box<Facts>,
}

#[derive(Default)]
struct Facts {
    kind: Option<ErrorKind>,
    message: String,
    field: Option<Cow<'static, str>>,
    hint: Option<Cow<'static, str>>,
    ec: Option<Cow<'static, str>>,
    service: ServiceFacts,
    stored: Option<StoredObject>,
    maybe_stored: bool,
    cause: Option<CallbackCause>,
    callback_status: Option<u16>,
    reason: Option<VerificationReason>,
    source: Option<Source>,
}

/// What OSS's answer said of an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceFacts {
    pub status: Option<u16>,
    pub code: Option<String>,
    pub request_id: Option<String>,
    pub host_id: Option<String>,
    pub recommend_doc: Option<String>,
    pub string_to_sign: Option<String>,
}

/// What is known of an object that is stored in spite of an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredObject {
    pub etag: Option<String>,
    pub crc64: Option<u64>,
    pub version_id: Option<String>,
}

/// A fact that an error carries, by its name in `api/errors.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FactValue<'a> {
    /// Text.
    Text(&'a str),
    /// A whole number.
    Integer(u64),
    /// A yes or no.
    Bool(bool),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        let facts = Facts { kind: Some(kind), message: message.into(), ..Facts::default() };
        Error { facts: Box::new(facts) }
    }

    /// An error about `field`; the message goes on from the field's name: "must not be empty".
    pub(crate) fn invalid_argument(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Error {
        let mut error = Error::new(ErrorKind::InvalidArgument, message);
        error.facts.field = Some(field.into());
        error
    }

    /// An error of kind `credentials`, for a [`CredentialsProvider`](crate::CredentialsProvider) of
    /// your own. The message is shown and logged: no secrets.
    pub fn credentials(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Credentials, message)
    }

    /// Says what is left of an upload, in place of the mere "nothing was stored".
    pub(crate) fn with_remains(mut self, more: &str) -> Error {
        self.facts.hint.take_if(|hint| hint == NOTHING_STORED);
        self.and_hint(more)
    }

    /// Adds to what there is to say behind the message.
    pub(crate) fn and_hint(self, more: &str) -> Error {
        let whole = match self.hint() {
            Some(hint) => format!("{hint} {more}"),
            None => more.to_owned(),
        };
        self.with_hint(whole)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Error {
        self.facts.hint = Some(hint.into());
        self
    }

    /// Nobody knows whether the object is stored, and the callback made.
    pub(crate) fn undecided(mut self) -> Error {
        if std::mem::replace(&mut self.facts.maybe_stored, true) {
            return self;
        }
        // An earlier attempt may have been carried out.
        self.with_remains("The object may or may not be stored, and the callback may have been made.")
    }

    /// It cannot have been stored.
    pub(crate) fn not_stored(mut self) -> Error {
        self.facts.maybe_stored = false;
        self.with_hint(NOTHING_STORED)
    }

    pub(crate) fn with_ec(mut self, ec: impl Into<Cow<'static, str>>) -> Error {
        self.facts.ec = Some(ec.into());
        self
    }

    pub(crate) fn with_service(mut self, service: ServiceFacts) -> Error {
        self.facts.service = service;
        self
    }

    pub(crate) fn with_stored(mut self, stored: StoredObject) -> Error {
        self.facts.stored = Some(stored);
        self
    }

    pub(crate) fn with_cause(mut self, cause: CallbackCause, callback_status: Option<u16>) -> Error {
        self.facts.cause = Some(cause);
        self.facts.callback_status = callback_status;
        self
    }

    /// A callback request that is not accepted.
    pub(crate) fn verification(reason: VerificationReason, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Verification, message).with_reason(reason)
    }

    pub(crate) fn with_reason(mut self, reason: VerificationReason) -> Error {
        self.facts.reason = Some(reason);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Error {
        self.facts.source = Some(source.into());
        self
    }

    /// What went wrong, in one word.
    pub fn kind(&self) -> ErrorKind {
        self.facts.kind.unwrap_or(ErrorKind::Bug)
    }

    /// What went wrong, without the field's name and without the hint.
    pub fn message(&self) -> &str {
        &self.facts.message
    }

    /// Which argument or callback member is wrong, such as `callback.body`.
    pub fn field(&self) -> Option<&str> {
        self.facts.field.as_deref()
    }

    /// What to do about it, in one sentence.
    pub fn hint(&self) -> Option<&str> {
        let general = self.facts.cause.map(CallbackCause::hint);
        self.facts.hint.as_deref().or(general).or(self.facts.reason.map(VerificationReason::hint))
    }

    /// HTTP status of OSS's answer.
    pub fn status(&self) -> Option<u16> {
        self.facts.service.status
    }

    /// OSS's error code, such as `AccessDenied`.
    pub fn code(&self) -> Option<&str> {
        self.facts.service.code.as_deref()
    }

    /// OSS's fine-grained error number; for invalid arguments the one that OSS would have answered.
    pub fn ec(&self) -> Option<&str> {
        self.facts.ec.as_deref()
    }

    /// OSS's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.facts.service.request_id.as_deref()
    }

    /// The host that OSS says was addressed.
    pub fn host_id(&self) -> Option<&str> {
        self.facts.service.host_id.as_deref()
    }

    /// Address of OSS's own page on this error.
    pub fn recommend_doc(&self) -> Option<&str> {
        self.facts.service.recommend_doc.as_deref()
    }

    /// With `SignatureDoesNotMatch`: the string that OSS signed. Not part of `Display`.
    pub fn string_to_sign(&self) -> Option<&str> {
        self.facts.service.string_to_sign.as_deref()
    }

    /// Whether the object is known to be stored in spite of the error. With `integrity` it is not: what OSS
    /// holds then is not what was sent.
    pub fn stored(&self) -> bool {
        self.facts.stored.is_some() && self.kind() != ErrorKind::Integrity
    }

    /// Whether nobody knows if the object is stored and the callback made: OSS may have had the whole
    /// request, and its answer was lost. To upload again can make a second callback.
    pub fn maybe_stored(&self) -> bool {
        self.facts.maybe_stored
    }

    /// ETag of the stored object, without quotes; with `integrity`, of the damaged one.
    pub fn etag(&self) -> Option<&str> {
        self.facts.stored.as_ref()?.etag.as_deref()
    }

    /// CRC-64 of the stored object; with `integrity`, of the damaged one.
    pub fn crc64(&self) -> Option<u64> {
        self.facts.stored.as_ref()?.crc64
    }

    /// Version of the stored object, in a versioned bucket; with `integrity`, of the damaged one.
    pub fn version_id(&self) -> Option<&str> {
        self.facts.stored.as_ref()?.version_id.as_deref()
    }

    /// With `callback_failed`: why the callback failed.
    pub fn cause(&self) -> Option<CallbackCause> {
        self.facts.cause
    }

    /// With `callback_failed`: the HTTP status that the application server answered.
    pub fn callback_status(&self) -> Option<u16> {
        self.facts.callback_status
    }

    /// With `verification`: the check that failed.
    pub fn reason(&self) -> Option<VerificationReason> {
        self.facts.reason
    }

    /// The system's own number for what it refused, such as 2 (`ENOENT`) for a file that is not there: from the
    /// [sources](std::error::Error::source).
    pub fn os_error(&self) -> Option<i32> {
        std::error::Error::source(self).and_then(os_error)
    }

    /// A fact by its name in [`ERROR_FACTS`]: the way out for other languages. `None` for a fact that
    /// the error does not have.
    pub fn fact(&self, name: &str) -> Option<FactValue<'_>> {
        match name {
            "field" => self.field().map(FactValue::Text),
            "hint" => self.hint().map(FactValue::Text),
            "status" => self.status().map(|status| FactValue::Integer(status.into())),
            "code" => self.code().map(FactValue::Text),
            "ec" => self.ec().map(FactValue::Text),
            "request_id" => self.request_id().map(FactValue::Text),
            "host_id" => self.host_id().map(FactValue::Text),
            "recommend_doc" => self.recommend_doc().map(FactValue::Text),
            "string_to_sign" => self.string_to_sign().map(FactValue::Text),
            "stored" => Some(FactValue::Bool(self.stored())),
            "maybe_stored" => Some(FactValue::Bool(self.maybe_stored())),
            "etag" => self.etag().map(FactValue::Text),
            "crc64" => self.crc64().map(FactValue::Integer),
            "version_id" => self.version_id().map(FactValue::Text),
            "cause" => self.cause().map(|cause| FactValue::Text(cause.name())),
            "callback_status" => self.callback_status().map(|status| FactValue::Integer(status.into())),
            "os_error" => {
                self.os_error().and_then(|number| u64::try_from(number).ok()).map(FactValue::Integer)
            }
            "reason" => self.reason().map(|reason| FactValue::Text(reason.name())),
            _ => None,
        }
    }

    /// What lies behind it, such as the system's own words: all [sources](std::error::Error::source), the
    /// nearest first.
    pub fn causes(&self) -> Option<String> {
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        (!causes.is_empty()).then(|| causes.join(": "))
    }

    /// Whether the same call may well succeed when it is made again, without making a second callback.
    pub fn is_retryable(&self) -> bool {
        let passes = match self.kind() {
            ErrorKind::Service => matches!(self.status(), Some(500..=599 | 429)),
            // The damaged object's callback has been made; that of a part has none.
            ErrorKind::Integrity => self.facts.stored.is_none(),
            kind => kind.is_retryable(),
        };
        passes && !self.maybe_stored()
    }
}

/// The system's number that an error, or one behind it, has.
pub(crate) fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        let number = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        if number.is_some() {
            return number;
        }
        next = error.source();
    }
    None
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.field() {
            write!(f, "{field}: ")?;
        }
        f.write_str(self.message())?;
        let details = [
            ("status", self.status().map(|status| status.to_string())),
            ("code", self.code().map(str::to_owned)),
            ("EC", self.ec().map(str::to_owned)),
            ("request id", self.request_id().map(str::to_owned)),
        ];
        let details: Vec<String> =
            details.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
        if !details.is_empty() {
            write!(f, " ({})", details.join(", "))?;
        }
        if let Some(hint) = self.hint() {
            write!(f, ". {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {self}", self.kind().name())?;
        if let Some(source) = &self.facts.source {
            write!(f, "; caused by {source}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.facts.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Error {
        let text = || Some("text".to_owned());
        Error::invalid_argument("field", "message")
            .with_ec("ec")
            .with_hint("hint")
            .with_service(ServiceFacts {
                status: Some(203),
                code: text(),
                request_id: text(),
                host_id: text(),
                recommend_doc: text(),
                string_to_sign: text(),
            })
            .with_stored(StoredObject { etag: text(), crc64: Some(u64::MAX), version_id: text() })
            .with_cause(CallbackCause::BadStatus, Some(502))
            .with_reason(VerificationReason::WrongSignature)
            .with_source(std::io::Error::from_raw_os_error(2))
    }

    #[test]
    fn every_listed_fact_can_be_read_by_its_name_and_has_its_type() {
        let error = full();
        for (name, ty) in ERROR_FACTS {
            let value = error.fact(name).unwrap_or_else(|| panic!("{name} cannot be read"));
            let fits = match ty {
                &"string" => matches!(value, FactValue::Text(_)),
                &"integer" | &"u64" => matches!(value, FactValue::Integer(_)),
                _ => matches!(value, FactValue::Bool(_)),
            };
            assert!(fits, "{name}: {value:?} is not of type {ty}");
        }
        assert_eq!(error.fact("unheard_of"), None);
    }

    #[test]
    fn causes_are_told_one_after_the_other() {
        let inner =
            Error::new(ErrorKind::Network, "the line broke").with_source(std::io::Error::other("EPIPE"));
        assert_eq!(full().with_source(inner).causes().unwrap(), "the line broke: EPIPE");
        assert_eq!(Error::new(ErrorKind::Network, "the line broke").causes(), None);
    }

    #[test]
    fn a_damaged_object_is_not_the_one_that_was_meant() {
        let part = || Error::new(ErrorKind::Integrity, "OSS stored other data");
        let object = StoredObject { version_id: Some("v".to_owned()), ..StoredObject::default() };
        let whole = part().with_stored(object);
        assert!(!whole.stored() && whole.version_id() == Some("v"));
        assert!(part().is_retryable() && !whole.is_retryable(), "the callback has been made");
    }

    #[test]
    fn nobody_is_told_to_repeat_what_may_be_stored() {
        let lost = || Error::new(ErrorKind::Network, "the line broke");
        assert!(lost().is_retryable() && !lost().undecided().is_retryable());
        let decided = lost().undecided().not_stored();
        assert!(decided.is_retryable() && decided.hint() == Some(NOTHING_STORED));
        assert!(!decided.undecided().to_string().contains(NOTHING_STORED));
    }

    #[test]
    fn the_sentence_holds_field_message_numbers_and_hint_but_not_the_string_to_sign() {
        let shown = full().to_string();
        assert_eq!(shown, "field: message (status 203, code text, EC ec, request id text). hint");
    }
}

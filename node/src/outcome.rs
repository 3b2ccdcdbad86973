//! What a native function gives back: what was asked for, or why not.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{Either, Either3};
use napi_derive::napi;
use oss_callback::{ERROR_FACTS, Error, ErrorKind, FactValue};

use crate::names;

/// What JavaScript gets: a value, or why there is none.
pub type Outcome<T> = Either<T, Told>;

/// Why a call failed. Boxed, so that results stay small on the way of success.
pub struct Failure(Box<Told>);

/// A failure as plain data, from which `index.js` makes the exception.
#[napi(object, object_from_js = false)]
pub struct Told {
    /// Always true: tells a failure from a value.
    pub failed: bool,
    /// The kind's name in the core's spelling, such as `callback_failed`.
    pub kind: String,
    /// The whole sentence, with field, numbers and hint.
    pub message: String,
    /// Whether the same call may well succeed when it is made again, without making a second callback.
    pub retryable: bool,
    /// The facts that apply, in JavaScript's spelling.
    pub facts: BTreeMap<String, Either3<String, f64, bool>>,
    /// What caused it, where another error did.
    pub source: Option<String>,
}

impl Failure {
    fn new(kind: ErrorKind, message: String) -> Failure {
        Failure(Box::new(Told {
            failed: true,
            kind: kind.name().to_owned(),
            message,
            retryable: kind.is_retryable(),
            facts: ERROR_FACTS
                .iter()
                .filter(|(_, ty)| *ty == "bool")
                .map(|(name, _)| (names::of_fact(name), Either3::C(false)))
                .collect(),
            source: None,
        }))
    }

    /// What JavaScript gets of it.
    pub fn told(self) -> Told {
        *self.0
    }

    /// An argument of a type that the core never gets to see.
    pub fn invalid(field: &str, message: &str, hint: Option<&str>) -> Failure {
        let mut sentence = format!("{field}: {message}");
        if let Some(hint) = hint {
            sentence = format!("{sentence}. {hint}");
        }
        let mut failure = Failure::new(ErrorKind::InvalidArgument, sentence);
        failure.fact("field", field);
        if let Some(hint) = hint {
            failure.fact("hint", hint);
        }
        failure
    }

    /// A defect of ours.
    pub fn bug(message: &str) -> Failure {
        Failure::new(ErrorKind::Bug, format!("{message}. Please report this."))
    }

    /// An error that speaks of names which the caller gave: it is told word by word.
    pub fn verbatim(error: &Error) -> Failure {
        let mut failure = Failure::new(error.kind(), error.to_string());
        failure.0.retryable = error.is_retryable();
        for (name, ty) in ERROR_FACTS {
            let value = match error.fact(name) {
                Some(FactValue::Text(text)) => Either3::A(text.to_owned()),
                // A number of JavaScript holds 53 bits.
                Some(FactValue::Integer(number)) if *ty == "u64" => Either3::A(number.to_string()),
                Some(FactValue::Integer(number)) => Either3::B(number as f64),
                Some(FactValue::Bool(value)) => Either3::C(value),
                _ => continue,
            };
            failure.0.facts.insert(names::of_fact(name), value);
        }
        failure.0.source = error.causes();
        failure
    }

    fn fact(&mut self, name: &str, value: &str) {
        self.0.facts.insert(name.to_owned(), Either3::A(value.to_owned()));
    }
}

/// With the names of options spelled as in JavaScript, where the error speaks of them.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let mut failure = Failure::verbatim(&error);
        match (error.kind(), error.hint()) {
            (ErrorKind::InvalidArgument | ErrorKind::Credentials, _) => {}
            (ErrorKind::Verification, Some(hint)) => {
                // The rest of the sentence may quote a stranger.
                let respelled = names::in_text(hint);
                if let Some(before) = failure.0.message.strip_suffix(hint) {
                    failure.0.message = before.to_owned() + &respelled;
                }
                failure.fact("hint", &respelled);
                return failure;
            }
            _ => return failure,
        }
        let field = error.field().unwrap_or_default();
        let sentence = failure.0.message.strip_prefix(field).unwrap_or(&failure.0.message);
        failure.0.message = names::of_field(field) + &names::in_text(sentence);
        if !field.is_empty() {
            failure.fact("field", &names::of_field(field));
        }
        if let Some(hint) = error.hint() {
            failure.fact("hint", &names::in_text(hint));
        }
        failure
    }
}

/// Node refused something that `index.js` makes sure of.
impl From<napi::Error> for Failure {
    fn from(error: napi::Error) -> Failure {
        Failure::bug(&format!("Node refused a call: {}", error.reason))
    }
}

/// The boundary of every native function: neither an error nor a panic passes it as such.
pub fn guard<T>(body: impl FnOnce() -> Result<T, Failure>) -> Outcome<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => Either::A(value),
        Ok(Err(failure)) => Either::B(failure.told()),
        Err(panic) => Either::B(Failure::bug(&format!("a panic was caught: {}", text_of(&*panic))).told()),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// Panics inside the boundary, so that a test can show that it holds. Not in release builds.
#[cfg(debug_assertions)]
#[napi(catch_unwind)]
pub fn debug_panic() -> Outcome<bool> {
    guard(|| panic!("asked for by a test"))
}

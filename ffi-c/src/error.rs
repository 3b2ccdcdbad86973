//! The error handle: everything that an error can tell, as C reads it.

use std::ffi::CString;
use std::os::raw::c_char;

use oss_callback_core::{ERROR_FACTS, Error, ErrorKind, FactValue};

use crate::generated::osscb_status;
use crate::guard::{Failure, OwnFailure, free, read};
use crate::library::Live;
use crate::text::{c_string, lend};

/// What went wrong. Freed by `osscb_error_free`; what its functions return is borrowed until then.
#[derive(Debug)]
pub struct osscb_error {
    kind: ErrorKind,
    retryable: bool,
    sentence: CString,
    source: Option<CString>,
    facts: Vec<(&'static str, Fact)>,
    _live: Live,
}

#[derive(Debug)]
enum Fact {
    Text(CString),
    Integer(u64),
    Bool(bool),
}

impl osscb_error {
    pub(crate) fn new(failure: Failure) -> osscb_error {
        match failure {
            Failure::Core(error) => osscb_error::of_core(&error),
            Failure::Own(own) => osscb_error::of_own(own),
        }
    }

    fn of_core(error: &Error) -> osscb_error {
        let facts = ERROR_FACTS.iter().filter_map(|(name, _)| {
            let fact = match error.fact(name)? {
                FactValue::Text(text) => Fact::Text(c_string(text)),
                FactValue::Integer(number) => Fact::Integer(number),
                FactValue::Bool(value) => Fact::Bool(value),
                _ => return None,
            };
            Some((*name, fact))
        });
        osscb_error {
            kind: error.kind(),
            retryable: error.is_retryable(),
            sentence: c_string(&error.to_string()),
            source: error.causes().map(|causes| c_string(&causes)),
            facts: facts.collect(),
            _live: Live::new(),
        }
    }

    fn of_own(own: OwnFailure) -> osscb_error {
        let mut sentence = own.message;
        let mut facts = Vec::new();
        if let Some(field) = own.field {
            sentence = format!("{field}: {sentence}");
            facts.push(("field", Fact::Text(c_string(&field))));
        }
        if let Some(hint) = own.hint {
            sentence = format!("{sentence}. {hint}");
            facts.push(("hint", Fact::Text(c_string(hint))));
        }
        osscb_error {
            kind: own.kind,
            retryable: false,
            sentence: c_string(&sentence),
            source: None,
            facts,
            _live: Live::new(),
        }
    }

    pub(crate) fn status(&self) -> osscb_status {
        self.kind.into()
    }

    fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact)
    }

    /// # Safety
    /// `error` is NULL or a live error. So for the three below.
    pub(crate) unsafe fn text(error: *const osscb_error, name: &str) -> *const c_char {
        let look = |error: &osscb_error| match error.fact(name) {
            Some(Fact::Text(text)) => text.as_ptr(),
            _ => std::ptr::null(),
        };
        // SAFETY: the caller's promise.
        unsafe { read(error, std::ptr::null(), look) }
    }

    pub(crate) unsafe fn integer(error: *const osscb_error, name: &str) -> i32 {
        let look = |error: &osscb_error| match error.fact(name) {
            Some(Fact::Integer(number)) => i32::try_from(*number).unwrap_or(i32::MAX),
            _ => 0,
        };
        // SAFETY: the caller's promise.
        unsafe { read(error, 0, look) }
    }

    pub(crate) unsafe fn u64(error: *const osscb_error, name: &str, value: *mut u64) -> bool {
        let look = |error: &osscb_error| match error.fact(name) {
            Some(Fact::Integer(number)) => {
                if !value.is_null() {
                    // SAFETY: not NULL, and the caller lets us write to it.
                    unsafe { value.write(*number) };
                }
                true
            }
            _ => false,
        };
        // SAFETY: the caller's promise.
        unsafe { read(error, false, look) }
    }

    pub(crate) unsafe fn boolean(error: *const osscb_error, name: &str) -> bool {
        let look = |error: &osscb_error| matches!(error.fact(name), Some(Fact::Bool(true)));
        // SAFETY: the caller's promise.
        unsafe { read(error, false, look) }
    }
}

/// Which kind of error it is: the status that the failed function returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_error_kind(error: *const osscb_error) -> osscb_status {
    // SAFETY: NULL or a live error.
    unsafe { read(error, osscb_status::OSSCB_STATUS_OK, osscb_error::status) }
}

/// What went wrong, as one sentence for people: field, message, numbers and hint together. No secret,
/// signature or token is part of it. Never NULL; `no error` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_error_message(error: *const osscb_error) -> *const c_char {
    // SAFETY: NULL or a live error.
    unsafe { read(error, c"no error".as_ptr(), |error| error.sentence.as_ptr()) }
}

/// What lies behind the error, such as the system's own words; NULL if there is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_error_source(error: *const osscb_error) -> *const c_char {
    // SAFETY: NULL or a live error.
    unsafe { read(error, std::ptr::null(), |error| lend(error.source.as_ref())) }
}

/// Whether the same call may well succeed when it is made again, without making a second callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_error_is_retryable(error: *const osscb_error) -> bool {
    // SAFETY: NULL or a live error.
    unsafe { read(error, false, |error| error.retryable) }
}

/// Frees an error, and what was borrowed from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_error_free(error: *mut osscb_error) {
    // SAFETY: NULL or a live error.
    unsafe { free(error) };
}

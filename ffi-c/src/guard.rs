//! What is true of every exported function: no panic leaves it, NULL is answered with an error, and a
//! failure comes back as a status and, where the caller wants it, an `osscb_error`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use oss_callback_core::{Error, ErrorKind};

use crate::error::osscb_error;
use crate::generated::osscb_status;

/// Why a function fails: as the core says, or because of what only this side can see.
#[derive(Debug)]
pub(crate) enum Failure {
    Core(Error),
    Own(OwnFailure),
}

/// A failure that is told more than once if need be: options keep theirs until they are used.
#[derive(Clone, Debug)]
pub(crate) struct OwnFailure {
    pub kind: ErrorKind,
    pub field: Option<String>,
    pub message: String,
    pub hint: Option<&'static str>,
}

impl Failure {
    pub fn argument(field: &str, message: impl Into<String>) -> Failure {
        Failure::Own(OwnFailure {
            kind: ErrorKind::InvalidArgument,
            field: Some(field.to_owned()),
            message: message.into(),
            hint: None,
        })
    }

    pub fn of(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure::Own(OwnFailure { kind, field: None, message: message.into(), hint: None })
    }

    pub fn with_hint(mut self, text: &'static str) -> Failure {
        if let Failure::Own(own) = &mut self {
            own.hint = Some(text);
        }
        self
    }

    /// What went wrong, without a field's name.
    pub fn message(&self) -> String {
        match self {
            Failure::Core(error) => error.message().to_owned(),
            Failure::Own(own) => own.message.clone(),
        }
    }

    fn bug(panic: Box<dyn Any + Send>) -> Failure {
        let said = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "no message".to_owned(),
        };
        discard(panic);
        Failure::Own(OwnFailure {
            kind: ErrorKind::Bug,
            field: None,
            message: format!("a defect in this library was caught: {said}"),
            hint: Some("Please report it with this message."),
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Core(error)
    }
}

/// Runs a fallible function's body: its outcome as a status, and the failure's details in `*error`.
///
/// # Safety
/// `error` is NULL or may be written to.
pub(crate) unsafe fn status(
    error: *mut *mut osscb_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> osscb_status {
    let failure = match catching(body) {
        Ok(()) => return osscb_status::OSSCB_STATUS_OK,
        Err(failure) => failure,
    };
    let details = osscb_error::new(failure);
    let status = details.status();
    if !error.is_null() {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { error.write(Box::into_raw(Box::new(details))) };
    }
    status
}

/// Runs the body of a function that cannot fail: `fallback` stands in for a panic.
pub(crate) fn guarded<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        discard(panic);
        fallback
    })
}

/// A panic's payload may be any value, and dropping it may panic again.
fn discard(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

/// A panic as a failure.
pub(crate) fn catching<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Failure::bug(panic)))
}

/// A handle that the caller must give.
///
/// # Safety
/// `pointer` is NULL or a live handle that nobody changes while the result is in use.
pub(crate) unsafe fn handle<'a, T>(pointer: *const T, field: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::argument(field, "is NULL"))
}

/// Where a result goes. It is asked for before anything is done, as a result without a place would leak.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub fn new(pointer: *mut T, field: &str) -> Result<Out<T>, Failure> {
        if pointer.is_null() {
            return Err(Failure::argument(field, "is NULL: there is no place for the result"));
        }
        Ok(Out(pointer))
    }

    /// # Safety
    /// The pointer may be written to.
    pub unsafe fn put(self, value: T) {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// # Safety
    /// The pointer may be written to.
    pub unsafe fn give(self, value: T) {
        // SAFETY: the caller's promise.
        unsafe { self.put(Box::into_raw(Box::new(value))) };
    }
}

/// A new handle, or NULL if making it panicked.
pub(crate) fn new_handle<T>(make: impl FnOnce() -> T) -> *mut T {
    guarded(std::ptr::null_mut(), || Box::into_raw(Box::new(make())))
}

/// Frees a handle; NULL is nothing to free.
///
/// # Safety
/// `pointer` is NULL or came from `Out::give` or `new_handle`, and is used no more.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    guarded((), || {
        if !pointer.is_null() {
            // SAFETY: not NULL, and the caller's promise.
            drop(unsafe { Box::from_raw(pointer) });
        }
    });
}

/// Reads from a handle; `fallback` for NULL.
///
/// # Safety
/// `pointer` is NULL or a live handle that nobody changes meanwhile.
pub(crate) unsafe fn read<T, R>(pointer: *const T, fallback: R, look: impl FnOnce(&T) -> R) -> R
where
    R: Copy,
{
    // SAFETY: the caller's promise.
    guarded(fallback, || unsafe { pointer.as_ref() }.map_or(fallback, look))
}

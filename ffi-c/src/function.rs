//! Functions of the caller's: how they are called, and how they say what went wrong.

use std::fmt;
use std::mem::MaybeUninit;
use std::os::raw::c_void;

use crate::guard::guarded;
use crate::text::osscb_str;

/// Where a function of yours says why it fails. It is yours for the length of that call only.
#[derive(Debug, Default)]
pub struct osscb_failure {
    message: Option<String>,
}

/// Says why your function fails; what the text says becomes part of the error's message, so no secret
/// may be in it. Text that is not UTF-8 is taken as well as it can be. The last call counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_failure_set(failure: *mut osscb_failure, message: osscb_str) {
    guarded((), || {
        // SAFETY: NULL, or lent to the function that calls us; the text is lent for this call.
        let (failure, message) = unsafe { (failure.as_mut(), message.bytes("message")) };
        if let (Some(failure), Ok(message)) = (failure, message) {
            failure.message = Some(String::from_utf8_lossy(message).into_owned());
        }
    });
}

impl osscb_failure {
    /// What the function said, or `otherwise`.
    pub(crate) fn or(self, otherwise: impl fmt::Display) -> String {
        self.message.filter(|message| !message.is_empty()).unwrap_or_else(|| otherwise.to_string())
    }
}

/// Called with a context, once, when the library is done with it; not if the function that was to take
/// the context over failed. It may be called on any thread, and must not wait for calls of this library.
pub type osscb_release_function = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// What a function of the caller's said. It may return any byte for a `bool`, and Rust may not hold one
/// that is neither.
pub(crate) fn is_true(said: MaybeUninit<bool>) -> bool {
    // SAFETY: of the same size; the function returned a byte, so it is initialised.
    unsafe { said.as_ptr().cast::<u8>().read() != 0 }
}

/// What a function of the caller's is called with, let go when nothing can call the function any more.
pub(crate) struct Context {
    pub pointer: *mut c_void,
    release: osscb_release_function,
}

// SAFETY: the header demands of every function that is called on threads of the library's that its context
// can go there.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// # Safety
    /// `pointer` is what the functions that are called with it, `release` among them, expect.
    pub unsafe fn new(pointer: *mut c_void, release: osscb_release_function) -> Context {
        Context { pointer, release }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            // SAFETY: the promise of `new`; it is called once.
            unsafe { release(self.pointer) };
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

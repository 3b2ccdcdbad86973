//! The cancel handle.

use oss_callback_core::Cancel;

use crate::guard::{free, new_handle, read};
use crate::library::Live;

/// Ends the calls that it was given to, from another thread. One handle may serve any number of calls.
#[derive(Debug)]
pub struct osscb_cancel {
    pub(crate) cancel: Cancel,
    _live: Live,
}

/// A handle that is not cancelled yet. Freed by `osscb_cancel_free`.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_cancel_new() -> *mut osscb_cancel {
    new_handle(|| osscb_cancel { cancel: Cancel::new(), _live: Live::new() })
}

/// Ends the calls that hold the handle, now and later: they return `OSSCB_STATUS_CANCELLED`. May be
/// called from any thread, while calls run, and more than once; not from a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_cancel_now(cancel: *const osscb_cancel) {
    // SAFETY: NULL or a live handle.
    unsafe { read(cancel, (), |cancel| cancel.cancel.cancel()) };
}

/// Whether `osscb_cancel_now` was called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_cancel_is_cancelled(cancel: *const osscb_cancel) -> bool {
    // SAFETY: NULL or a live handle.
    unsafe { read(cancel, false, |cancel| cancel.cancel.is_cancelled()) }
}

/// Frees a handle. Calls under way go on, and can no longer be cancelled through it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_cancel_free(cancel: *mut osscb_cancel) {
    // SAFETY: NULL or a live handle.
    unsafe { free(cancel) };
}

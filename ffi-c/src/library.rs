//! What concerns the library as a whole: its version, names of statuses, and the count of handles.

use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::sync::atomic::{AtomicU64, Ordering};

use oss_callback_core::ErrorKind;

use crate::generated::osscb_status;
use crate::guard::guarded;
use crate::options::number;

static LIVE: AtomicU64 = AtomicU64::new(0);

/// Part of every handle, so that the count follows each birth and each end.
#[derive(Debug)]
pub(crate) struct Live(());

impl Live {
    pub fn new() -> Live {
        handle_made();
        Live(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        handle_gone();
    }
}

pub(crate) fn handle_made() {
    LIVE.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn handle_gone() {
    LIVE.fetch_sub(1, Ordering::Relaxed);
}

/// Version of the library, such as `0.1.0`. A constant: do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The status's stable name, such as `callback_failed`; `ok` for success and `other` for a number that
/// this library does not know. A constant: do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_status_name(status: MaybeUninit<osscb_status>) -> *const c_char {
    let name: &'static std::ffi::CStr = guarded(c"other", || {
        let status = number(status);
        if status == 0 {
            return c"ok";
        }
        let known = ErrorKind::ALL.iter().position(|kind| kind.number() == status);
        known.and_then(|index| names().get(index)).map_or(c"other", |name| name.as_c_str())
    });
    name.as_ptr()
}

fn names() -> &'static [std::ffi::CString] {
    static NAMES: std::sync::OnceLock<Vec<std::ffi::CString>> = std::sync::OnceLock::new();
    NAMES.get_or_init(|| ErrorKind::ALL.iter().map(|kind| crate::text::c_string(kind.name())).collect())
}

/// How many handles and strings of this library are alive in the process: for tests that nothing leaks.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_live_handles() -> u64 {
    LIVE.load(Ordering::Relaxed)
}

/// Panics inside the guard. Only in builds for this library's own tests.
#[cfg(feature = "fault-injection")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_debug_panic(error: *mut *mut crate::error::osscb_error) -> osscb_status {
    // SAFETY: the caller's promise.
    unsafe { crate::guard::status(error, || panic!("asked for by osscb_debug_panic")) }
}

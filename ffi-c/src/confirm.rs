//! Asking OSS whether the object of a callback is there.

use std::ffi::CString;
use std::os::raw::c_char;

use oss_callback_core::Confirmation;

use crate::cancel::osscb_cancel;
use crate::client::osscb_client;
use crate::error::osscb_error;
use crate::event::osscb_event;
use crate::generated::osscb_status;
use crate::guard::{Out, free, handle, read, status};
use crate::library::Live;
use crate::text::{c_string, give_number, lend};
use crate::time::seconds;

/// What OSS says of an object whose callback it has confirmed. Freed by `osscb_confirmation_free`; what its
/// functions return is borrowed until then.
#[derive(Debug)]
pub struct osscb_confirmation {
    etag: Option<CString>,
    size: Option<u64>,
    crc64: Option<u64>,
    content_type: Option<CString>,
    last_modified: Option<i64>,
    version_id: Option<CString>,
    request_id: Option<CString>,
    _live: Live,
}

impl osscb_confirmation {
    fn new(found: &Confirmation) -> osscb_confirmation {
        let text = |text: &Option<String>| text.as_deref().map(c_string);
        osscb_confirmation {
            etag: text(&found.etag),
            size: found.size,
            crc64: found.crc64,
            content_type: text(&found.content_type),
            last_modified: found.last_modified.map(seconds),
            version_id: text(&found.version_id),
            request_id: text(&found.request_id),
            _live: Live::new(),
        }
    }
}

/// Asks OSS (HeadObject, with this client's credentials) whether the object of a callback is there with the
/// ETag, size and CRC-64 that the callback tells: those that its body names, at least one. Blocks until
/// then.
///
/// It proves what is stored now, not who stored it: the bucket is the one that the callback claims, so hold
/// it against your own by `osscb_verifier_options_add_bucket` or a seal. The credentials need the right to
/// read the object (`oss:GetObject`).
///
/// `cancel`: may be NULL; else another thread ends the call by `osscb_cancel_now`.
/// `confirmation`: freed by `osscb_confirmation_free`.
///
/// Fails with `OSSCB_STATUS_VERIFICATION`, reason `object_missing` or `object_differs`; with
/// `OSSCB_STATUS_INVALID_ARGUMENT` for an event that names no bucket or key, or nothing to compare; else as
/// `osscb_put_object_with_callback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_client_confirm(
    client: *const osscb_client,
    event: *const osscb_event,
    cancel: *const osscb_cancel,
    confirmation: *mut *mut osscb_confirmation,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(confirmation, "confirmation")?;
        // SAFETY: NULL or live handles.
        let (client, event, cancel) = unsafe {
            // A client of our own: the handle may be freed while the call runs. So may that of `cancel`.
            let client = handle(client, "client")?.client.clone();
            let cancel = cancel.as_ref().map(|cancel| cancel.cancel.clone());
            (client, handle(event, "event")?, cancel)
        };
        let found = match cancel {
            Some(cancel) => client.confirm_until(&event.event, &cancel),
            None => client.confirm(&event.event),
        }?;
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_confirmation::new(&found)) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// ETag, without quotes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_confirmation_etag(confirmation: *const osscb_confirmation) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(confirmation, std::ptr::null(), |found| lend(found.etag.as_ref())) }
}

/// Size in bytes. Returns false, and leaves `size` as it is, if OSS did not say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_confirmation_size(
    confirmation: *const osscb_confirmation,
    size: *mut u64,
) -> bool {
    // SAFETY: NULL or a live handle, and NULL or a place to write to.
    unsafe { read(confirmation, false, |found| give_number(found.size, size)) }
}

/// CRC-64. Returns false, and leaves `crc64` as it is, if OSS did not say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_confirmation_crc64(
    confirmation: *const osscb_confirmation,
    crc64: *mut u64,
) -> bool {
    // SAFETY: NULL or a live handle, and NULL or a place to write to.
    unsafe { read(confirmation, false, |found| give_number(found.crc64, crc64)) }
}

/// Content-Type; NULL if OSS did not say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_confirmation_content_type(
    confirmation: *const osscb_confirmation,
) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(confirmation, std::ptr::null(), |found| lend(found.content_type.as_ref())) }
}

/// When it was stored, in seconds since 1970 (UTC). Returns false, and leaves `last_modified` as it is, if
/// OSS did not say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_confirmation_last_modified(
    confirmation: *const osscb_confirmation,
    last_modified: *mut i64,
) -> bool {
    // SAFETY: NULL or a live handle, and NULL or a place to write to.
    unsafe { read(confirmation, false, |found| give_number(found.last_modified, last_modified)) }
}

/// Version; NULL unless the bucket is versioned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_confirmation_version_id(
    confirmation: *const osscb_confirmation,
) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(confirmation, std::ptr::null(), |found| lend(found.version_id.as_ref())) }
}

/// OSS's id of the question.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_confirmation_request_id(
    confirmation: *const osscb_confirmation,
) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(confirmation, std::ptr::null(), |found| lend(found.request_id.as_ref())) }
}

/// Frees a confirmation, and what was borrowed from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_confirmation_free(confirmation: *mut osscb_confirmation) {
    // SAFETY: NULL or a live handle.
    unsafe { free(confirmation) };
}

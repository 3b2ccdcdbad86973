//! The answer that the application server gives to a callback request.

use std::os::raw::c_void;

use bytes::Bytes;
use oss_callback_core::receive::answer::{Reply, failure, refusal, reply};

use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{Out, free, new_handle, read, status};
use crate::library::Live;
use crate::pairs::osscb_pairs;
use crate::text::{array, osscb_bytes};

/// An HTTP answer to a callback request: send its status, headers and body as they are. Freed by
/// `osscb_answer_free`; what its functions return is borrowed until then.
#[derive(Debug)]
pub struct osscb_answer {
    status: u16,
    headers: osscb_pairs,
    body: Bytes,
    _live: Live,
}

impl osscb_answer {
    fn new(reply: Reply) -> osscb_answer {
        let headers: Vec<(String, String)> =
            reply.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        osscb_answer {
            status: reply.status,
            headers: osscb_pairs::new(&headers),
            body: reply.body,
            _live: Live::new(),
        }
    }
}

/// The answer that makes the upload succeed; the uploader gets `json` as it is. Freed by
/// `osscb_answer_free`.
///
/// `json`: `json_len` bytes, copied.
///
/// Fails with `OSSCB_STATUS_INVALID_ARGUMENT` for what OSS refuses: nothing at all, a byte order mark,
/// invalid JSON, or more than 1 MB; the error has the EC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_answer_new(
    json: *const c_void,
    json_len: usize,
    answer: *mut *mut osscb_answer,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(answer, "answer")?;
        // SAFETY: lent for this call.
        let json: &[u8] = unsafe { array(json.cast(), json_len, "json") }?;
        let made = osscb_answer::new(reply(Bytes::copy_from_slice(json))?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(made) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// The answer to a request that did not verify: status 403, the same for every reason, so that a forger
/// learns nothing from it. Freed by `osscb_answer_free`.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_answer_new_refusal() -> *mut osscb_answer {
    new_handle(|| osscb_answer::new(refusal()))
}

/// The answer when a callback did verify, but could not be acted on: status 500. The upload ends as
/// `callback_failed`. Freed by `osscb_answer_free`.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_answer_new_failure() -> *mut osscb_answer {
    new_handle(|| osscb_answer::new(failure()))
}

/// HTTP status: 200, 403 for a refusal, or 500 for a failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_answer_status(answer: *const osscb_answer) -> i32 {
    // SAFETY: NULL or a live handle.
    unsafe { read(answer, 0, |answer| i32::from(answer.status)) }
}

/// `Content-Type` and `Content-Length`, which OSS demands. Borrowed from `answer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_answer_headers(answer: *const osscb_answer) -> *const osscb_pairs {
    // SAFETY: NULL or a live handle.
    unsafe { read(answer, std::ptr::null(), |answer| &raw const answer.headers) }
}

/// The body.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_answer_body(answer: *const osscb_answer) -> osscb_bytes {
    let none = osscb_bytes { ptr: c"".as_ptr().cast(), len: 0 };
    let look = |answer: &osscb_answer| osscb_bytes { ptr: answer.body.as_ptr(), len: answer.body.len() };
    // SAFETY: NULL or a live handle.
    unsafe { read(answer, none, look) }
}

/// Frees an answer, and what was borrowed from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_answer_free(answer: *mut osscb_answer) {
    // SAFETY: NULL or a live handle.
    unsafe { free(answer) };
}

//! The reply handle: what a successful upload returned.

use std::ffi::CString;
use std::os::raw::c_char;
use std::sync::OnceLock;

use oss_callback_core::CallbackReply;

use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{Out, free, handle, read, status};
use crate::library::Live;
use crate::text::{c_string, give_number, lend, osscb_bytes};

/// The application server's answer to the callback, and what OSS said of the stored object. Freed by
/// `osscb_reply_free`; what its functions return is borrowed until then.
#[derive(Debug)]
pub struct osscb_reply {
    reply: CallbackReply,
    // Made when they are asked for, which most never are.
    text: OnceLock<CString>,
    content_type: Lent,
    etag: Lent,
    version_id: Lent,
    request_id: Lent,
    _live: Live,
}

type Lent = OnceLock<Option<CString>>;

impl osscb_reply {
    pub(crate) fn new(reply: CallbackReply) -> osscb_reply {
        osscb_reply {
            reply,
            text: OnceLock::new(),
            content_type: Lent::new(),
            etag: Lent::new(),
            version_id: Lent::new(),
            request_id: Lent::new(),
            _live: Live::new(),
        }
    }
}

/// # Safety
/// `reply` is NULL or a live handle.
unsafe fn lent(
    reply: *const osscb_reply,
    place: impl Fn(&osscb_reply) -> &Lent,
    text: impl Fn(&CallbackReply) -> Option<&str>,
) -> *const c_char {
    let look =
        |reply: &osscb_reply| lend(place(reply).get_or_init(|| text(&reply.reply).map(c_string)).as_ref());
    // SAFETY: the caller's promise.
    unsafe { read(reply, std::ptr::null(), look) }
}

/// The callback body: what the application server answered, byte for byte. It may hold anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_body(reply: *const osscb_reply) -> osscb_bytes {
    let none = osscb_bytes { ptr: c"".as_ptr().cast(), len: 0 };
    let look = |reply: &osscb_reply| {
        let body = reply.reply.body();
        osscb_bytes { ptr: body.as_ptr(), len: body.len() }
    };
    // SAFETY: NULL or a live handle.
    unsafe { read(reply, none, look) }
}

/// The callback body as NUL-terminated UTF-8, with U+FFFD for what is none. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_text(reply: *const osscb_reply) -> *const c_char {
    let look = |reply: &osscb_reply| reply.text.get_or_init(|| c_string(&reply.reply.text())).as_ptr();
    // SAFETY: NULL or a live handle.
    unsafe { read(reply, c"".as_ptr(), look) }
}

/// The callback body, once it is checked to be JSON, as NUL-terminated UTF-8 for a parser of yours.
/// Borrowed from `reply`.
///
/// Fails with `OSSCB_STATUS_INVALID_ARGUMENT` if it is not JSON; the upload and the callback succeeded
/// all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_json(
    reply: *const osscb_reply,
    json: *mut *const c_char,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(json, "json")?;
        // SAFETY: NULL or a live handle.
        let reply = unsafe { handle(reply, "reply") }?;
        reply.reply.json()?;
        let text = reply.text.get_or_init(|| c_string(&reply.reply.text())).as_ptr();
        // SAFETY: the caller lets us write there.
        unsafe { out.put(text) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Media type of the callback body; NULL if the application server named none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_content_type(reply: *const osscb_reply) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { lent(reply, |reply| &reply.content_type, CallbackReply::content_type) }
}

/// ETag of the object, without quotes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_etag(reply: *const osscb_reply) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { lent(reply, |reply| &reply.etag, CallbackReply::etag) }
}

/// Version of the object; NULL unless the bucket is versioned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_version_id(reply: *const osscb_reply) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { lent(reply, |reply| &reply.version_id, CallbackReply::version_id) }
}

/// OSS's id of the request: quote it to Alibaba Cloud's support.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_request_id(reply: *const osscb_reply) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { lent(reply, |reply| &reply.request_id, CallbackReply::request_id) }
}

/// CRC-64 of the object, which was compared with that of the data sent. Returns false, and leaves
/// `crc64` as it is, if OSS did not say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_crc64(reply: *const osscb_reply, crc64: *mut u64) -> bool {
    // SAFETY: NULL or a live handle, and NULL or a place to write to.
    unsafe { read(reply, false, |reply| give_number(reply.reply.crc64(), crc64)) }
}

/// How long OSS worked on the request, callback included, in milliseconds. Returns false, and leaves
/// `server_time_ms` as it is, if OSS did not say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_server_time_ms(
    reply: *const osscb_reply,
    server_time_ms: *mut u64,
) -> bool {
    let look = |reply: &osscb_reply| {
        let time = reply.reply.server_time();
        let ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        // SAFETY: NULL or a place to write to.
        unsafe { give_number(ms, server_time_ms) }
    };
    // SAFETY: NULL or a live handle.
    unsafe { read(reply, false, look) }
}

/// Frees a reply, and what was borrowed from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_reply_free(reply: *mut osscb_reply) {
    // SAFETY: NULL or a live handle.
    unsafe { free(reply) };
}

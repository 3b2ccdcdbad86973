//! The client handle and the upload.

use std::ffi::CString;
use std::os::raw::{c_char, c_void};

use oss_callback_core::{Client, PutRequest};

use crate::callback::osscb_callback;
use crate::cancel::osscb_cancel;
use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{Out, free, handle, read, status};
use crate::library::Live;
use crate::loan::Loan;
use crate::options::{built, osscb_client_options, osscb_put_options};
use crate::reply::osscb_reply;
use crate::text::{c_string, lend, osscb_str};

/// Uploads objects with callbacks. One client serves any number of threads at once and keeps its
/// connections alive between calls; after `fork()` it may be used in the child too.
#[derive(Debug)]
pub struct osscb_client {
    pub(crate) client: Client,
    endpoint: CString,
    region: Option<CString>,
    _live: Live,
}

/// Checks the options and makes a client. Nothing is sent. Freed by `osscb_client_free`.
///
/// `options`: may be NULL, which leaves all to the environment: `OSS_REGION` or `OSS_ENDPOINT`, and the
/// usual sources of credentials (see `osscb_client_options_set_credentials_source`).
///
/// Fails with `OSSCB_STATUS_INVALID_ARGUMENT` for an option that is malformed, out of range or missing,
/// and with `OSSCB_STATUS_CREDENTIALS` if it is certain that there are none; sources that must be asked
/// are asked by the first upload.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_client_new(
    options: *const osscb_client_options,
    client: *mut *mut osscb_client,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(client, "client")?;
        // SAFETY: NULL or a live handle.
        let client = unsafe { built(options) }?.build()?;
        let endpoint = c_string(&client.endpoint().to_string());
        let region = client.region().map(c_string);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_client { client, endpoint, region, _live: Live::new() }) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Where requests go, such as `https://oss-cn-hangzhou.aliyuncs.com`. Borrowed from `client`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_client_endpoint(client: *const osscb_client) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(client, std::ptr::null(), |client| client.endpoint.as_ptr()) }
}

/// The region that requests are signed for; NULL if none is known. Borrowed from `client`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_client_region(client: *const osscb_client) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(client, std::ptr::null(), |client| lend(client.region.as_ref())) }
}

/// Uploads an object, has OSS call the application server, and returns its answer. Blocks until then;
/// no function of yours is called.
///
/// `data`: `data_len` bytes, sent from where they lie, not copied; nothing reads them any more once the
/// call has returned, however it ended. May be NULL if `data_len` is 0.
/// `options`: may be NULL.
/// `cancel`: may be NULL; else another thread ends the call by `osscb_cancel_now`.
/// `reply`: the answer, freed by `osscb_reply_free`.
///
/// With `OSSCB_STATUS_CALLBACK_FAILED` the object is stored, and the error has its ETag; with
/// `OSSCB_STATUS_INVALID_ARGUMENT` and `OSSCB_STATUS_CREDENTIALS` nothing was sent. Other failures:
/// `OSSCB_STATUS_NETWORK`, `_TIMEOUT`, `_INTEGRITY`, `_SERVICE`, `_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_put_object_with_callback(
    client: *const osscb_client,
    bucket: osscb_str,
    key: osscb_str,
    data: *const c_void,
    data_len: usize,
    callback: *const osscb_callback,
    options: *const osscb_put_options,
    cancel: *const osscb_cancel,
    reply: *mut *mut osscb_reply,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(reply, "reply")?;
        // SAFETY: handles are NULL or live; text and data are lent for this call, and `loan` outlives
        // every use of the data.
        let (client, loan, request) = unsafe {
            // A client of our own: the handle may be freed while the call runs.
            let client = handle(client, "client")?.client.clone();
            let callback = handle(callback, "callback")?;
            let (bucket, key) = (bucket.check("bucket")?, key.check("key")?);
            let options = built(options)?;
            let (loan, data) = Loan::of(data, data_len)?;
            let mut request = PutRequest::new(bucket, key, data, &callback.callback).options(options);
            if let Some(cancel) = cancel.as_ref() {
                request = request.cancel(&cancel.cancel);
            }
            (client, loan, request)
        };
        let outcome = client.send(request);
        drop(loan);
        let made = osscb_reply::new(outcome?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(made) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Frees a client. Calls that other threads have under way go on to their end; none may begin after.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_client_free(client: *mut osscb_client) {
    // SAFETY: NULL or a live handle.
    unsafe { free(client) };
}

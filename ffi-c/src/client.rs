//! The client handle.

use std::ffi::CString;
use std::os::raw::c_char;

use oss_callback_core::Client;

use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{Out, free, read, status};
use crate::library::Live;
use crate::options::{built, osscb_client_options};
use crate::text::{c_string, lend};

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
        oss_callback_core::log_by_environment();
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

/// Frees a client. Calls that other threads have under way go on to their end; none may begin after.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_client_free(client: *mut osscb_client) {
    // SAFETY: NULL or a live handle.
    unsafe { free(client) };
}

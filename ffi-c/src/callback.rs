//! The callback handle: made once, used by any number of uploads.

use std::ffi::CString;
use std::os::raw::c_char;

use oss_callback_core::{Callback, PreviewValues};

use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{Out, free, handle, read, status};
use crate::library::Live;
use crate::options::{built, osscb_callback_options};
use crate::pairs::texts;
use crate::text::{c_string, lend, osscb_pair, osscb_str, osscb_string};

/// What OSS shall tell the application server once the object is stored: checked and encoded.
/// It never changes: any number of threads may use one at once.
#[derive(Debug)]
pub struct osscb_callback {
    pub(crate) callback: Callback,
    encoded: CString,
    encoded_vars: Option<CString>,
    json: CString,
    vars_json: Option<CString>,
    warnings: Vec<CString>,
    _live: Live,
}

impl osscb_callback {
    pub(crate) fn new(callback: Callback) -> osscb_callback {
        osscb_callback {
            encoded: c_string(callback.encoded()),
            encoded_vars: callback.encoded_vars().map(c_string),
            json: c_string(callback.json()),
            vars_json: callback.vars_json().map(c_string),
            warnings: callback.warnings().iter().map(|warning| c_string(warning)).collect(),
            callback,
            _live: Live::new(),
        }
    }
}

/// Checks a callback and encodes it. Freed by `osscb_callback_free`.
///
/// `url`: where OSS sends the callback; up to five, joined by `;`. Empty with the option `policy`.
/// `options`: may be NULL; by default the body carries bucket, object, etag, size, mimeType and every
/// variable.
///
/// Fails with `OSSCB_STATUS_INVALID_ARGUMENT` for whatever OSS would refuse, or what would silently
/// misbehave; the error has the field and, where OSS has one, the EC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_new(
    url: osscb_str,
    options: *const osscb_callback_options,
    callback: *mut *mut osscb_callback,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(callback, "callback")?;
        // SAFETY: handles are NULL or live, and the text is lent for this call.
        let (mut builder, url) = unsafe { (built(options)?, url.check("callback.url")?) };
        builder = builder.url(url);
        // SAFETY: as above.
        for url in unsafe { options.as_ref() }.map_or(&[][..], |options| &options.more_urls) {
            builder = builder.url(url.as_str());
        }
        let made = osscb_callback::new(builder.build()?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(made) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Base64 of the callback's JSON: the value of the header `x-oss-callback`. Borrowed from `callback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_encoded(callback: *const osscb_callback) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(callback, std::ptr::null(), |callback| callback.encoded.as_ptr()) }
}

/// Base64 of the variables' JSON: the value of the header `x-oss-callback-var`. NULL without variables.
/// Borrowed from `callback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_encoded_vars(callback: *const osscb_callback) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(callback, std::ptr::null(), |callback| lend(callback.encoded_vars.as_ref())) }
}

/// The JSON that `osscb_callback_encoded` holds. Borrowed from `callback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_json(callback: *const osscb_callback) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(callback, std::ptr::null(), |callback| callback.json.as_ptr()) }
}

/// The JSON that `osscb_callback_encoded_vars` holds; NULL without variables. Borrowed from `callback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_vars_json(callback: *const osscb_callback) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(callback, std::ptr::null(), |callback| lend(callback.vars_json.as_ref())) }
}

/// How many warnings there are: what is legal but seldom meant, such as a variable that the body never
/// uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_warning_count(callback: *const osscb_callback) -> usize {
    // SAFETY: NULL or a live handle.
    unsafe { read(callback, 0, |callback| callback.warnings.len()) }
}

/// A warning; NULL if `index` is not below the count. Borrowed from `callback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_warning(
    callback: *const osscb_callback,
    index: usize,
) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(callback, std::ptr::null(), |callback| lend(callback.warnings.get(index))) }
}

/// The exact body that OSS would send for an upload with these values. Free `*text` by
/// `osscb_string_free`.
///
/// `values`: `count` pairs of a system variable's name, such as `bucket`, `object`, `etag`, `size`,
/// `mimeType`, and its value. What is left out is as OSS has it for an empty upload.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_preview(
    callback: *const osscb_callback,
    values: *const osscb_pair,
    count: usize,
    text: *mut osscb_string,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(text, "text")?;
        // SAFETY: the handle is NULL or live, and the pairs are lent for this call.
        let (callback, pairs) = unsafe { (handle(callback, "callback")?, texts(values, count, "values")?) };
        let mut values = PreviewValues::new();
        for (name, value) in pairs {
            values.set(&name, value)?;
        }
        let preview = callback.callback.preview(&values)?;
        // SAFETY: the caller lets us write there.
        unsafe { out.put(osscb_string::new(preview)) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Frees a callback, and what was borrowed from it. Uploads under way are not disturbed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_free(callback: *mut osscb_callback) {
    // SAFETY: NULL or a live handle.
    unsafe { free(callback) };
}

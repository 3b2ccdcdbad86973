//! Sealing a callback: how a verifier tells your uploads from a forger's.

use std::time::Duration;

use oss_callback_core::CallbackBuilder;

use crate::callback::osscb_callback;
use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{Out, handle, read, status};
use crate::options::{self, osscb_callback_options};
use crate::text::osscb_str;
use crate::time::moment;

/// Seals every upload with a secret that your application server shares (see
/// `osscb_verifier_options_add_seal_secret`), so that it can tell your uploads from a forger's.
///
/// A seal belongs to one bucket and key. Uploads make one each by themselves, and keep it when they are
/// sent again; for presigned URLs and forms, use `osscb_callback_sealed_for`. The seal travels as the
/// variable `x:seal`, which the default body and one built from fields carry by themselves. A body that is
/// written out must hold `${x:seal}`, `${bucket}`, `${object}` and every variable.
///
/// `secret`: at least 16 bytes.
/// `expires_in_s`: from the upload's start (or the signing of a URL or form) to the arrival of the
/// callback, in seconds: 1 to 31536000 (365 days).
///
/// Default: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_options_set_seal(
    options: *mut osscb_callback_options,
    secret: osscb_str,
    expires_in_s: u64,
) {
    let expires_in = Duration::from_secs(expires_in_s);
    let how = |builder: CallbackBuilder, secret: &str| builder.seal(secret, expires_in);
    // SAFETY: NULL or a live handle; the text is lent for this call.
    unsafe { options::set_text(options, "callback.seal", secret, how) };
}

/// Whether each upload gets a seal; false for a callback that is sealed already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_is_to_be_sealed(callback: *const osscb_callback) -> bool {
    // SAFETY: NULL or a live handle.
    unsafe { read(callback, false, |callback| callback.callback.is_to_be_sealed()) }
}

/// The callback for one upload, with a new seal among its variables: for presigned URLs and forms, whose
/// signature fixes bucket and key. Uploads do this by themselves. Without
/// `osscb_callback_options_set_seal` it is a callback like `callback`. Freed by `osscb_callback_free`.
///
/// `time`: seconds since 1970 (UTC), or `OSSCB_NOW`; the seal's expiry counts from then.
///
/// Fails with `OSSCB_STATUS_INVALID_ARGUMENT` for an empty bucket or key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_callback_sealed_for(
    callback: *const osscb_callback,
    bucket: osscb_str,
    key: osscb_str,
    time: i64,
    sealed: *mut *mut osscb_callback,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(sealed, "sealed")?;
        // SAFETY: NULL or a live handle, and the texts are lent for this call.
        let (callback, bucket, key) =
            unsafe { (handle(callback, "callback")?, bucket.check("bucket")?, key.check("key")?) };
        let made = callback.callback.sealed_for(bucket, key, moment(time)?)?;
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_callback::new(made)) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

//! What a signer returns: a signature by headers, and one by URL.

use std::ffi::CString;
use std::os::raw::c_char;

use oss_callback_core::sign::{PresignedRequest, Signed};

use crate::guard::{free, read};
use crate::library::Live;
use crate::pairs::osscb_pairs;
use crate::text::{c_string, lend};

/// A signature by headers. Freed by `osscb_signed_free`; what its functions return is borrowed until
/// then.
#[derive(Debug)]
pub struct osscb_signed {
    headers: osscb_pairs,
    signature: CString,
    canonical_request: Option<CString>,
    string_to_sign: CString,
    _live: Live,
}

/// A signed URL. Freed by `osscb_presigned_free`; what its functions return is borrowed until then.
#[derive(Debug)]
pub struct osscb_presigned {
    method: CString,
    url: CString,
    signed: osscb_signed,
}

impl osscb_signed {
    pub(crate) fn new(signed: Signed) -> osscb_signed {
        osscb_signed {
            headers: osscb_pairs::new(&signed.headers),
            signature: c_string(&signed.signature),
            canonical_request: signed.canonical_request.as_deref().map(c_string),
            string_to_sign: c_string(&signed.string_to_sign),
            _live: Live::new(),
        }
    }
}

impl osscb_presigned {
    pub(crate) fn new(request: PresignedRequest) -> osscb_presigned {
        let PresignedRequest { method, url, headers, signature, canonical_request, string_to_sign } = request;
        osscb_presigned {
            method: c_string(&method),
            url: c_string(&url),
            signed: osscb_signed::new(Signed { headers, signature, canonical_request, string_to_sign }),
        }
    }
}

/// Headers to add to the request, `Authorization` among them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signed_headers(signed_request: *const osscb_signed) -> *const osscb_pairs {
    // SAFETY: NULL or a live handle.
    unsafe { read(signed_request, std::ptr::null(), |signed| &raw const signed.headers) }
}

/// The signature itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signed_signature(signed_request: *const osscb_signed) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(signed_request, std::ptr::null(), |signed| signed.signature.as_ptr()) }
}

/// The canonical request, to compare with another signer's; NULL by V1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signed_canonical_request(
    signed_request: *const osscb_signed,
) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(signed_request, std::ptr::null(), |signed| lend(signed.canonical_request.as_ref())) }
}

/// What the signature is computed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signed_string_to_sign(signed_request: *const osscb_signed) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(signed_request, std::ptr::null(), |signed| signed.string_to_sign.as_ptr()) }
}

/// Frees a signature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signed_free(signed_request: *mut osscb_signed) {
    // SAFETY: NULL or a live handle.
    unsafe { free(signed_request) };
}

/// The method that was signed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_presigned_method(presigned: *const osscb_presigned) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(presigned, std::ptr::null(), |presigned| presigned.method.as_ptr()) }
}

/// The URL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_presigned_url(presigned: *const osscb_presigned) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(presigned, std::ptr::null(), |presigned| presigned.url.as_ptr()) }
}

/// Headers that must be sent unchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_presigned_headers(presigned: *const osscb_presigned) -> *const osscb_pairs {
    // SAFETY: NULL or a live handle.
    unsafe { read(presigned, std::ptr::null(), |presigned| &raw const presigned.signed.headers) }
}

/// The signature itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_presigned_signature(presigned: *const osscb_presigned) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(presigned, std::ptr::null(), |presigned| presigned.signed.signature.as_ptr()) }
}

/// The canonical request, to compare with another signer's; NULL by V1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_presigned_canonical_request(
    presigned: *const osscb_presigned,
) -> *const c_char {
    let look = |presigned: &osscb_presigned| lend(presigned.signed.canonical_request.as_ref());
    // SAFETY: NULL or a live handle.
    unsafe { read(presigned, std::ptr::null(), look) }
}

/// What the signature is computed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_presigned_string_to_sign(presigned: *const osscb_presigned) -> *const c_char {
    // SAFETY: NULL or a live handle.
    unsafe { read(presigned, std::ptr::null(), |presigned| presigned.signed.string_to_sign.as_ptr()) }
}

/// Frees a signed URL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_presigned_free(presigned: *mut osscb_presigned) {
    // SAFETY: NULL or a live handle.
    unsafe { free(presigned) };
}

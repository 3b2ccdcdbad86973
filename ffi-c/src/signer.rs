//! The signer handle: signatures for requests that the caller sends with an HTTP client of its own.

use std::mem::MaybeUninit;
use std::time::Duration;

use oss_callback_core::sign::SignRequest;
use oss_callback_core::{Credentials, Signer};

use crate::error::osscb_error;
use crate::generated::{addressing as known_addressing, osscb_addressing, osscb_status};
use crate::guard::{Failure, Out, free, handle, status};
use crate::library::Live;
use crate::options::built;
use crate::pairs::{osscb_pairs, texts};
use crate::signed::{osscb_presigned, osscb_signed};
use crate::signer_options::osscb_signer_options;
use crate::text::{array, osscb_pair, osscb_str};
use crate::time::moment;

/// Signs requests. It never changes: any number of threads may use one at once.
#[derive(Debug)]
pub struct osscb_signer {
    signer: Signer,
    _live: Live,
}

/// What is to be signed. Begin with `OSSCB_SIGN_REQUEST_INIT`, which sets `size`, and leave what you do
/// not use at 0.
#[repr(C)]
pub struct osscb_sign_request {
    /// `sizeof(osscb_sign_request)`: later versions may add members.
    pub size: usize,
    /// `GET`, `PUT`, …
    pub method: osscb_str,
    /// Bucket; `ptr` NULL for a request to the service.
    pub bucket: osscb_str,
    /// Object key, as it is, not encoded; `ptr` NULL for a request to the bucket.
    pub key: osscb_str,
    /// Parameters, decoded; a value whose `ptr` is NULL makes a name without `=`.
    pub query: *const osscb_pair,
    /// Number of parameters.
    pub query_count: usize,
    /// Headers that will be sent.
    pub headers: *const osscb_pair,
    /// Number of headers.
    pub headers_count: usize,
    /// V4: names of further headers to sign, beside those that always are.
    pub additional_headers: *const osscb_str,
    /// Number of names.
    pub additional_headers_count: usize,
}

/// Checks credentials and options and makes a signer. Freed by `osscb_signer_free`.
///
/// `options`: may be NULL; but signature V4, the default, needs a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_new(
    access_key_id: osscb_str,
    access_key_secret: osscb_str,
    options: *const osscb_signer_options,
    signer: *mut *mut osscb_signer,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(signer, "signer")?;
        // SAFETY: NULL or a live handle, and texts that are lent for this call.
        let (id, secret, choices) = unsafe {
            let id = access_key_id.check("access_key_id")?;
            (id, access_key_secret.check("access_key_secret")?, built(options)?)
        };
        let mut credentials = Credentials::new(id, secret)?;
        if let Some(token) = choices.security_token {
            credentials = credentials.with_security_token(token)?;
        }
        let (region, product) = (choices.region.as_deref(), choices.product.as_deref());
        let signer = Signer::from_choices(credentials, choices.version, region, product)?;
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_signer { signer, _live: Live::new() }) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Signs by headers: send those of `*signed_request` beside those of the request. Freed by
/// `osscb_signed_free`.
///
/// `time`: seconds since 1970 (UTC), or `OSSCB_NOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_sign(
    signer: *const osscb_signer,
    request: *const osscb_sign_request,
    time: i64,
    signed_request: *mut *mut osscb_signed,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(signed_request, "signed_request")?;
        // SAFETY: NULL or live, and what the request points to is lent for this call.
        let (signer, request) = unsafe { (handle(signer, "signer")?, taken(request)?) };
        let signed = osscb_signed::new(signer.signer.sign(&request, moment(time)?)?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(signed) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Signs by URL, to hold for `expires_in_s` seconds from `time`. Whoever holds the URL can make the
/// request until then. Freed by `osscb_presigned_free`.
///
/// `endpoint`: such as `https://oss-cn-hangzhou.aliyuncs.com`; `ptr` NULL for the region's.
/// `expires_in_s`: at least 1; by V4 at most 604800 (7 days).
/// `time`: seconds since 1970 (UTC), or `OSSCB_NOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_presign(
    signer: *const osscb_signer,
    request: *const osscb_sign_request,
    endpoint: osscb_str,
    addressing: MaybeUninit<osscb_addressing>,
    expires_in_s: u64,
    time: i64,
    presigned: *mut *mut osscb_presigned,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(presigned, "presigned")?;
        // SAFETY: NULL or live, and what the request points to, and the text, are lent for this call.
        let (signer, request, endpoint) =
            unsafe { (handle(signer, "signer")?, taken(request)?, endpoint.optional("endpoint")?) };
        let endpoint = signer.signer.endpoint(endpoint)?;
        let addressing = known_addressing(addressing).map_err(|number| {
            Failure::argument("addressing", format!("{number} is none of the values that the header names"))
        })?;
        let expires_in = Duration::from_secs(expires_in_s);
        let made = signer.signer.presign(&request, &endpoint, addressing, expires_in, moment(time)?)?;
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_presigned::new(made)) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// The form fields that a signed POST policy adds to a form, in order; they must stand before the field
/// `file`. Freed by `osscb_pairs_free`.
///
/// `policy_json`: the policy; it must hold the `osscb_signer_policy_conditions` of the same time.
/// `time`: seconds since 1970 (UTC), or `OSSCB_NOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_sign_policy(
    signer: *const osscb_signer,
    policy_json: osscb_str,
    time: i64,
    fields: *mut *mut osscb_pairs,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(fields, "fields")?;
        // SAFETY: NULL or a live handle, and the text is lent for this call.
        let (signer, policy) = unsafe { (handle(signer, "signer")?, policy_json.check("policy")?) };
        let fields = osscb_pairs::new(&signer.signer.sign_policy(policy, moment(time)?)?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(fields) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// The conditions that a POST policy must hold to be signed by this signer at `time`, as names and
/// values. Freed by `osscb_pairs_free`.
///
/// `time`: seconds since 1970 (UTC), or `OSSCB_NOW`; give the same to `osscb_signer_sign_policy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_policy_conditions(
    signer: *const osscb_signer,
    time: i64,
    conditions: *mut *mut osscb_pairs,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(conditions, "conditions")?;
        // SAFETY: NULL or a live handle.
        let signer = unsafe { handle(signer, "signer") }?;
        let conditions = osscb_pairs::new(&signer.signer.policy_conditions(moment(time)?)?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(conditions) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Frees a signer. What it signed stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_signer_free(signer: *mut osscb_signer) {
    // SAFETY: NULL or a live handle.
    unsafe { free(signer) };
}

/// # Safety
/// `request` is NULL or a request whose pointers lend what they point to.
unsafe fn taken(request: *const osscb_sign_request) -> Result<SignRequest, Failure> {
    // SAFETY: the caller's promise; of a shorter request nothing but its size is read.
    unsafe {
        if request.is_null() {
            return Err(Failure::argument("request", "is NULL"));
        }
        let size = (&raw const (*request).size).read();
        if size != size_of::<osscb_sign_request>() {
            return Err(Failure::argument(
                "request.size",
                format!("is {size}, which this library does not know"),
            )
            .with_hint("Begin with OSSCB_SIGN_REQUEST_INIT, from the header of this library's version."));
        }
        let request = &*request;
        let query: &[osscb_pair] = array(request.query, request.query_count, "query")?;
        let query = query.iter().map(|pair| {
            let value = pair.value.optional("query")?.map(str::to_owned);
            Ok((pair.name.check("query")?.to_owned(), value))
        });
        let names: &[osscb_str] =
            array(request.additional_headers, request.additional_headers_count, "additional_headers")?;
        let names = names.iter().map(|name| Ok(name.check("additional_headers")?.to_owned()));
        Ok(SignRequest {
            method: request.method.check("method")?.to_owned(),
            bucket: request.bucket.optional("bucket")?.map(str::to_owned),
            key: request.key.optional("key")?.map(str::to_owned),
            query: query.collect::<Result<_, Failure>>()?,
            headers: texts(request.headers, request.headers_count, "headers")?,
            additional_headers: names.collect::<Result<_, Failure>>()?,
        })
    }
}

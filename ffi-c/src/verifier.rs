//! The verifier handle: is this callback request from OSS?

use std::borrow::Cow;
use std::os::raw::c_void;

use oss_callback_core::receive::CallbackVerifier;

use crate::error::osscb_error;
use crate::event::osscb_event;
use crate::generated::osscb_status;
use crate::guard::{Failure, Out, free, handle, read, status};
use crate::library::Live;
use crate::options::built;
use crate::text::{array, bytes, osscb_pair, osscb_str};
use crate::time::{NOW, moment};
use crate::verifier_options::osscb_verifier_options;

/// Verifies callback requests. Any number of threads may use one at once.
#[derive(Debug)]
pub struct osscb_verifier {
    verifier: CallbackVerifier,
    _live: Live,
}

/// A callback request as it arrived.
struct Request<'a> {
    method: Cow<'a, str>,
    target: Cow<'a, str>,
    headers: Vec<(Cow<'a, str>, &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// # Safety
    /// All is lent until the result is used no more.
    unsafe fn lent(
        method: osscb_str,
        target: osscb_str,
        headers: (*const osscb_pair, usize),
        body: (*const c_void, usize),
    ) -> Result<Request<'a>, Failure> {
        // SAFETY: the caller's promise.
        unsafe {
            let pairs: &[osscb_pair] = array(headers.0, headers.1, "headers")?;
            let pairs = pairs
                .iter()
                .map(|pair| Ok((lossy(pair.name.bytes("headers")?), pair.value.bytes("headers")?)));
            Ok(Request {
                method: lossy(method.bytes("method")?),
                target: lossy(target.bytes("target")?),
                headers: pairs.collect::<Result<_, Failure>>()?,
                body: bytes(body.0, body.1, "body")?,
            })
        }
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &'a [u8])> {
        self.headers.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// What is not UTF-8 comes from a stranger, not from OSS, and is the core's to refuse.
fn lossy(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// Checks the options and makes a verifier. Nothing is sent. Freed by `osscb_verifier_free`.
///
/// `options`: may be NULL; the default needs no settings and, for OSS's present key, no network.
///
/// Fails with `OSSCB_STATUS_INVALID_ARGUMENT` for a key that is not an RSA public key, a template that
/// cannot be read backwards, a secret under 16 bytes, a `first_use` without a secret, or if no key is
/// trusted at all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_new(
    options: *const osscb_verifier_options,
    verifier: *mut *mut osscb_verifier,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(verifier, "verifier")?;
        // SAFETY: NULL or a live handle.
        let verifier = unsafe { built(options) }?.build()?;
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_verifier { verifier, _live: Live::new() }) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Verifies a callback request and tells what it says. It may wait for a key to be fetched.
///
/// `method`: `POST` of the request line.
/// `target`: the raw request target with its query, such as `/cb?id=1`; a whole URL is read as its path and
/// query.
/// `headers`: all `headers_count` of the request as they arrived. They, method and target need not be UTF-8.
/// `body`: the `body_len` raw bytes; NULL if there are none.
/// `event`: freed by `osscb_event_free`.
///
/// Fails with `OSSCB_STATUS_VERIFICATION`: `osscb_error_reason` says which check failed and, where it can
/// be told, `osscb_error_hint` the accident that explains it. Both are for your log: to the sender, answer
/// `osscb_answer_new_refusal`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_verify(
    verifier: *const osscb_verifier,
    method: osscb_str,
    target: osscb_str,
    headers: *const osscb_pair,
    headers_count: usize,
    body: *const c_void,
    body_len: usize,
    event: *mut *mut osscb_event,
    error: *mut *mut osscb_error,
) -> osscb_status {
    // SAFETY: the caller's promises are the same.
    unsafe {
        osscb_verifier_verify_at(
            verifier,
            method,
            target,
            headers,
            headers_count,
            body,
            body_len,
            NOW,
            event,
            error,
        )
    }
}

/// `osscb_verifier_verify` at a given time, which only a seal's expiry depends on.
///
/// `time`: seconds since 1970 (UTC), or `OSSCB_NOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_verify_at(
    verifier: *const osscb_verifier,
    method: osscb_str,
    target: osscb_str,
    headers: *const osscb_pair,
    headers_count: usize,
    body: *const c_void,
    body_len: usize,
    time: i64,
    event: *mut *mut osscb_event,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let work = || {
        let out = Out::new(event, "event")?;
        // SAFETY: NULL or a live handle, and the request is lent for this call.
        let (verifier, request) = unsafe {
            // A verifier of our own: the handle may be freed while the call runs.
            let verifier = handle(verifier, "verifier")?.verifier.clone();
            (verifier, Request::lent(method, target, (headers, headers_count), (body, body_len))?)
        };
        let now = moment(time)?;
        let (method, target) = (&request.method, &request.target);
        let event = verifier.verify_at(method, target, request.headers(), request.body, now)?;
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_event::new(event)) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, work) }
}

/// Verifies the signature only, not the body or the seal: for bodies that are neither form nor JSON.
/// Arguments and failures are those of `osscb_verifier_verify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_verify_signature(
    verifier: *const osscb_verifier,
    method: osscb_str,
    target: osscb_str,
    headers: *const osscb_pair,
    headers_count: usize,
    body: *const c_void,
    body_len: usize,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let work = || {
        // SAFETY: NULL or a live handle, and the request is lent for this call.
        let (verifier, request) = unsafe {
            // A verifier of our own: the handle may be freed while the call runs.
            let verifier = handle(verifier, "verifier")?.verifier.clone();
            (verifier, Request::lent(method, target, (headers, headers_count), (body, body_len))?)
        };
        let (method, target) = (&request.method, &request.target);
        verifier.verify_signature(method, target, request.headers(), request.body)?;
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, work) }
}

/// Largest body of a callback request that the verifier accepts, in bytes: who reads a request need not
/// read on. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_max_body(verifier: *const osscb_verifier) -> usize {
    // SAFETY: NULL or a live handle.
    unsafe { read(verifier, 0, |verifier| verifier.verifier.max_body()) }
}

/// Longest time for the body of a callback request to arrive, in milliseconds: who reads a request bounds the
/// time himself, and answers what has not arrived by then by `osscb_answer_new_refusal`. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_body_timeout_ms(verifier: *const osscb_verifier) -> u64 {
    let millis = |verifier: &osscb_verifier| verifier.verifier.body_timeout().as_millis();
    // SAFETY: NULL or a live handle. A year is the most.
    unsafe { read(verifier, 0, |verifier| u64::try_from(millis(verifier)).unwrap_or(u64::MAX)) }
}

/// Frees a verifier. Verifications that other threads have under way go on to their end; none may begin
/// after. Events stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_free(verifier: *mut osscb_verifier) {
    // SAFETY: NULL or a live handle.
    unsafe { free(verifier) };
}

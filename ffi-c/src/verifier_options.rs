//! Options of a verifier that are not in the list: a callback in place of a template, and the two functions
//! of the caller's.

use std::mem::MaybeUninit;
use std::os::raw::{c_char, c_void};
use std::time::SystemTime;

use oss_callback_core::receive::CallbackVerifierBuilder;

use crate::callback::osscb_callback;
use crate::function::{Context, is_true, osscb_failure, osscb_release_function};
use crate::guard::{Failure, free, guarded, handle, new_handle};
use crate::options::{self, Building, Options};
use crate::text::{array, c_string};
use crate::time::seconds;

/// Options of a verifier. All are optional.
#[derive(Debug)]
pub struct osscb_verifier_options(Building<CallbackVerifierBuilder>);

impl Options for osscb_verifier_options {
    type Builder = CallbackVerifierBuilder;

    fn building(&mut self) -> &mut Building<CallbackVerifierBuilder> {
        &mut self.0
    }

    fn parts(&self) -> &Building<CallbackVerifierBuilder> {
        &self.0
    }
}

/// Where a key function puts what it got. It is yours for the length of that call only.
#[derive(Debug, Default)]
pub struct osscb_key {
    given: Option<Result<Vec<u8>, String>>,
}

/// Gets the PEM of the key behind `url`, a NUL-terminated official key URL, and hands it over by
/// `osscb_key_set`. Returns false on failure, and then may say why by `osscb_failure_set`. Set a short
/// timeout, follow no redirects, and read no more than 16 KiB: longer answers are refused.
///
/// Runs on the thread that verifies, and so on several at once. It must not verify by the verifier that it
/// belongs to, which would wait for itself.
pub type osscb_fetch_key_function = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        url: *const c_char,
        key: *mut osscb_key,
        failure: *mut osscb_failure,
    ) -> MaybeUninit<bool>,
>;

/// Asked last, of every seal that is right, whether this is the first time. `nonce` is NUL-terminated;
/// remember it until `expires_at`, in seconds since 1970 (UTC). Return false to refuse a replay. It must be
/// atomic: of two calls with one nonce only one may get true.
///
/// Runs on the thread that verifies, and so on several at once.
pub type osscb_first_use_function = Option<
    unsafe extern "C" fn(context: *mut c_void, nonce: *const c_char, expires_at: i64) -> MaybeUninit<bool>,
>;

/// Hands a key over, from within a key function: `pem_len` bytes, copied. The last call counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_key_set(key: *mut osscb_key, pem: *const c_void, pem_len: usize) {
    guarded((), || {
        // SAFETY: NULL, or lent to the function that calls us; the bytes are lent for this call.
        let (key, pem) = unsafe { (key.as_mut(), array::<u8>(pem.cast(), pem_len, "pem")) };
        let Some(key) = key else { return };
        key.given = Some(pem.map(<[u8]>::to_vec).map_err(|failure| failure.message()));
    });
}

struct Fetcher {
    fetch: unsafe extern "C" fn(
        *mut c_void,
        *const c_char,
        *mut osscb_key,
        *mut osscb_failure,
    ) -> MaybeUninit<bool>,
    context: Context,
}

impl Fetcher {
    fn ask(&self, url: &str) -> Result<Vec<u8>, String> {
        let (mut key, mut failure) = (osscb_key::default(), osscb_failure::default());
        let url = c_string(url);
        // SAFETY: the function came with this context, and what it is given lives until it returns.
        let said =
            unsafe { (self.fetch)(self.context.pointer, url.as_ptr(), &raw mut key, &raw mut failure) };
        if !is_true(said) {
            return Err(failure.or("the key function failed and did not say why"));
        }
        match key.given {
            Some(given) => given.map_err(|message| format!("the key function gave a PEM that {message}")),
            None => {
                Err("the key function gave none: it must call osscb_key_set before it returns true".into())
            }
        }
    }
}

struct Asker {
    ask: unsafe extern "C" fn(*mut c_void, *const c_char, i64) -> MaybeUninit<bool>,
    context: Context,
}

impl Asker {
    fn is_first(&self, nonce: &str, expires_at: SystemTime) -> bool {
        let nonce = c_string(nonce);
        // SAFETY: the function came with this context, and the nonce lives until it returns.
        is_true(unsafe { (self.ask)(self.context.pointer, nonce.as_ptr(), seconds(expires_at)) })
    }
}

/// Options with nothing set. Freed by `osscb_verifier_options_free`.
///
/// Setters copy what they are given, and the last call counts. They cannot fail: a value that cannot be
/// taken, such as text that is not UTF-8, is reported by `osscb_verifier_new`.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_verifier_options_new() -> *mut osscb_verifier_options {
    new_handle(|| osscb_verifier_options(Building::new()))
}

/// The template, and its type, of a callback of this library: in place of
/// `osscb_verifier_options_set_template`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_options_set_callback(
    options: *mut osscb_verifier_options,
    callback: *const osscb_callback,
) {
    let how = |builder: CallbackVerifierBuilder| {
        // SAFETY: NULL or a live handle.
        let callback = unsafe { handle(callback, "callback") }?;
        Ok(builder.callback(&callback.callback))
    };
    // SAFETY: NULL or a live handle.
    unsafe { options::set(options, how) };
}

/// Gets the PEM of official keys by a function of yours, in place of this library's own way.
///
/// It replaces the fetching and the key that is built in, never the rule for key URLs: it is not called for
/// a URL that is not OSS's. Its answers are remembered, failures for 30 s. Verifications wait for it; when
/// it fails, they end with reason `key_unavailable` and its message.
///
/// `context`: passed to `fetch_key`, and to `release`, which may be NULL, once these options and all
/// verifiers made of them are freed, or at once if `fetch_key` is NULL.
///
/// Default: the present key is built in; another one is fetched from OSS's own host by https within 5 s,
/// following no redirect, through the proxy of the environment (`HTTPS_PROXY`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_options_set_fetch_key(
    options: *mut osscb_verifier_options,
    fetch_key: osscb_fetch_key_function,
    release: osscb_release_function,
    context: *mut c_void,
) {
    // SAFETY: the caller's promise. Made first, as it is let go however this ends.
    let context = unsafe { Context::new(context, release) };
    let how = |builder: CallbackVerifierBuilder| {
        let fetch = fetch_key.ok_or_else(|| Failure::argument("fetch_key", "is NULL"))?;
        let fetcher = Fetcher { fetch, context };
        Ok(builder.fetch_key(move |url: &str| fetcher.ask(url)))
    };
    // SAFETY: NULL or a live handle.
    unsafe { options::set(options, how) };
}

/// Refuses replays by a function of yours. It needs a seal secret.
///
/// `context`: passed to `first_use`, and to `release`, which may be NULL, once these options and all
/// verifiers made of them are freed, or at once if `first_use` is NULL.
///
/// Default: none; replays within the expiry are accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_options_set_first_use(
    options: *mut osscb_verifier_options,
    first_use: osscb_first_use_function,
    release: osscb_release_function,
    context: *mut c_void,
) {
    // SAFETY: the caller's promise. Made first, as it is let go however this ends.
    let context = unsafe { Context::new(context, release) };
    let how = |builder: CallbackVerifierBuilder| {
        let ask = first_use.ok_or_else(|| Failure::argument("first_use", "is NULL"))?;
        let asker = Asker { ask, context };
        Ok(builder.first_use(move |nonce: &str, expires_at| asker.is_first(nonce, expires_at)))
    };
    // SAFETY: NULL or a live handle.
    unsafe { options::set(options, how) };
}

/// Frees options. Verifiers made with them stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_options_free(options: *mut osscb_verifier_options) {
    // SAFETY: NULL or a live handle.
    unsafe { free(options) };
}

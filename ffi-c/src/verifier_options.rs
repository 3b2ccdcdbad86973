//! Options of a verifier that are not in the list: a callback in place of a template, and the two functions
//! of the caller's.

use std::mem::MaybeUninit;
use std::os::raw::{c_char, c_void};
use std::time::SystemTime;

use oss_callback_core::receive::CallbackVerifierBuilder;

use crate::callback::osscb_callback;
use crate::guard::{Failure, free, guarded, handle, new_handle};
use crate::options::{self, Building, Options};
use crate::text::{array, c_string, osscb_str};
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

/// Where an `osscb_fetch_key` puts what it got. It lives until that function returns.
#[derive(Debug)]
pub struct osscb_key_answer(Result<Vec<u8>, String>);

/// Gets the PEM of the key behind `url`, a NUL-terminated official key URL, and gives it, or what went
/// wrong, to `answer`. Set a short timeout, follow no redirects, and read no more than 16 KiB: longer
/// answers are refused.
///
/// Runs on the thread that verifies, and so on several at once. It must not throw or `longjmp` out.
pub type osscb_fetch_key =
    Option<unsafe extern "C" fn(context: *mut c_void, url: *const c_char, answer: *mut osscb_key_answer)>;

/// Asked last, of every seal that is right, whether this is the first time. `nonce` is NUL-terminated;
/// remember it until `expires_at`, in seconds since 1970 (UTC). Return false to refuse a replay. It must be
/// atomic: of two calls with one nonce only one may get true.
///
/// Runs on the thread that verifies, and so on several at once. It must not throw or `longjmp` out.
pub type osscb_first_use = Option<
    unsafe extern "C" fn(context: *mut c_void, nonce: *const c_char, expires_at: i64) -> MaybeUninit<bool>,
>;

/// Called with a function's `context` once that function can no longer be called, from whichever thread
/// frees the last handle that holds it. It must not throw or `longjmp` out.
pub type osscb_drop = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// What belongs to a function of the caller's.
struct Context {
    pointer: *mut c_void,
    drop: osscb_drop,
}

// SAFETY: the caller promises a context that may be used and dropped on any thread, on several at once.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: the caller's function, called once with the context that it was given for.
            unsafe { drop(self.pointer) };
        }
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
/// a URL that is not OSS's. Its answers are remembered, failures for 30 s. Verifications wait for it.
///
/// `context`: passed to `fetch_key` as it is; it belongs to the library from this call on, whatever
/// becomes of it.
/// `drop`: frees `context`; may be NULL.
///
/// Default: the present key is built in; another one is fetched from OSS's own host by https within 5 s,
/// following no redirect, through the proxy of the environment (`HTTPS_PROXY`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_options_set_fetch_key(
    options: *mut osscb_verifier_options,
    fetch_key: osscb_fetch_key,
    context: *mut c_void,
    drop: osscb_drop,
) {
    let context = Context { pointer: context, drop };
    let how = |builder: CallbackVerifierBuilder| {
        let function = fetch_key.ok_or_else(|| Failure::argument("fetch_key", "is NULL"))?;
        Ok(builder.fetch_key(move |url: &str| {
            let mut answer = osscb_key_answer(Err("the function fetch_key gave no answer".to_owned()));
            let url = c_string(url);
            // SAFETY: the caller's function, with its context; URL and answer live until it returns.
            unsafe { function(context.pointer(), url.as_ptr(), &raw mut answer) };
            answer.0
        }))
    };
    // SAFETY: NULL or a live handle.
    unsafe { options::set(options, how) };
}

/// Gives the key: `pem_len` bytes, copied. The last call for an answer counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_key_answer_set_pem(
    answer: *mut osscb_key_answer,
    pem: *const c_void,
    pem_len: usize,
) {
    guarded((), || {
        // SAFETY: NULL or the answer of a function that runs, and bytes that it lends.
        let (Some(answer), pem) = (unsafe { (answer.as_mut(), array::<u8>(pem.cast(), pem_len, "pem")) })
        else {
            return;
        };
        answer.0 = match pem {
            Ok(pem) => Ok(pem.to_vec()),
            Err(failure) => Err(format!("the PEM {}", failure.message())),
        };
    });
}

/// Says why there is no key: it becomes part of the error's message. The last call for an answer counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_key_answer_set_failure(answer: *mut osscb_key_answer, message: osscb_str) {
    guarded((), || {
        // SAFETY: NULL or the answer of a function that runs, and a text that it lends.
        let (Some(answer), message) = (unsafe { (answer.as_mut(), message.bytes("message")) }) else {
            return;
        };
        answer.0 = Err(match message {
            Ok(message) => String::from_utf8_lossy(message).into_owned(),
            Err(failure) => format!("the message {}", failure.message()),
        });
    });
}

/// Refuses replays by a function of yours. It needs a seal secret.
///
/// `context`: passed to `first_use` as it is; it belongs to the library from this call on, whatever becomes
/// of it.
/// `drop`: frees `context`; may be NULL.
///
/// Default: none; replays within the expiry are accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_options_set_first_use(
    options: *mut osscb_verifier_options,
    first_use: osscb_first_use,
    context: *mut c_void,
    drop: osscb_drop,
) {
    let context = Context { pointer: context, drop };
    let how = |builder: CallbackVerifierBuilder| {
        let function = first_use.ok_or_else(|| Failure::argument("first_use", "is NULL"))?;
        Ok(builder.first_use(move |nonce: &str, expires_at: SystemTime| {
            let nonce = c_string(nonce);
            // SAFETY: the caller's function, with its context; the nonce lives until it returns.
            let said = unsafe { function(context.pointer(), nonce.as_ptr(), seconds(expires_at)) };
            is_true(said)
        }))
    };
    // SAFETY: NULL or a live handle.
    unsafe { options::set(options, how) };
}

/// A function that was declared wrongly may return any byte: all but 1 is no.
fn is_true(said: MaybeUninit<bool>) -> bool {
    // SAFETY: of one byte, which the function that returned it has written.
    unsafe { said.as_ptr().cast::<u8>().read() == 1 }
}

/// Frees options. Verifiers made with them stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_verifier_options_free(options: *mut osscb_verifier_options) {
    // SAFETY: NULL or a live handle.
    unsafe { free(options) };
}

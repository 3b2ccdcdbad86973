//! Calls that the caller moves on, and that leave it to the caller to wait for the server's answer.

use std::os::raw::c_void;
use std::time::Instant;

use oss_callback_core::{InFlight, Step};

use crate::callback::osscb_callback;
use crate::cancel::osscb_cancel;
use crate::client::osscb_client;
use crate::error::osscb_error;
use crate::function::{Context, osscb_release_function};
use crate::generated::osscb_status;
use crate::guard::{Failure, Out, free, status};
use crate::library::Live;
use crate::loan::Loan;
use crate::options::osscb_put_options;
use crate::reply::osscb_reply;
use crate::text::osscb_str;
use crate::upload::{Given, borrow};

/// An upload in flight. It moves only while `osscb_call_advance` or `osscb_call_finish` runs.
#[derive(Debug)]
pub struct osscb_call {
    // Before the loan, which waits until nothing holds what was lent.
    call: Option<InFlight>,
    loan: Option<Loan>,
    _live: Live,
}

/// What an upload in flight waits for: whichever comes first.
#[repr(C)]
pub struct osscb_wait {
    /// What `osscb_call_attach` has kept with the connection; NULL if nothing.
    pub attached: *mut c_void,
    /// So many milliseconds, rounded up.
    pub timeout_ms: u64,
    /// The connection's socket, until it can be read from. It is the library's: neither read from it nor
    /// close it.
    pub descriptor: i32,
}

impl osscb_call {
    /// # Safety
    /// `pointer` is NULL, or a live handle that nobody else uses while the result is in use.
    unsafe fn of<'a>(pointer: *mut osscb_call) -> Result<&'a mut osscb_call, Failure> {
        // SAFETY: the caller's promise.
        unsafe { pointer.as_mut() }.ok_or_else(|| Failure::argument("call", "is NULL"))
    }

    fn in_flight(&mut self) -> Result<&mut InFlight, Failure> {
        self.call.as_mut().ok_or_else(|| Failure::argument("call", "has ended"))
    }

    /// Lets go of all that the call holds, and of what was lent to it.
    fn end(&mut self) {
        self.call = None;
        self.loan = None;
    }
}

/// Takes up `osscb_put_object_with_callback` for a program that waits for sockets itself, by `epoll` or by
/// its language's scheduler: no thread of the library's takes part. Nothing is sent yet. `data` must stay
/// as it is until the call has ended or is freed; text and handles are only needed for this call.
///
/// `call`: moved on by `osscb_call_advance`, freed by `osscb_call_free`.
///
/// Each has a connection of its own, and three descriptors beside it: for some dozens at a time, where
/// `osscb_start_put_object_with_callback` takes thousands. Not for the child of a fork.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_begin_put_object_with_callback(
    client: *const osscb_client,
    bucket: osscb_str,
    key: osscb_str,
    data: *const c_void,
    data_len: usize,
    callback: *const osscb_callback,
    options: *const osscb_put_options,
    cancel: *const osscb_cancel,
    call: *mut *mut osscb_call,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let given = Given { client, bucket, key, callback, options, cancel };
    let body = || {
        let out = Out::new(call, "call")?;
        // SAFETY: handles are NULL or live, text is lent for this call, and the data until the loan ends.
        let (loan, client, request) = unsafe { borrow(given, data, data_len) }?;
        let call = client.begin(request)?;
        let made = osscb_call { call: Some(call), loan: Some(loan), _live: Live::new() };
        // SAFETY: the caller lets us write there.
        unsafe { out.give(made) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Moves an upload on, until it has ended or has nothing left to do but to wait for the server's answer.
/// Blocks while it connects, sends, pauses before another attempt, or talks by a proxy.
///
/// `reply`: the answer, freed by `osscb_reply_free`, once the upload has ended well. NULL while it waits:
/// then `*wait` says for what. Come back when that has come, or once the upload is cancelled; earlier is
/// fine too, and costs a look at the socket. If your poller tells of changes only (`EPOLLET`), come back
/// once before you wait, as the answer may be there already. Fails as `osscb_put_object_with_callback` does, and then the
/// upload has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_call_advance(
    call: *mut osscb_call,
    wait: *mut osscb_wait,
    reply: *mut *mut osscb_reply,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let (wait, out) = (Out::new(wait, "wait")?, Out::new(reply, "reply")?);
        // SAFETY: NULL, or a live handle that nobody else uses meanwhile.
        let call = unsafe { osscb_call::of(call) }?;
        let in_flight = call.in_flight()?;
        match in_flight.advance() {
            Step::Ended(outcome) => {
                call.end();
                let made = osscb_reply::new(outcome?);
                // SAFETY: the caller lets us write there.
                unsafe { out.give(made) };
            }
            Step::AwaitsAnswer(until) => {
                let socket = in_flight.socket().ok_or_else(|| Failure::argument("call", "has no socket"))?;
                let left = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
                let attached = socket.attached(|context: &Context| context.pointer);
                // SAFETY: the caller lets us write there.
                unsafe {
                    wait.put(osscb_wait {
                        attached: attached.unwrap_or(std::ptr::null_mut()),
                        timeout_ms: u64::try_from(left).unwrap_or(u64::MAX),
                        descriptor: socket.descriptor(),
                    });
                    out.put(std::ptr::null_mut());
                }
            }
        }
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Moves an upload on until it has ended, and blocks until then.
///
/// `reply`: the answer, freed by `osscb_reply_free`. Fails as `osscb_put_object_with_callback` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_call_finish(
    call: *mut osscb_call,
    reply: *mut *mut osscb_reply,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(reply, "reply")?;
        // SAFETY: NULL, or a live handle that nobody else uses meanwhile.
        let call = unsafe { osscb_call::of(call) }?;
        let outcome = call.in_flight()?.finish();
        call.end();
        let made = osscb_reply::new(outcome?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(made) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Keeps `context` with the connection that an upload waits for, until the connection closes, in place of
/// what was kept before: for what a scheduler has made for its descriptor. One connection serves many
/// uploads, one after the other, and `osscb_wait` shows what is kept.
///
/// `release`: may be NULL; else called with `context` when the connection closes or something else is
/// kept. If the descriptor was duplicated, this is the moment to close that.
///
/// Fails with `OSSCB_STATUS_INVALID_ARGUMENT` unless `osscb_call_advance` said last that it waits; `release`
/// is not called then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_call_attach(
    call: *mut osscb_call,
    context: *mut c_void,
    release: osscb_release_function,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        // SAFETY: NULL, or a live handle that nobody else uses meanwhile.
        let call = unsafe { osscb_call::of(call) }?;
        let socket =
            call.in_flight()?.socket().ok_or_else(|| Failure::argument("call", "waits for no socket"))?;
        // SAFETY: the caller's promise.
        socket.attach(unsafe { Context::new(context, release) });
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Frees an upload in flight. One that has not ended is given up: the object may or may not be stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_call_free(call: *mut osscb_call) {
    // SAFETY: NULL or a live handle.
    unsafe { free(call) };
}

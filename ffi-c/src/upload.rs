//! Calls that block until the application server has answered, and what they have in common with those
//! that are started.

use std::os::raw::c_void;

use oss_callback_core::{Body, Client, PutOptions, PutRequest, UploadOptions, UploadRequest};

use crate::callback::osscb_callback;
use crate::cancel::osscb_cancel;
use crate::client::osscb_client;
use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{Failure, Out, handle, status};
use crate::loan::{Hold, Loan, Memory};
use crate::options::{Options, built, osscb_put_options, osscb_upload_options};
use crate::progress::{osscb_progress_function, watch};
use crate::reply::osscb_reply;
use crate::source::osscb_source;
use crate::text::osscb_str;

/// The arguments that every upload has, as they come.
#[derive(Clone, Copy)]
pub(crate) struct Given<O> {
    pub client: *const osscb_client,
    pub bucket: osscb_str,
    pub key: osscb_str,
    pub callback: *const osscb_callback,
    pub options: *const O,
    pub cancel: *const osscb_cancel,
}

/// The same, checked.
pub(crate) struct Taken<'a, O: Options> {
    /// A client of our own: the handle may be freed while the call runs.
    pub client: Client,
    bucket: &'a str,
    key: &'a str,
    callback: &'a osscb_callback,
    options: O::Builder,
    cancel: Option<&'a osscb_cancel>,
}

impl<O: Options> Given<O> {
    /// # Safety
    /// Handles are NULL or live, and they and the texts are lent while the result is in use.
    pub unsafe fn take<'a>(self) -> Result<Taken<'a, O>, Failure>
    where
        O: 'a,
    {
        // SAFETY: the caller's promise.
        unsafe {
            Ok(Taken {
                client: handle(self.client, "client")?.client.clone(),
                callback: handle(self.callback, "callback")?,
                bucket: self.bucket.check("bucket")?,
                key: self.key.check("key")?,
                options: built(self.options)?,
                cancel: self.cancel.as_ref(),
            })
        }
    }
}

impl Taken<'_, osscb_put_options> {
    pub fn request(self, data: Body) -> (Client, PutRequest) {
        let options: PutOptions = self.options;
        let mut request =
            PutRequest::new(self.bucket, self.key, data, &self.callback.callback).options(options);
        if let Some(cancel) = self.cancel {
            request = request.cancel(&cancel.cancel);
        }
        (self.client, request)
    }
}

impl Taken<'_, osscb_upload_options> {
    /// # Safety
    /// `progress` may be called with `context` until the call is over.
    pub unsafe fn request(
        self,
        source: Body,
        progress: osscb_progress_function,
        context: *mut c_void,
    ) -> (Client, UploadRequest) {
        let options: UploadOptions = self.options;
        let mut request =
            UploadRequest::new(self.bucket, self.key, source, &self.callback.callback).options(options);
        if let Some(cancel) = self.cancel {
            request = request.cancel(&cancel.cancel);
        }
        // SAFETY: the caller's promise.
        if let Some(watch) = unsafe { watch(progress, context) } {
            request = request.progress_while(watch);
        }
        (self.client, request)
    }
}

/// A request whose data is lent until the call has ended, and the lender's side of that.
///
/// # Safety
/// Handles are NULL or live, and they and the texts are lent for this call; `data` is NULL or points to
/// `len` bytes that stay unchanged until the loan has ended.
pub(crate) unsafe fn borrow(
    given: Given<osscb_put_options>,
    data: *const c_void,
    len: usize,
) -> Result<(Loan, Client, PutRequest), Failure> {
    let (loan, hold) = Loan::new();
    // SAFETY: the caller's promise.
    let (client, request) = unsafe { given.take()?.request(lent(data, len, hold)?) };
    Ok((loan, client, request))
}

/// Data that is lent until `hold` is dropped.
///
/// # Safety
/// `data` is NULL or points to `len` bytes that stay unchanged until then.
pub(crate) unsafe fn lent(data: *const c_void, len: usize, hold: Hold) -> Result<Body, Failure> {
    // SAFETY: the caller's promise.
    Ok(Body::from(unsafe { Memory::new(data, len)?.lend(hold) }))
}

/// Uploads an object, has OSS call the application server, and returns its answer. Blocks until then.
///
/// `data`: `data_len` bytes, sent from where they lie, not copied; nothing reads them any more once the
/// call has returned, however it ended. May be NULL if `data_len` is 0.
/// `options`: may be NULL.
/// `cancel`: may be NULL; else another thread ends the call by `osscb_cancel_now`.
/// `reply`: the answer, freed by `osscb_reply_free`.
///
/// With `OSSCB_STATUS_CALLBACK_FAILED` the object is stored, and the error has its ETag; with
/// `OSSCB_STATUS_OUTCOME_UNKNOWN` too, but what the callback came to is not known; with
/// `OSSCB_STATUS_INVALID_ARGUMENT` and `OSSCB_STATUS_CREDENTIALS` nothing was stored. Other failures:
/// `OSSCB_STATUS_NETWORK`, `_TIMEOUT`, `_INTEGRITY`, `_SERVICE`, `_SOURCE`, `_CANCELLED`.
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
    let given = Given { client, bucket, key, callback, options, cancel };
    let body = || {
        let out = Out::new(reply, "reply")?;
        // SAFETY: handles are NULL or live; text and data are lent for this call, and the loan outlives
        // every use of the data.
        let (loan, client, request) = unsafe { borrow(given, data, data_len) }?;
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

/// As `osscb_put_object_with_callback`, in one request of at most 5 GiB, from a source that is read while
/// it is sent, in pieces of 256 KiB.
///
/// What fails is tried again where that is safe; not so after the first byte of a stream was read, which
/// cannot be had twice. If the source cannot be read: `OSSCB_STATUS_SOURCE`, and nothing is stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_put_source_with_callback(
    client: *const osscb_client,
    bucket: osscb_str,
    key: osscb_str,
    source: *const osscb_source,
    callback: *const osscb_callback,
    options: *const osscb_put_options,
    cancel: *const osscb_cancel,
    reply: *mut *mut osscb_reply,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let given = Given { client, bucket, key, callback, options, cancel };
    let body = || {
        let out = Out::new(reply, "reply")?;
        // SAFETY: handles are NULL or live; the loan outlives every use of what the source lends.
        let (loan, client, request) = unsafe {
            let (taken, source) = (given.take()?, handle(source, "source")?);
            let (loan, hold) = Loan::new();
            let (client, request) = taken.request(source.body(&hold)?);
            (loan, client, request)
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

/// Uploads a source of any size: in one request below the option `threshold`, in parts above it. OSS
/// calls the application server once, when the object is whole, and its answer is returned. Blocks until
/// then.
///
/// An upload in parts that ends with an error is aborted, so that OSS keeps no parts, unless it has the
/// option `checkpoint`: then the same call goes on where this one ended.
///
/// `progress`: may be NULL; else told how far the upload is, with `progress_context`.
/// The rest, and failures: as for `osscb_put_object_with_callback` and `osscb_put_source_with_callback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_upload_file_with_callback(
    client: *const osscb_client,
    bucket: osscb_str,
    key: osscb_str,
    source: *const osscb_source,
    callback: *const osscb_callback,
    options: *const osscb_upload_options,
    cancel: *const osscb_cancel,
    progress: osscb_progress_function,
    progress_context: *mut c_void,
    reply: *mut *mut osscb_reply,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let given = Given { client, bucket, key, callback, options, cancel };
    let body = || {
        let out = Out::new(reply, "reply")?;
        // SAFETY: handles are NULL or live; the loan outlives every use of what the source lends, and
        // progress is told on this thread.
        let (loan, client, request) = unsafe {
            let (taken, source) = (given.take()?, handle(source, "source")?);
            let (loan, hold) = Loan::new();
            let (client, request) = taken.request(source.body(&hold)?, progress, progress_context);
            (loan, client, request)
        };
        let outcome = client.upload(request);
        drop(loan);
        let made = osscb_reply::new(outcome?);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(made) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

//! Calls that are started and end in a completion queue.

use std::os::raw::c_void;
use std::sync::Arc;

use crate::callback::osscb_callback;
use crate::cancel::osscb_cancel;
use crate::client::osscb_client;
use crate::completions::{Pending, osscb_completions};
use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{handle, status};
use crate::loan::Hold;
use crate::options::{osscb_put_options, osscb_upload_options};
use crate::progress::osscb_progress_function;
use crate::source::osscb_source;
use crate::text::osscb_str;
use crate::upload::{Given, lent};

/// Starts `osscb_put_object_with_callback` and returns at once. When the call has ended and nothing reads
/// `data` any more, `completions` gets its end, with `tag`; until then `data` must stay as it is. Text and
/// handles are only needed for this call. Any number of calls can be under way.
///
/// If this fails, nothing was started and no end will come. What the call itself has to say, refused
/// arguments included, comes by the queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_start_put_object_with_callback(
    client: *const osscb_client,
    bucket: osscb_str,
    key: osscb_str,
    data: *const c_void,
    data_len: usize,
    callback: *const osscb_callback,
    options: *const osscb_put_options,
    cancel: *const osscb_cancel,
    completions: *const osscb_completions,
    tag: u64,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let given = Given { client, bucket, key, callback, options, cancel };
    let body = || {
        // SAFETY: handles are NULL or live, texts are lent for this call, and the data until its end.
        unsafe {
            let (taken, queue) = (given.take()?, handle(completions, "completions")?);
            let pending = Pending::new(&queue.queue, tag)?;
            let (client, request) = taken.request(lent(data, data_len, Arc::clone(&pending) as Hold)?);
            client.start(request, pending.started());
        }
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Starts `osscb_put_source_with_callback`, as `osscb_start_put_object_with_callback` does. The source
/// may be freed; what it lends must stay until the call's end is told, or its release function is called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_start_put_source_with_callback(
    client: *const osscb_client,
    bucket: osscb_str,
    key: osscb_str,
    source: *const osscb_source,
    callback: *const osscb_callback,
    options: *const osscb_put_options,
    cancel: *const osscb_cancel,
    completions: *const osscb_completions,
    tag: u64,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let given = Given { client, bucket, key, callback, options, cancel };
    let body = || {
        // SAFETY: handles are NULL or live, texts are lent for this call, and what the source lends until
        // its end.
        unsafe {
            let (taken, source) = (given.take()?, handle(source, "source")?);
            let pending = Pending::new(&handle(completions, "completions")?.queue, tag)?;
            let (client, request) = taken.request(source.body(&(Arc::clone(&pending) as Hold))?);
            client.start(request, pending.started());
        }
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Starts `osscb_upload_file_with_callback`, as `osscb_start_put_source_with_callback` does.
///
/// `progress`: may be NULL; else called with `progress_context` until the call's end is told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_start_upload_file_with_callback(
    client: *const osscb_client,
    bucket: osscb_str,
    key: osscb_str,
    source: *const osscb_source,
    callback: *const osscb_callback,
    options: *const osscb_upload_options,
    cancel: *const osscb_cancel,
    progress: osscb_progress_function,
    progress_context: *mut c_void,
    completions: *const osscb_completions,
    tag: u64,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let given = Given { client, bucket, key, callback, options, cancel };
    let body = || {
        // SAFETY: handles are NULL or live, texts are lent for this call, and what the source lends, and
        // the context, until its end.
        unsafe {
            let (taken, source) = (given.take()?, handle(source, "source")?);
            let pending = Pending::new(&handle(completions, "completions")?.queue, tag)?;
            let data = source.body(&(Arc::clone(&pending) as Hold))?;
            let (client, request) = taken.request(data, progress, progress_context);
            client.start_upload(request, pending.started());
        }
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

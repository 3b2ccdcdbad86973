//! How far an upload is, told to a function of the caller's.

use std::mem::MaybeUninit;
use std::os::raw::c_void;

use oss_callback_core::Progress;

use crate::function::{Context, is_true};

/// How far an upload is. More members may come at its end: `size` says which are there.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct osscb_progress {
    /// Bytes that this struct has.
    pub size: usize,
    /// Bytes handed to the network, and bytes that were there from an earlier run. Never goes back.
    pub bytes_done: u64,
    /// Bytes of the whole; `OSSCB_UNKNOWN` for a stream of unknown length.
    pub bytes_total: u64,
    /// Parts that OSS has acknowledged; 0 for an upload in one request.
    pub parts_done: u64,
    /// Parts of the whole; `OSSCB_UNKNOWN` if not known, and for an upload in one request.
    pub parts_total: u64,
}

/// Is told how far an upload is: at its beginning, ten times a second while bytes move, and at its end.
/// Returns whether to go on: false ends the upload with `OSSCB_STATUS_CANCELLED`, unless it is complete.
/// It is called by one thread at a time, the one that drives the upload: the caller's own for a call that
/// blocks, one of the library's for a call that was started; there it holds up other calls, so be quick.
pub type osscb_progress_function =
    Option<unsafe extern "C" fn(context: *mut c_void, progress: *const osscb_progress) -> MaybeUninit<bool>>;

/// The function as the core calls it.
///
/// # Safety
/// `function` may be called with `context` until the call is over.
pub(crate) unsafe fn watch(
    function: osscb_progress_function,
    context: *mut c_void,
) -> Option<impl Fn(Progress) -> bool + Send + Sync + 'static> {
    let function = function?;
    // SAFETY: the caller's promise.
    let context = unsafe { Context::new(context, None) };
    Some(move |progress: Progress| {
        // The whole of it, so that it is `Send`.
        let context: &Context = &context;
        let progress = osscb_progress {
            size: size_of::<osscb_progress>(),
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total.unwrap_or(u64::MAX),
            parts_done: u64::from(progress.parts_done),
            parts_total: progress.parts_total.map_or(u64::MAX, u64::from),
        };
        // SAFETY: the caller's promise.
        let said = unsafe { function(context.pointer, &raw const progress) };
        is_true(said)
    })
}

//! Sources: what an upload reads, when it is not one piece of memory.

use std::fs::File;
use std::io::{Error as IoError, Read};
#[cfg(unix)]
use std::os::raw::c_int;
use std::os::raw::c_void;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use oss_callback_core::{Body, ErrorKind};

use crate::error::osscb_error;
use crate::function::{Context, osscb_failure, osscb_release_function};
use crate::generated::osscb_status;
use crate::guard::{Failure, Out, free, status};
use crate::library::Live;
use crate::loan::{Hold, Memory};
use crate::text::osscb_str;

/// A length or total that is not known.
const UNKNOWN: u64 = u64::MAX;

/// Reads the next bytes of a source into `buffer`, up to `capacity`. Returns how many they are, 0 at the
/// end, or a negative number of your choice on failure, and then may say why by `osscb_failure_set`.
/// Fewer bytes than `capacity` do not mean the end.
pub type osscb_read_function = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        buffer: *mut u8,
        capacity: usize,
        failure: *mut osscb_failure,
    ) -> i64,
>;

/// What an upload reads. Memory, paths and regular files may be used by any number of uploads, also at
/// once; a function, a pipe or a device can be read only once.
#[derive(Debug)]
pub struct osscb_source {
    given: Given,
    _live: Live,
}

#[derive(Debug)]
enum Given {
    Memory(Memory, Arc<Context>),
    Path(PathBuf),
    File(File),
    Function(Arc<Function>),
}

/// A function to be read, until an upload has begun to.
#[derive(Debug)]
struct Function {
    reader: Mutex<Option<Reader>>,
    length: Option<u64>,
}

#[derive(Debug)]
struct Reader {
    read: unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut osscb_failure) -> i64,
    context: Context,
}

/// A function in the hands of one call. If the call is refused before the first byte was read, another
/// may have it.
struct Reading {
    reader: Option<Reader>,
    begun: bool,
    ended: bool,
    home: Arc<Function>,
    /// Last, as the call may be over when it goes.
    _hold: Hold,
}

impl osscb_source {
    fn new(given: Given) -> osscb_source {
        osscb_source { given, _live: Live::new() }
    }

    /// What the core reads; `hold` is kept for as long as it may.
    pub(crate) fn body(&self, hold: &Hold) -> Result<Body, Failure> {
        Ok(match &self.given {
            // SAFETY: whoever made the source leaves the bytes as they are until it is freed and the calls
            // that use it are over.
            Given::Memory(memory, owner) => unsafe {
                Body::from(memory.lend((Arc::clone(owner), Arc::clone(hold))))
            },
            Given::Path(path) => Body::from(path.as_path()),
            Given::File(file) => Body::from(file.try_clone().map_err(|error| {
                Failure::of(ErrorKind::Source, format!("the file cannot be used again: {error}"))
            })?),
            Given::Function(function) => {
                let reader = function.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
                if reader.is_none() {
                    return Err(Failure::of(
                        ErrorKind::Source,
                        "the stream was used up by an earlier upload, or another one is reading it",
                    )
                    .with_hint("Make a new source for each upload of a stream."));
                }
                let home = Arc::clone(function);
                let reading = Reading { reader, begun: false, ended: false, home, _hold: Arc::clone(hold) };
                Body::reader(reading, function.length)
            }
        })
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(reader) = self.reader.as_ref().filter(|_| !self.ended) else { return Ok(0) };
        if buffer.is_empty() {
            return Ok(0);
        }
        self.begun = true;
        let mut failure = osscb_failure::default();
        // SAFETY: the function came with this context, the buffer is ours to lend, and only the thread
        // that owns this value is here.
        let got = unsafe {
            (reader.read)(reader.context.pointer, buffer.as_mut_ptr(), buffer.len(), &raw mut failure)
        };
        self.ended = got <= 0;
        match usize::try_from(got) {
            Ok(got) if got <= buffer.len() => Ok(got),
            Ok(got) => {
                self.ended = true;
                let room = buffer.len();
                Err(IoError::other(format!("the read function said {got} bytes, but had room for {room}")))
            }
            Err(_) => Err(IoError::other(failure.or(format_args!("the read function returned {got}")))),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.begun {
            *self.home.reader.lock().unwrap_or_else(PoisonError::into_inner) = self.reader.take();
        }
    }
}

/// `len` bytes of memory, sent from where they lie, not copied. They must stay as they are until
/// `release` is called with `context`; without `release` (NULL), until the source is freed and the calls
/// that use it are over. Freed by `osscb_source_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_source_of_memory(
    data: *const c_void,
    len: usize,
    release: osscb_release_function,
    context: *mut c_void,
    source: *mut *mut osscb_source,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(source, "source")?;
        let memory = Memory::new(data, len)?;
        // SAFETY: the caller's promise for the context; and it lets us write to `source`.
        unsafe {
            out.give(osscb_source::new(Given::Memory(memory, Arc::new(Context::new(context, release)))))
        };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// The whole file under a path, which is opened when an upload begins. One that cannot be opened, or
/// changes while it is read, fails the upload with `OSSCB_STATUS_SOURCE`. Freed by `osscb_source_free`.
///
/// `path`: UTF-8; on Unix any bytes but NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_source_of_path(
    path: osscb_str,
    source: *mut *mut osscb_source,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(source, "source")?;
        // SAFETY: the text is lent for this call.
        let path = unsafe { path.path("path") }?;
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_source::new(Given::Path(path))) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// What is left of an open file, from its position to its end; what is no regular file (a pipe, a
/// device) is read as a stream of unknown length. The descriptor is duplicated: close yours when you
/// like; the position of a regular file does not move. Freed by `osscb_source_free`.
#[cfg(unix)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_source_of_fd(
    fd: c_int,
    source: *mut *mut osscb_source,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(source, "source")?;
        if fd < 0 {
            return Err(Failure::argument("fd", format!("is {fd}, which is no open file")));
        }
        // SAFETY: not -1; if nothing is open there, duplicating it fails and does no harm.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
        let file = file.map_err(|error| Failure::argument("fd", format!("is {fd}: {error}")))?;
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_source::new(Given::File(File::from(file)))) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// What a function of yours gives, once. `read` is called on a thread of the library's, by one at a time,
/// straight into the buffer that is sent; never again after it returned 0 or failed; and never once the
/// call that uses the source has returned or completed, which waits for a `read` that is under way.
/// Freed by `osscb_source_free`.
///
/// `length`: bytes in all; less or more is then an error of kind `source`, and nothing is stored.
/// `OSSCB_UNKNOWN` if you do not know.
/// `context`: passed to `read`. `release`: may be NULL; else called with `context` once `read` is not
/// called any more: when the upload that read it is over, or the source is freed unread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_source_of_function(
    read: osscb_read_function,
    length: u64,
    release: osscb_release_function,
    context: *mut c_void,
    source: *mut *mut osscb_source,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(source, "source")?;
        let read = read.ok_or_else(|| Failure::argument("read", "is NULL"))?;
        // SAFETY: the caller's promise.
        let context = unsafe { Context::new(context, release) };
        let reader = Mutex::new(Some(Reader { read, context }));
        let length = (length != UNKNOWN).then_some(length);
        // SAFETY: the caller lets us write there.
        unsafe { out.give(osscb_source::new(Given::Function(Arc::new(Function { reader, length })))) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// Frees a source. Calls that use it go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_source_free(source: *mut osscb_source) {
    // SAFETY: NULL or a live handle.
    unsafe { free(source) };
}

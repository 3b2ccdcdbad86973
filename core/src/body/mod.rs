//! What is uploaded: bytes, a file, or a stream.

mod feed;
mod lease;
mod source;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

pub(crate) use self::feed::{Feed, PIECE_BYTES, other_length, too_long};
pub(crate) use self::lease::Lease;
pub(crate) use self::source::{FileSource, Reader, Source, feed_stream, read_some};

/// What has its digest computed in the time that it takes to start a thread.
const DIGESTED_AT_ONCE: usize = 32 * 1024;

/// The data of an upload.
///
/// Made from `Vec<u8>`, `String`, `Bytes` without a copy, and from borrowed slices and text with one.
/// A [`Path`] or a [`File`] is read while it is sent, in pieces of 256 KiB, and so is anything that
/// implements [`Read`], through [`Body::reader`].
///
/// Bytes and files can be sent again should a request fail. A stream can be read only once: what fails
/// after its first byte was taken cannot be retried, and the error says so.
#[derive(Clone)]
pub struct Body(Given);

#[derive(Clone)]
enum Given {
    Bytes(Bytes),
    Path(PathBuf),
    File(Arc<File>),
    Reader { reader: Arc<Mutex<Option<Reader>>>, length: Option<u64> },
}

impl Body {
    /// A stream. `length` is its number of bytes, where it is known: less or more is then an error of
    /// kind `source`, and nothing is stored. Without it the request is sent in chunks.
    ///
    /// It is read on a thread of its own; a `read` that blocks does not hold up anything else.
    pub fn reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Body {
        let reader: Reader = Box::new(reader);
        Body(Given::Reader { reader: Arc::new(Mutex::new(Some(reader))), length })
    }

    /// Length in bytes, where it is known without opening a file.
    pub fn len(&self) -> Option<u64> {
        match &self.0 {
            Given::Bytes(bytes) => Some(bytes.len() as u64),
            Given::Reader { length, .. } => *length,
            Given::Path(_) | Given::File(_) => None,
        }
    }

    /// Whether it is known that there are no bytes; an empty object is fine.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The number of bytes, if they are in memory.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_memory(&self) -> Option<u64> {
        match &self.0 {
            Given::Bytes(bytes) => Some(bytes.len() as u64),
            _ => None,
        }
    }

    /// Whether it takes long to get ready: a file has to be opened, or much data read for its digest.
    pub(crate) fn takes_long(&self, digest: bool) -> bool {
        match &self.0 {
            Given::Bytes(bytes) => digest && bytes.len() > DIGESTED_AT_ONCE,
            Given::Path(_) => true,
            Given::File(_) => digest,
            Given::Reader { .. } => false,
        }
    }

    /// Opens what is to be opened.
    pub(crate) fn open(self) -> crate::Result<Source> {
        match self.0 {
            Given::Bytes(bytes) => Ok(Source::Bytes(bytes)),
            Given::Path(path) => source::open(&path),
            Given::File(file) => source::of_file(file),
            Given::Reader { reader, length } => source::take(&reader, length),
        }
    }
}

impl Default for Body {
    fn default() -> Body {
        Body(Given::Bytes(Bytes::new()))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Given::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Given::Path(path) => write!(f, "Body({})", path.display()),
            Given::File(_) => f.write_str("Body(file)"),
            Given::Reader { length: Some(length), .. } => write!(f, "Body(stream of {length} bytes)"),
            Given::Reader { length: None, .. } => f.write_str("Body(stream)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body(Given::Bytes(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Bytes::from(text).into()
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Body {
        Bytes::copy_from_slice(bytes).into()
    }
}

impl<const N: usize> From<&[u8; N]> for Body {
    fn from(bytes: &[u8; N]) -> Body {
        Bytes::copy_from_slice(bytes).into()
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        Bytes::copy_from_slice(text.as_bytes()).into()
    }
}

/// The whole file under the path. It is opened when the upload begins.
impl From<PathBuf> for Body {
    fn from(path: PathBuf) -> Body {
        Body(Given::Path(path))
    }
}

/// The whole file under the path. It is opened when the upload begins.
impl From<&Path> for Body {
    fn from(path: &Path) -> Body {
        path.to_owned().into()
    }
}

/// What is left of the open file, from its position to its end; what is no regular file (a pipe, a
/// device) is read as a stream.
impl From<File> for Body {
    fn from(file: File) -> Body {
        Body(Given::File(Arc::new(file)))
    }
}

//! Opened sources: what they are, how long, and whether they can be read again.

use std::fs::File;
use std::io::{ErrorKind as IoKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use super::feed::{self, Feed, PIECE_BYTES, Recipe};
use crate::checksum::Crc64;
use crate::error::{Error, ErrorKind, Result};

pub(crate) type Reader = Box<dyn Read + Send>;

/// Data that is ready to be read.
pub(crate) enum Source {
    Bytes(Bytes),
    File(Arc<FileSource>),
    /// Can be read once.
    Stream {
        reader: Reader,
        length: Option<u64>,
    },
}

impl Source {
    pub fn length(&self) -> Option<u64> {
        match self {
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::File(file) => Some(file.length),
            Source::Stream { length, .. } => *length,
        }
    }
}

/// A regular file, read by position, so that several parts can be read at once.
#[derive(Debug)]
pub(crate) struct FileSource {
    file: Arc<File>,
    /// Where it was opened from, if that is known.
    pub path: Option<PathBuf>,
    start: u64,
    /// Bytes from `start` to the end, when it was opened.
    pub length: u64,
    /// When it was last written, where the system tells.
    pub modified: Option<SystemTime>,
}

pub(super) fn open(path: &Path) -> Result<Source> {
    let refuse = |e: std::io::Error| {
        Error::new(ErrorKind::Source, format!("cannot open {}: {e}", path.display())).with_source(e)
    };
    let kind = std::fs::metadata(path).map_err(refuse)?;
    // Some systems open a directory and fail at the first read, with a message that helps nobody.
    if kind.is_dir() {
        return Err(Error::new(ErrorKind::Source, format!("{} is a directory", path.display())));
    }
    if !kind.is_file() {
        let reader = Box::new(OpenedLate { path: path.to_owned(), file: None });
        return Ok(Source::Stream { reader, length: None });
    }
    let file = Arc::new(File::open(path).map_err(refuse)?);
    regular(&file, 0, Some(path.to_owned())).map(|found| match found {
        Some(file) => Source::File(Arc::new(file)),
        None => Source::Stream { reader: Box::new(Shared(file)), length: None },
    })
}

pub(super) fn of_file(file: Arc<File>) -> Result<Source> {
    let position = (&*file).stream_position().unwrap_or(0);
    Ok(match regular(&file, position, None)? {
        Some(file) => Source::File(Arc::new(file)),
        None => Source::Stream { reader: Box::new(Shared(file)), length: None },
    })
}

pub(super) fn take(reader: &Mutex<Option<Reader>>, length: Option<u64>) -> Result<Source> {
    let reader = reader.lock().unwrap_or_else(PoisonError::into_inner).take();
    let reader = reader.ok_or_else(|| {
        Error::new(ErrorKind::Source, "the stream was used up by an earlier upload")
            .with_hint("Make a new Body for each upload of a stream.")
    })?;
    Ok(Source::Stream { reader, length })
}

fn regular(file: &Arc<File>, start: u64, path: Option<PathBuf>) -> Result<Option<FileSource>> {
    let metadata = file
        .metadata()
        .map_err(|e| Error::new(ErrorKind::Source, format!("cannot look at the file: {e}")))?;
    // Files that the kernel writes while they are read (in /proc and /sys) call themselves empty.
    let is_empty = || read_at(file, &mut [0], start).map_or(true, |got| got == 0);
    let is_regular = metadata.is_file() && (metadata.len() > 0 || is_empty());
    Ok(is_regular.then(|| FileSource {
        file: Arc::clone(file),
        path,
        start,
        length: metadata.len().saturating_sub(start),
        modified: metadata.modified().ok(),
    }))
}

impl FileSource {
    /// The file must still be as it was when it was opened.
    ///
    /// # Errors
    /// `source` if its length or time of change differ.
    pub fn check_unchanged(&self) -> Result<()> {
        let changed = |what: &str| {
            Error::new(ErrorKind::Source, format!("the file changed while it was uploaded: {what}"))
                .with_hint("Upload it again when nobody writes to it.")
        };
        let now = self.file.metadata().map_err(|e| changed(&e.to_string()))?;
        let length = now.len().saturating_sub(self.start);
        if length != self.length {
            return Err(changed(&format!("it had {} bytes and now has {length}", self.length)));
        }
        if now.modified().ok() != self.modified {
            return Err(changed("it was written to"));
        }
        Ok(())
    }

    /// Reads a range while it is sent, by a thread of its own. The whole file must be unchanged at its end.
    pub fn feed_ahead(self: &Arc<Self>, offset: u64, length: u64) -> Result<Feed> {
        feed::start(self.recipe(offset, length))
    }

    /// The same, read by the thread that sends it.
    pub fn feed_here(self: &Arc<Self>, offset: u64, length: u64) -> Feed {
        feed::here(self.recipe(offset, length))
    }

    fn recipe(self: &Arc<Self>, offset: u64, length: u64) -> Recipe {
        let (file, mut at) = (Arc::clone(self), self.start + offset);
        let whole = Arc::clone(self);
        Recipe {
            length: Some(length),
            limit: length,
            fill: Box::new(move |buffer| {
                let got = fill(|rest, done| read_at(&file.file, rest, at + done as u64), buffer)?;
                at += got as u64;
                Ok(got)
            }),
            check: Box::new(move || whole.check_unchanged()),
        }
    }

    /// Reads a range and gives `take` its pieces, until it has had enough.
    pub fn scan(&self, offset: u64, length: u64, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut done = 0;
        while done < length {
            let wanted = (length - done).min(PIECE_BYTES as u64) as usize;
            let at = self.start + offset + done;
            let got = fill(|rest, part| read_at(&self.file, rest, at + part as u64), &mut buffer[..wanted])
                .map_err(|e| feed::unreadable(e, offset + done))?;
            if got < wanted {
                return Err(feed::other_length(self.length, offset + done + got as u64));
            }
            take(&buffer[..got])?;
            done += got as u64;
        }
        Ok(())
    }

    /// CRC-64 of a range; `go_on` is asked before each piece.
    pub fn crc64(&self, offset: u64, length: u64, go_on: &dyn Fn() -> Result<()>) -> Result<u64> {
        let mut crc = Crc64::new();
        self.scan(offset, length, |piece| {
            crc.update(piece);
            go_on()
        })?;
        Ok(crc.value())
    }
}

/// Reads a stream while it is sent: all of it, or with a length, exactly that many bytes.
pub(crate) fn feed_stream(reader: Reader, length: Option<u64>, limit: u64) -> Result<Feed> {
    // Both closures read, one after the other.
    let reader = Arc::new(Mutex::new(reader));
    let probed = Arc::clone(&reader);
    feed::start(Recipe {
        length,
        limit,
        fill: Box::new(move |buffer| {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            fill(|rest, _| reader.read(rest), buffer)
        }),
        check: Box::new(move || {
            let Some(length) = length else { return Ok(()) };
            let mut reader = probed.lock().unwrap_or_else(PoisonError::into_inner);
            match fill(|rest, _| reader.read(rest), &mut [0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(feed::too_long(length)),
                Err(error) => Err(feed::unreadable(error, length)),
            }
        }),
    })
}

/// Reads up to `length` bytes into memory; fewer mean that the stream ends there.
pub(crate) fn read_some(reader: &mut dyn Read, length: u64, at: u64) -> Result<Vec<u8>> {
    // Enough for a usual part; one that is larger grows only if the stream is that long.
    let mut bytes = Vec::with_capacity(length.min(8 * 1024 * 1024) as usize);
    reader.take(length).read_to_end(&mut bytes).map_err(|e| feed::unreadable(e, at))?;
    Ok(bytes)
}

/// Reads until the buffer is full or the source ends. `read` gets the rest of the buffer and how many
/// bytes are in it already.
fn fill(
    mut read: impl FnMut(&mut [u8], usize) -> std::io::Result<usize>,
    buffer: &mut [u8],
) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(&mut buffer[filled..], filled) {
            Ok(0) => break,
            // A reader that claims more than it was given room for must not bring us down.
            Ok(got) => filled = (filled + got).min(buffer.len()),
            Err(error) if error.kind() == IoKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// A pipe or device, opened by whoever reads it: to open a pipe waits until somebody writes to it.
struct OpenedLate {
    path: PathBuf,
    file: Option<File>,
}

impl Read for OpenedLate {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.file.is_none() {
            let opened = File::open(&self.path).map_err(|e| {
                std::io::Error::new(e.kind(), format!("cannot open {}: {e}", self.path.display()))
            })?;
            self.file = Some(opened);
        }
        self.file.as_mut().map_or(Ok(0), |file| file.read(buffer))
    }
}

/// An open file that others may hold too.
struct Shared(Arc<File>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn an_error_of_the_reader_is_the_cause() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the disk is on fire"))
            }
        }
        let error = read_some(&mut Broken, 10, 7).unwrap_err();
        assert_eq!(error.message(), "the source cannot be read after 7 bytes: the disk is on fire");
        let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>()).unwrap();
        assert_eq!(cause.to_string(), "the disk is on fire");
    }
}

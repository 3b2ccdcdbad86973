//! A source that is read while it is sent: a thread reads pieces ahead through a bounded channel, and
//! sums them while they are in the cache.
//!
//! Memory is bounded by [`AHEAD`] pieces and the ones in the sender's hands, whatever the source's length.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::checksum::Crc64;
use crate::error::{Error, ErrorKind, Result};

/// Large enough that system calls do not show, small enough to stay in the second-level cache
/// between the checksum and the write.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// Pieces that lie ready. With fewer, reading and sending wait for each other.
const AHEAD: usize = 4;

/// A piece of the source, and the CRC-64 of everything up to its end.
#[derive(Debug)]
pub(crate) struct Piece {
    pub bytes: Bytes,
    pub crc64: u64,
}

/// What comes out of a source, once.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Bytes that will come, where that is known: not one less or more does.
    pub length: Option<u64>,
    pub pieces: mpsc::Receiver<Result<Piece>>,
}

/// Fills a buffer as far as the source goes; less than the whole buffer means that it ends there.
pub(super) type Fill = dyn FnMut(&mut [u8]) -> std::io::Result<usize> + Send;

/// How a source is read.
pub(super) struct Recipe {
    pub length: Option<u64>,
    /// What it must not exceed, when its length is not known.
    pub limit: u64,
    pub fill: Box<Fill>,
    /// Looked at when the last piece has been read and before it is passed on, so that a source that
    /// turns out wrong leaves a request that was never whole.
    pub check: Box<dyn FnMut() -> Result<()> + Send>,
}

/// Starts to read.
pub(super) fn start(recipe: Recipe) -> Result<Feed> {
    let (sender, pieces) = mpsc::channel(AHEAD);
    let length = recipe.length;
    std::thread::Builder::new()
        .name("oss-callback-read".to_owned())
        .spawn(move || {
            // A reader that panics must not look like one that has come to its end.
            let outcome = catch_unwind(AssertUnwindSafe(|| read(recipe, &sender)))
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Source, "reading the source panicked")));
            if let Err(error) = outcome {
                // Nobody is there to be told when the request has ended by itself.
                let _ = sender.blocking_send(Err(error));
            }
        })
        .map_err(|e| Error::new(ErrorKind::Source, format!("no thread could be started: {e}")))?;
    Ok(Feed { length, pieces })
}

fn read(mut recipe: Recipe, sender: &mpsc::Sender<Result<Piece>>) -> Result<()> {
    let (buffers, mut crc, mut done) = (Buffers::new(), Crc64::new(), 0_u64);
    loop {
        let left = recipe.length.map(|length| length - done);
        let wanted = left.map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES as u64) as usize);
        let mut buffer = buffers.take();
        let got = (recipe.fill)(&mut buffer.bytes[..wanted]).map_err(|e| unreadable(e, done))?;
        buffer.filled = got;
        done += got as u64;
        if recipe.length.is_none() && done > recipe.limit {
            return Err(Error::new(
                ErrorKind::Source,
                format!("the source is longer than the {} bytes that one request takes", recipe.limit),
            ));
        }
        let last = match recipe.length {
            Some(length) if got < wanted => return Err(other_length(length, done)),
            Some(length) => done == length,
            None => got < wanted,
        };
        if last {
            (recipe.check)()?;
        }
        if got > 0 {
            crc.update(&buffer.bytes[..got]);
            let piece = Piece { bytes: Bytes::from_owner(buffer), crc64: crc.value() };
            if sender.blocking_send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
        if last {
            return Ok(());
        }
    }
}

pub(super) fn unreadable(error: std::io::Error, at: u64) -> Error {
    Error::new(ErrorKind::Source, format!("the source cannot be read after {at} bytes: {error}"))
        .with_hint("Nothing was stored.")
        .with_source(error)
}

pub(super) fn other_length(announced: u64, found: u64) -> Error {
    Error::new(
        ErrorKind::Source,
        format!("the source ended after {found} bytes, but {announced} were announced"),
    )
    .with_hint("Nothing was stored.")
}

pub(super) fn too_long(announced: u64) -> Error {
    Error::new(
        ErrorKind::Source,
        format!("the source goes on after the {announced} bytes that were announced"),
    )
    .with_hint("Nothing was stored.")
}

/// Buffers that come back when the connection has written them: fresh ones cost page faults.
struct Buffers {
    back: Sender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
}

impl Buffers {
    fn new() -> Buffers {
        let (back, free) = channel();
        Buffers { back, free }
    }

    fn take(&self) -> Buffer {
        let bytes = self.free.try_recv().unwrap_or_else(|_| vec![0; PIECE_BYTES]);
        Buffer { bytes, filled: 0, back: self.back.clone() }
    }
}

struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    back: Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // When the reader has gone the buffer goes too.
        let _ = self.back.send(std::mem::take(&mut self.bytes));
    }
}

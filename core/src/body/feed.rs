//! A source that is read while it is sent, and summed while its pieces are in the cache: by a thread that
//! reads ahead through a bounded channel, or by the sender itself, where that is all it has to do.
//!
//! Memory is bounded by [`AHEAD`] pieces and the ones in the sender's hands, whatever the source's length.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};

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
    pieces: Pieces,
}

#[derive(Debug)]
enum Pieces {
    Ahead(mpsc::Receiver<Result<Piece>>),
    Here(Box<Reading>),
}

impl Feed {
    /// The next piece. `None` at the end, and after an error.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Piece>>> {
        match &mut self.pieces {
            Pieces::Ahead(pieces) => pieces.poll_recv(context),
            Pieces::Here(reading) => Poll::Ready(reading.next()),
        }
    }
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

/// Has the sender read, for which it blocks: for files, on a thread that does nothing else.
pub(super) fn here(recipe: Recipe) -> Feed {
    Feed { length: recipe.length, pieces: Pieces::Here(Box::new(Reading::new(recipe))) }
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
    Ok(Feed { length, pieces: Pieces::Ahead(pieces) })
}

fn read(recipe: Recipe, sender: &mpsc::Sender<Result<Piece>>) -> Result<()> {
    let mut reading = Reading::new(recipe);
    while let Some(piece) = reading.next() {
        if sender.blocking_send(Ok(piece?)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A source, and how far it is read.
struct Reading {
    recipe: Recipe,
    buffers: Buffers,
    crc: Crc64,
    done: u64,
    ended: bool,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("done", &self.done).finish_non_exhaustive()
    }
}

impl Reading {
    fn new(recipe: Recipe) -> Reading {
        Reading { recipe, buffers: Buffers::new(), crc: Crc64::new(), done: 0, ended: false }
    }

    /// The next piece, never an empty one. `None` at the end, and after an error.
    fn next(&mut self) -> Option<Result<Piece>> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended |= read.is_err();
        read.map(|piece| (!piece.bytes.is_empty()).then_some(piece)).transpose()
    }

    fn read(&mut self) -> Result<Piece> {
        let Reading { recipe, buffers, crc, done, ended } = self;
        let left = recipe.length.map(|length| length - *done);
        let wanted = left.map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES as u64) as usize);
        let mut buffer = buffers.take();
        let got = (recipe.fill)(&mut buffer.bytes[..wanted]).map_err(|e| unreadable(e, *done))?;
        buffer.filled = got;
        *done += got as u64;
        if recipe.length.is_none() && *done > recipe.limit {
            return Err(Error::new(
                ErrorKind::Source,
                format!("the source is longer than the {} bytes that one request takes", recipe.limit),
            ));
        }
        *ended = match recipe.length {
            Some(length) if got < wanted => return Err(other_length(length, *done)),
            Some(length) => *done == length,
            None => got < wanted,
        };
        if *ended {
            (recipe.check)()?;
        }
        crc.update(&buffer.bytes[..got]);
        Ok(Piece { bytes: Bytes::from_owner(buffer), crc64: crc.value() })
    }
}

pub(super) fn unreadable(error: std::io::Error, at: u64) -> Error {
    Error::new(ErrorKind::Source, format!("the source cannot be read after {at} bytes: {error}"))
        .not_stored()
        .with_source(error)
}

pub(crate) fn other_length(announced: u64, found: u64) -> Error {
    Error::new(
        ErrorKind::Source,
        format!("the source ended after {found} bytes, but {announced} were announced"),
    )
    .not_stored()
}

pub(crate) fn too_long(announced: u64) -> Error {
    Error::new(
        ErrorKind::Source,
        format!("the source goes on after the {announced} bytes that were announced"),
    )
    .not_stored()
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

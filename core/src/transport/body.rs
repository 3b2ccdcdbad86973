//! The bytes on their way out: cut into pieces so that progress can be seen, counted, and summed in
//! the same pass.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::checksum::Crc64;

/// Large enough that system calls do not show, small enough to stay in the second-level cache
/// between the checksum and the write.
const PIECE_BYTES: usize = 256 * 1024;

/// A request body, and what has become of it. Shared between the sender, which takes pieces, and the
/// call, which asks how far it got.
#[derive(Debug)]
pub(crate) struct Outgoing {
    data: Bytes,
    taken: AtomicU64,
    started: Instant,
    moved_ns: AtomicU64,
    crc: Mutex<Crc64>,
}

impl Outgoing {
    pub fn new(data: Bytes) -> Arc<Outgoing> {
        Arc::new(Outgoing {
            data,
            taken: AtomicU64::new(0),
            started: Instant::now(),
            moved_ns: AtomicU64::new(0),
            crc: Mutex::new(Crc64::new()),
        })
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// Whether every byte was handed to the connection. While it is false, the server cannot have
    /// the whole request; once it is true, it may.
    pub fn is_handed_over(&self) -> bool {
        self.taken.load(Ordering::Acquire) == self.len()
    }

    /// CRC-64 of all bytes, once they are handed over.
    pub fn crc64(&self) -> Option<u64> {
        if !self.is_handed_over() {
            return None;
        }
        Some(self.crc.lock().unwrap_or_else(PoisonError::into_inner).value())
    }

    /// Notes that bytes moved, in either direction.
    pub fn touch(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.moved_ns.store(elapsed, Ordering::Relaxed);
    }

    /// When bytes moved last.
    pub fn last_moved(&self) -> Instant {
        self.started + Duration::from_nanos(self.moved_ns.load(Ordering::Relaxed))
    }
}

/// One sending of an [`Outgoing`].
pub(super) struct Pieces {
    outgoing: Arc<Outgoing>,
    at: usize,
}

impl Pieces {
    pub fn new(outgoing: Arc<Outgoing>) -> Pieces {
        Pieces { outgoing, at: 0 }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.outgoing.data.len();
        if self.at == length {
            return Poll::Ready(None);
        }
        let end = length.min(self.at + PIECE_BYTES);
        let piece = self.outgoing.data.slice(self.at..end);
        self.at = end;
        let outgoing = &self.outgoing;
        outgoing.crc.lock().unwrap_or_else(PoisonError::into_inner).update(&piece);
        outgoing.touch();
        outgoing.taken.store(end as u64, Ordering::Release);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.outgoing.data.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.outgoing.data.len() - self.at) as u64)
    }
}

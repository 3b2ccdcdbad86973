//! The bytes on their way out: cut into pieces so that progress can be seen, counted, and summed in
//! the same pass.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::body::{Feed, PIECE_BYTES};
use crate::checksum::Crc64;
use crate::error::Error;

/// A request body, and what has become of it. Shared between the sender, which takes pieces, and the
/// call, which asks how far it got.
#[derive(Debug)]
pub(crate) struct Outgoing {
    length: Option<u64>,
    data: Mutex<Data>,
    taken: AtomicU64,
    /// Without an announced length the end must have been passed on too.
    ended: AtomicBool,
    started: Instant,
    moved_ns: AtomicU64,
    crc: Mutex<Crc64>,
    failure: Mutex<Option<Error>>,
}

#[derive(Debug)]
enum Data {
    Bytes(Bytes),
    Feed(Feed),
}

impl Outgoing {
    /// Bytes in memory.
    pub fn new(bytes: Bytes) -> Arc<Outgoing> {
        Outgoing::with(Some(bytes.len() as u64), Data::Bytes(bytes))
    }

    /// What a source gives while it is read.
    pub fn of_feed(feed: Feed) -> Arc<Outgoing> {
        Outgoing::with(feed.length, Data::Feed(feed))
    }

    fn with(length: Option<u64>, data: Data) -> Arc<Outgoing> {
        Arc::new(Outgoing {
            length,
            data: Mutex::new(data),
            taken: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            started: Instant::now(),
            moved_ns: AtomicU64::new(0),
            crc: Mutex::new(Crc64::new()),
            failure: Mutex::new(None),
        })
    }

    /// Bytes that are announced, if their number is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Sees to it that a source that is announced to be empty is: its connection never asks for any of it.
    ///
    /// # Errors
    /// What the source says, if it is not.
    pub async fn check_emptiness(&self) -> Result<(), Error> {
        if self.length != Some(0) {
            return Ok(());
        }
        poll_fn(|context| match &mut *locked(&self.data) {
            Data::Bytes(_) => Poll::Ready(Ok(())),
            Data::Feed(feed) => {
                feed.poll_next(context).map(|piece| piece.map_or(Ok(()), |piece| piece.map(drop)))
            }
        })
        .await
    }

    /// Whether every byte was handed to the connection. While it is false, the server cannot have
    /// the whole request; once it is true, it may.
    pub fn is_handed_over(&self) -> bool {
        match self.length {
            Some(length) => self.taken() == length,
            None => self.ended.load(Ordering::Acquire),
        }
    }

    /// Bytes handed to the connection so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// CRC-64 of all bytes, once they are handed over.
    pub fn crc64(&self) -> Option<u64> {
        if !self.is_handed_over() {
            return None;
        }
        Some(locked(&self.crc).value())
    }

    /// Why the source could not be read, if that is what ended the request.
    pub fn take_failure(&self) -> Option<Error> {
        locked(&self.failure).take()
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

    fn pass_on(&self, piece: Bytes, crc: Crc64) -> Frame<Bytes> {
        *locked(&self.crc) = crc;
        self.touch();
        self.taken.fetch_add(piece.len() as u64, Ordering::AcqRel);
        Frame::data(piece)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One sending of an [`Outgoing`].
pub(super) struct Pieces {
    outgoing: Arc<Outgoing>,
}

impl Pieces {
    pub fn new(outgoing: Arc<Outgoing>) -> Pieces {
        Pieces { outgoing }
    }
}

/// The source failed; what went wrong is kept in the [`Outgoing`].
#[derive(Debug)]
pub(super) struct SourceFailed;

impl std::fmt::Display for SourceFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the source failed")
    }
}

impl std::error::Error for SourceFailed {}

impl Body for Pieces {
    type Data = Bytes;
    type Error = SourceFailed;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SourceFailed>>> {
        let outgoing = &self.outgoing;
        let mut data = locked(&outgoing.data);
        match &mut *data {
            Data::Bytes(left) => {
                if left.is_empty() {
                    return Poll::Ready(None);
                }
                let piece = left.split_to(left.len().min(PIECE_BYTES));
                let mut crc = locked(&outgoing.crc).clone();
                crc.update(&piece);
                Poll::Ready(Some(Ok(outgoing.pass_on(piece, crc))))
            }
            Data::Feed(feed) => match std::task::ready!(feed.poll_next(context)) {
                Some(Ok(piece)) => {
                    let frame = outgoing.pass_on(piece.bytes, Crc64::resume(piece.crc64));
                    Poll::Ready(Some(Ok(frame)))
                }
                Some(Err(error)) => {
                    *locked(&outgoing.failure) = Some(error);
                    Poll::Ready(Some(Err(SourceFailed)))
                }
                None => {
                    outgoing.ended.store(true, Ordering::Release);
                    Poll::Ready(None)
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.outgoing.length.is_some_and(|length| self.outgoing.taken() == length)
    }

    fn size_hint(&self) -> SizeHint {
        match self.outgoing.length {
            Some(length) => SizeHint::with_exact(length - self.outgoing.taken().min(length)),
            None => SizeHint::default(),
        }
    }
}

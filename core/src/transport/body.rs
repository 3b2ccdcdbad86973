//! The bytes on their way out: cut into pieces so that progress can be seen, counted, and summed in
//! the same pass.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::body::{Feed, PIECE_BYTES};
use crate::checksum::Crc64;
use crate::error::Error;

/// How far the sending of some data is, however often it is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<GaugeState>);

#[derive(Debug, Default)]
struct GaugeState {
    current: Mutex<Weak<Outgoing>>,
    handed_over: AtomicBool,
}

impl Gauge {
    /// Bytes handed to the connection in the sending under way.
    pub fn taken(&self) -> u64 {
        let current = locked(&self.0.current).upgrade();
        current.map_or(0, |outgoing| outgoing.taken())
    }

    /// Whether all of it was handed over, in this sending or one before. Until then, the server cannot have had a
    /// whole request.
    pub fn was_handed_over(&self) -> bool {
        self.0.handed_over.load(Ordering::Acquire)
    }

    fn note(&self) {
        self.0.handed_over.store(true, Ordering::Release);
    }
}

/// A request body, and what has become of it. Shared between the sender, which takes pieces, and the
/// call, which asks how far it got.
#[derive(Debug)]
pub(crate) struct Outgoing {
    length: Option<u64>,
    gauge: Gauge,
    data: Mutex<Data>,
    taken: AtomicU64,
    /// Without an announced length the end must have been passed on too; and nothing is handed over with its request.
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
    pub fn new(bytes: Bytes, gauge: &Gauge) -> Arc<Outgoing> {
        Outgoing::with(Some(bytes.len() as u64), Data::Bytes(bytes), gauge)
    }

    /// What a source gives while it is read.
    pub fn of_feed(feed: Feed, gauge: &Gauge) -> Arc<Outgoing> {
        Outgoing::with(feed.length, Data::Feed(feed), gauge)
    }

    fn with(length: Option<u64>, data: Data, gauge: &Gauge) -> Arc<Outgoing> {
        let outgoing = Arc::new(Outgoing {
            length,
            gauge: gauge.clone(),
            data: Mutex::new(data),
            taken: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            started: Instant::now(),
            moved_ns: AtomicU64::new(0),
            crc: Mutex::new(Crc64::new()),
            failure: Mutex::new(None),
        });
        *locked(&gauge.0.current) = Arc::downgrade(&outgoing);
        outgoing
    }

    /// Bytes that are announced, if their number is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Sees to it that a source that is announced to be empty is, as its connection never asks for any of it.
    ///
    /// # Errors
    /// What the source says, if it is not empty.
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

    /// Whoever sends nothing has handed it over by sending the request.
    pub fn note_emptiness(&self) {
        if self.length == Some(0) {
            self.ended.store(true, Ordering::Release);
            self.gauge.note();
        }
    }

    /// Whether every byte was handed to the connection. While it is false, the server cannot have
    /// the whole request; once it is true, it may.
    pub fn is_handed_over(&self) -> bool {
        match self.length {
            Some(length) if length > 0 => self.taken() == length,
            _ => self.ended.load(Ordering::Acquire),
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
        let taken = self.taken.fetch_add(piece.len() as u64, Ordering::AcqRel) + piece.len() as u64;
        if self.length == Some(taken) {
            self.gauge.note();
        }
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
                    outgoing.gauge.note();
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

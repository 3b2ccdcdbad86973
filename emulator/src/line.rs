//! A connection that can be made to fail: ended at a byte, or slowed down.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// What is to happen to the answer that is written next.
#[derive(Default)]
struct Orders {
    limit: Option<Limit>,
    /// Bytes of a portion, and the pause after it.
    drip: Option<(usize, Duration)>,
}

/// Where the connection ends.
#[derive(Clone, Copy)]
struct Limit {
    /// Bytes that may still be written.
    left: u64,
    /// They count from the end of the head.
    of_body: bool,
    reset: bool,
}

/// Takes orders for a connection.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<Mutex<Orders>>);

impl Line {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new request begins: what was ordered for the one before is over.
    pub fn restore(&self) {
        *self.orders() = Orders::default();
    }

    /// Ends the connection after so many bytes of the answer, its head included.
    pub fn cut_after(&self, bytes: u64, reset: bool) {
        self.orders().limit = Some(Limit { left: bytes, of_body: false, reset });
    }

    /// Ends the connection after so many bytes of the answer's body.
    pub fn cut_body_after(&self, bytes: u64) {
        self.orders().limit = Some(Limit { left: bytes, of_body: true, reset: false });
    }

    /// Has the answer written in portions.
    pub fn drip(&self, bytes: usize, pause: Duration) {
        self.orders().drip = Some((bytes.max(1), pause));
    }
}

/// The connection itself.
pub(crate) struct LineStream {
    stream: TcpStream,
    line: Line,
    pause: Option<Pin<Box<Sleep>>>,
}

impl LineStream {
    pub fn new(stream: TcpStream, line: Line) -> LineStream {
        LineStream { stream, line, pause: None }
    }

    /// How much of `data` may be written now.
    fn allowed(&self, data: &[u8]) -> io::Result<usize> {
        let mut orders = self.line.orders();
        let mut allowed = data.len();
        if let Some(limit) = &mut orders.limit {
            if limit.of_body {
                // The server writes the head in one piece.
                let head = data.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
                limit.left += head as u64;
                limit.of_body = false;
            }
            if limit.left == 0 {
                if limit.reset {
                    self.stream.set_zero_linger()?;
                }
                return Err(io::Error::new(io::ErrorKind::ConnectionReset, "ended by a fault"));
            }
            allowed = allowed.min(usize::try_from(limit.left).unwrap_or(usize::MAX));
        }
        if let Some((bytes, _)) = orders.drip {
            allowed = allowed.min(bytes);
        }
        Ok(allowed)
    }

    /// Takes note of what was written.
    fn written(&mut self, bytes: usize) {
        let mut orders = self.line.orders();
        if let Some(limit) = &mut orders.limit {
            limit.left = limit.left.saturating_sub(bytes as u64);
        }
        let pause = orders.drip.map(|(_, pause)| pause);
        drop(orders);
        self.pause = pause.map(|pause| Box::pin(sleep(pause)));
    }
}

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let allowed = self.allowed(data)?;
        let data = data.get(..allowed).unwrap_or(data);
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, data))?;
        self.written(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

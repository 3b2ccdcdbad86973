//! A socket that can be looked at while a connection holds it.

use std::any::Any;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// As much as most answers have; what is longer is read by way of the runtime.
const DIRECT_READ_MAX: usize = 2048;

/// The socket of one connection. Clones are the same socket; it closes with the last of them.
#[derive(Clone)]
pub(crate) struct Socket(Arc<Mutex<State>>);

struct State {
    tcp: TcpStream,
    /// The system takes no more bytes for now.
    is_full: bool,
    /// There is something to be read, as far as somebody knows.
    is_unread: bool,
    attached: Option<Box<dyn Any + Send>>,
}

impl Socket {
    pub fn new(tcp: TcpStream) -> Socket {
        Socket(Arc::new(Mutex::new(State { tcp, is_full: false, is_unread: false, attached: None })))
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server has neither closed the connection nor said anything that was not read. Asks the
    /// socket itself: a runtime that nobody has driven since does not know.
    pub fn is_quiet(&self) -> bool {
        let mut state = self.locked();
        let seen = SockRef::from(&state.tcp).peek(&mut [MaybeUninit::uninit()]);
        state.is_unread = !seen.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        !state.is_unread
    }

    /// Has the next read ask the socket and not the runtime, which sees what has come only when it is driven.
    pub fn expect_bytes(&self) {
        self.locked().is_unread = true;
    }

    /// Has the connection end at once when it closes, with what lies unsent thrown away.
    pub fn close_by_reset(&self) {
        // Where the system refuses, it closes as usual.
        let _ = SockRef::from(&self.locked().tcp).set_linger(Some(Duration::ZERO));
    }

    /// Whether there are bytes to be written that the system does not take for now.
    pub fn is_full(&self) -> bool {
        self.locked().is_full
    }

    /// What tells when it can be read from.
    #[cfg(unix)]
    pub fn descriptor(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.locked().tcp)
    }

    /// Shows the socket to somebody who watches descriptors.
    #[cfg(target_os = "linux")]
    pub fn shown<R>(&self, look: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> R) -> R {
        look(std::os::fd::AsFd::as_fd(&self.locked().tcp))
    }

    /// Keeps `value` for as long as the connection lives.
    pub fn attach(&self, value: Box<dyn Any + Send>) {
        let before = self.locked().attached.replace(value);
        // Not under the lock: it is somebody else's, and may do anything.
        drop(before);
    }

    /// Shows what was attached.
    pub fn attached<T: Any, R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.locked().attached.as_deref()?.downcast_ref().map(look)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.locked();
        if std::mem::take(&mut state.is_unread) {
            let room = buffer.remaining().min(DIRECT_READ_MAX);
            match (&*SockRef::from(&state.tcp)).read(buffer.initialize_unfilled_to(room)) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Pin::new(&mut state.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.locked();
        let written = Pin::new(&mut state.tcp).poll_write(context, bytes);
        state.is_full = written.is_pending();
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.locked();
        let written = Pin::new(&mut state.tcp).poll_write_vectored(context, bytes);
        state.is_full = written.is_pending();
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.locked().tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.locked().tcp).poll_shutdown(context)
    }
}

//! Requests on connections of our own: hyper's HTTP/1.1, the engine inside reqwest, driven by whoever
//! sends. No task and no channel lies between a call and its socket, which is most of what a small upload
//! costs. Why: docs/decisions/0005-transport.md.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::body::Pieces;
use super::connect::{Connector, Stream};
use super::http::Chunks;
use super::socket::Socket;
use super::{Awaited, Failure, FailureCause, Outgoing, Response};

/// Load balancers in front of OSS drop idle connections after a minute or so; ours go first.
pub(super) const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(50);

/// Connections to the servers of one client, and those that lie idle.
pub(super) struct Direct {
    connector: Connector,
    idle: Mutex<Vec<Idle>>,
    /// The exchange that began last, while it lasts.
    exchange: Mutex<Option<Awaited>>,
}

struct Idle {
    authority: String,
    line: Line,
    since: Instant,
}

type Connection = http1::Connection<TokioIo<Stream>, Pieces>;

/// One connection. It moves only while a call drives it.
struct Line {
    sender: http1::SendRequest<Pieces>,
    /// `None` once it has come to its end.
    connection: Option<Connection>,
    socket: Socket,
}

impl Direct {
    pub fn new(connector: Connector) -> Direct {
        Direct { connector, idle: Mutex::default(), exchange: Mutex::default() }
    }

    /// Sends a request, whose target is the path and query alone, to a host and port.
    pub async fn send(
        &self,
        authority: &str,
        mut request: http::Request<Pieces>,
        outgoing: &Arc<Outgoing>,
        patience: Duration,
    ) -> Result<Response, Failure> {
        loop {
            let (mut line, kept) = match self.take(authority) {
                Some(line) => (line, true),
                // Rare, and large.
                None => (Box::pin(Line::open(&self.connector, authority)).await?, false),
            };
            let shown =
                self.show(Awaited { socket: line.socket.clone(), outgoing: Arc::clone(outgoing), patience });
            let outcome = line.exchange(request, outgoing).await;
            drop(shown);
            match outcome {
                Ok(response) => {
                    // An answer may come before all was sent: then nothing more is.
                    if outgoing.is_handed_over() && line.is_idle() {
                        self.put_back(authority, line);
                    }
                    return Ok(response);
                }
                // The server has closed a kept connection, and nothing of the request went out.
                Err(Unsent::Whole(unsent)) if kept => request = *unsent,
                Err(Unsent::Whole(_)) => {
                    let message = "the connection was closed before the request".to_owned();
                    return Err(Failure::new(FailureCause::Connect, message));
                }
                Err(Unsent::No(failure)) => return Err(failure),
            }
        }
    }

    /// The connection that was used last, if it is still good.
    fn take(&self, authority: &str) -> Option<Line> {
        loop {
            let line = {
                let mut idle = locked(&self.idle);
                drop_cold(&mut idle);
                let found = idle.iter().rposition(|idle| idle.authority == authority)?;
                idle.remove(found).line
            };
            if line.socket.is_quiet() {
                return Some(line);
            }
        }
    }

    #[cfg(target_os = "linux")]
    pub fn is_connected(&self) -> bool {
        !locked(&self.idle).is_empty()
    }

    /// What the one call that this is for waits for, if there is nothing left for it to send.
    pub fn awaits(&self) -> Option<Awaited> {
        let exchange = locked(&self.exchange);
        let is_sent = |it: &&Awaited| it.outgoing.is_handed_over() && !it.socket.is_full();
        exchange.as_ref().filter(is_sent).cloned()
    }

    fn show(&self, exchange: Awaited) -> Shown<'_> {
        *locked(&self.exchange) = Some(exchange);
        Shown(self)
    }

    fn put_back(&self, authority: &str, line: Line) {
        let mut idle = locked(&self.idle);
        drop_cold(&mut idle);
        idle.push(Idle { authority: authority.to_owned(), line, since: Instant::now() });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has an exchange shown until it ends, however it ends.
struct Shown<'a>(&'a Direct);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        *locked(&self.0.exchange) = None;
    }
}

/// Lets go of the connections that have lain idle for too long; the coldest lie in front.
fn drop_cold(idle: &mut Vec<Idle>) {
    let now = Instant::now();
    let cold = idle.iter().take_while(|idle| now - idle.since > IDLE_CONNECTION_MAX).count();
    idle.drain(..cold);
}

/// An exchange that is dropped before its end takes back what the system has not delivered yet: it would
/// arrive beside a second attempt, or after the caller has given up.
struct GivenUp<'a>(Option<&'a Socket>);

impl GivenUp<'_> {
    fn not_at_all(mut self) {
        self.0 = None;
    }
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(socket) = self.0 {
            socket.close_by_reset();
        }
    }
}

/// Why a request has no answer.
enum Unsent {
    /// Not a byte of it was sent: here it is again.
    Whole(Box<http::Request<Pieces>>),
    No(Failure),
}

impl Line {
    async fn open(connector: &Connector, authority: &str) -> Result<Line, Failure> {
        let (stream, socket) = connector.connect(authority).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        Ok(Line { sender, connection: Some(connection), socket })
    }

    async fn exchange(
        &mut self,
        request: http::Request<Pieces>,
        outgoing: &Outgoing,
    ) -> Result<Response, Unsent> {
        outgoing.touch();
        let given_up = GivenUp(Some(&self.socket));
        let answer = self.sender.try_send_request(request);
        let talk = async {
            let answer = answer.await.map_err(|mut error| match error.take_message() {
                Some(unsent) => Unsent::Whole(Box::new(unsent)),
                None => Unsent::No(broken(error.error())),
            })?;
            outgoing.touch();
            let (head, mut body) = answer.into_parts();
            let mut whole = Chunks::default();
            while !hyper::body::Body::is_end_stream(&body) {
                let Some(frame) = body.frame().await else { break };
                outgoing.touch();
                if let Ok(chunk) = frame.map_err(|e| Unsent::No(broken(&e)))?.into_data() {
                    whole.push(chunk).map_err(Unsent::No)?;
                }
            }
            Ok(Response { status: head.status.as_u16(), headers: head.headers, body: whole.finish() })
        };
        let outcome = drive(&mut self.connection, talk).await;
        if outcome.is_ok() {
            given_up.not_at_all();
        }
        outcome
    }

    /// Whether the last exchange left nothing behind: no part of the request to be sent, nor of the answer
    /// to be read.
    fn is_idle(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        let Some(connection) = &mut self.connection else { return false };
        Pin::new(connection).poll(&mut nobody).is_pending() && self.sender.is_ready()
    }
}

/// Moves a connection for as long as `talk` takes. Both wake each other many times for one request; such a
/// wake is another turn of the loop here, not one of the runtime, which would cost system calls.
async fn drive<T>(connection: &mut Option<Connection>, talk: impl Future<Output = T>) -> T {
    let mut talk = pin!(talk);
    let turns = Arc::new(Turns::default());
    let waker = Waker::from(Arc::clone(&turns));
    std::future::poll_fn(move |outer| {
        turns.begin(outer.waker());
        let mut inner = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(outcome) = talk.as_mut().poll(&mut inner) {
                return Poll::Ready(outcome);
            }
            // Only when it is dropped does it hand back a request that it has not taken; so `talk` hears of
            // every end.
            if connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(&mut inner).is_ready())
            {
                *connection = None;
            }
            if !turns.again() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Tells a wake from within from one that must reach the runtime.
struct Turns {
    /// A turn is wanted that nobody has taken yet.
    wanted: AtomicBool,
    turning: AtomicBool,
    outer: Mutex<Waker>,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns {
            wanted: AtomicBool::new(false),
            turning: AtomicBool::new(false),
            outer: Mutex::new(Waker::noop().clone()),
        }
    }
}

impl Turns {
    fn begin(&self, outer: &Waker) {
        locked(&self.outer).clone_from(outer);
        self.turning.store(true, Ordering::SeqCst);
        self.wanted.store(false, Ordering::SeqCst);
    }

    /// Whether somebody wanted another turn during this one. If not, later wakes go to the runtime.
    fn again(&self) -> bool {
        if self.wanted.swap(false, Ordering::SeqCst) {
            return true;
        }
        self.turning.store(false, Ordering::SeqCst);
        // A wake from another thread between the two looks has seen a turn under way.
        if self.wanted.swap(false, Ordering::SeqCst) {
            self.turning.store(true, Ordering::SeqCst);
            return true;
        }
        false
    }
}

impl Wake for Turns {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wanted.store(true, Ordering::SeqCst);
        if !self.turning.load(Ordering::SeqCst) {
            locked(&self.outer).wake_by_ref();
        }
    }
}

fn broken(error: &hyper::Error) -> Failure {
    Failure::of(FailureCause::Broken, error)
}

//! How a request travels: a small trait, and the one implementation that knows the HTTP client.

mod body;
mod connect;
mod direct;
mod document;
mod fetch;
mod http;
mod proxied;
mod socket;
mod tls;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::{HeaderMap, Method};
use bytes::Bytes;

use crate::error::os_error;

pub(crate) use self::body::{Gauge, Outgoing};
pub(crate) use self::document::SmallFetch;
pub(crate) use self::fetch::{Fetch, FetchSettings, Fetched, fetch};
pub(crate) use self::http::{HttpConfig, HttpTransport, ProxyChoice};
pub(crate) use self::socket::Socket;
pub(crate) use self::tls::TlsSettings;

/// A request, ready to go.
#[derive(Debug)]
pub(crate) struct Request {
    pub method: Method,
    pub scheme: &'static str,
    /// Host, with the port where it is not the scheme's own.
    pub authority: String,
    /// Percent-encoded path and query, exactly as they go over the wire.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Arc<Outgoing>,
    /// Longest time without a byte moving in either direction.
    pub idle_timeout: Duration,
}

impl Request {
    /// The whole address.
    fn url(&self) -> String {
        [self.scheme, "://", &self.authority, &self.path].concat()
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub cause: FailureCause,
    /// What happened, without the URL: it may hold a signature.
    pub message: String,
    /// The system's number for it, where the system refused something.
    pub os_error: Option<i32>,
}

impl Failure {
    pub fn new(cause: FailureCause, message: String) -> Failure {
        Failure { cause, message, os_error: None }
    }

    /// A failure that an error tells of; the error must not show the URL.
    fn of(cause: FailureCause, error: &(dyn std::error::Error + 'static)) -> Failure {
        Failure { os_error: os_error(error), ..Failure::new(cause, chain(error)) }
    }
}

/// An error's chain of causes as text: the last two, as those before them only name the step.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(source) = next {
        parts.push(source.to_string());
        next = source.source();
    }
    parts.dedup();
    parts.split_off(parts.len().saturating_sub(2)).join(": ")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureCause {
    /// No connection came about: nothing was sent.
    Connect,
    /// As `Connect`, for want of time.
    ConnectTimeout,
    /// The server's certificate is not trusted: nothing was sent, and nothing will change by itself.
    Untrusted,
    /// No byte moved for too long.
    Idle,
    /// The connection broke, or the answer was not HTTP.
    Broken,
    /// The answer is longer than any that OSS gives.
    TooLong,
    /// The request could not even be formed.
    Malformed,
}

/// An answer that has not come yet.
#[derive(Clone)]
pub(crate) struct Awaited {
    pub socket: Socket,
    outgoing: Arc<Outgoing>,
    patience: Duration,
}

impl Awaited {
    /// When no byte will have moved for too long.
    pub fn patience_ends(&self) -> Instant {
        self.outgoing.last_moved() + self.patience
    }
}

pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + 'a>>;

/// Sends one request, and does not send it again.
pub(crate) trait Transport: Send + Sync {
    fn send(&self, request: Request) -> Answer<'_>;

    /// Whether it has a connection that lies idle.
    #[cfg(target_os = "linux")]
    fn is_connected(&self) -> bool {
        false
    }

    /// For a transport that has one request at a time: what that waits for when all of it is sent, and
    /// nothing is left to do before the server says something.
    fn awaits(&self) -> Option<Awaited> {
        None
    }
}

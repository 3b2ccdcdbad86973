//! How a connection comes about: name look-up and TCP by hyper-util, TLS by rustls, all within one time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;

use super::socket::Socket;
use super::{Failure, FailureCause};

/// A peer that is gone is noticed within a minute, also while a callback is waited for in silence.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;

/// How long sent bytes may stay unacknowledged.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// Opens connections.
pub(super) struct Connector {
    tcp: HttpConnector,
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Connector {
    /// With TLS if there is a configuration for it.
    pub fn new(tls: Option<rustls::ClientConfig>, timeout: Duration) -> Connector {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        // Each address of a host has its share of the time.
        tcp.set_connect_timeout(Some(timeout));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        Connector { tcp, tls: tls.map(|config| TlsConnector::from(Arc::new(config))), timeout }
    }

    /// A connection to a host and port.
    pub async fn connect(&self, authority: &str) -> Result<(Stream, Socket), Failure> {
        match tokio::time::timeout(self.timeout, self.open(authority)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let message = format!("not within {:?}", self.timeout);
                Err(Failure::new(FailureCause::ConnectTimeout, message))
            }
        }
    }

    async fn open(&self, authority: &str) -> Result<(Stream, Socket), Failure> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let uri = http::Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
        let uri = uri.map_err(|e| failed(FailureCause::Malformed, &e))?;
        let host = uri.host().unwrap_or_default().to_owned();
        let tcp = self.tcp.clone().call(uri).await.map_err(|e| failed(cause_of(&e), &e))?;
        let socket = Socket::new(tcp.into_inner());
        let shared = socket.clone();
        let Some(tls) = &self.tls else { return Ok((Stream::Plain(socket), shared)) };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|e| failed(FailureCause::Malformed, &e))?;
        let stream = tls.connect(name, socket).await.map_err(|e| failed(cause_of_tls(&e), &e))?;
        Ok((Stream::Tls(Box::new(stream)), shared))
    }
}

fn failed(cause: FailureCause, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::of(cause, error)
}

fn cause_of(error: &(dyn std::error::Error + 'static)) -> FailureCause {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<io::Error>() {
            Some(io) if io.kind() == io::ErrorKind::TimedOut => return FailureCause::ConnectTimeout,
            _ => next = error.source(),
        }
    }
    FailureCause::Connect
}

fn cause_of_tls(error: &io::Error) -> FailureCause {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => FailureCause::Untrusted,
        _ => FailureCause::Connect,
    }
}

/// What bytes go through.
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// The same call on either of them.
macro_rules! either {
    ($stream:expr, $method:ident($($argument:expr),*)) => {
        match $stream.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Tls(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(context))
    }
}

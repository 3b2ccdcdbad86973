//! One request to one application server: connect, send, read the answer, all within one limit.
//!
//! Written on the socket rather than on an HTTP client, because the request target must go out byte for
//! byte and because OSS tells apart answers (no length, a length of 0, two lengths) that a client library
//! would repair or refuse with one and the same error. Parsing is `httparse`'s.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use oss_callback::callback::CallbackUrl;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{self, Head};
use super::failure::Failure;
use super::resolve;

/// The longest head of an answer, in bytes, and the most headers in it.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// Room for each read, in bytes.
const READ_SIZE: usize = 16 * 1024;

/// For the observer, some of a failed answer's body is read too, where it comes at once.
const PEEK_BYTES: usize = 64 * 1024;
const PEEK_TIME: Duration = Duration::from_millis(100);

/// How to reach the application server.
pub(super) struct Route<'a> {
    pub url: &'a CallbackUrl,
    /// For https: whom to trust, and whether to tell the name.
    pub tls: Option<&'a Arc<ClientConfig>>,
    /// Whether private addresses are out of bounds.
    pub public_only: bool,
    /// For everything together.
    pub limit: Duration,
}

/// What came back, as far as it came.
#[derive(Default)]
pub(super) struct Received {
    pub head: Option<Head>,
    pub body: Bytes,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Sends `request`, and judges the answer. What was received is there in either case.
pub(super) async fn run(route: &Route<'_>, request: &[u8]) -> (Received, Result<(), Failure>) {
    let mut received = Received::default();
    let verdict = exchange(route, request, &mut received).await;
    (received, verdict)
}

async fn exchange(route: &Route<'_>, request: &[u8], received: &mut Received) -> Result<(), Failure> {
    let started = Instant::now();
    let deadline = started + route.limit;
    let mut peer = format!("{}:{}", route.url.host(), route.url.port());
    let socket = match timeout_at(deadline, connect(route, &mut peer)).await {
        Ok(connected) => connected?,
        Err(_) => {
            return Err(Failure::ConnectTimeout { peer, elapsed: started.elapsed(), limit: route.limit });
        }
    };
    let mut buffer = BytesMut::new();
    let mut stream = timeout_at(deadline, secure(route, socket)).await.unwrap_or(Err(Failure::TooSlow))?;
    let talk = talk(&mut *stream, request, &mut buffer, received);
    let verdict = timeout_at(deadline, talk).await.unwrap_or(Err(Failure::TooSlow));
    if verdict.is_err() && received.head.is_some() && received.body.is_empty() {
        let _ = timeout(PEEK_TIME, read_up_to(&mut *stream, &mut buffer, PEEK_BYTES)).await;
        buffer.truncate(PEEK_BYTES);
        received.body = buffer.freeze();
    }
    // Ends TLS with its own goodbye, so that the server's log shows no broken connection.
    let _ = timeout(PEEK_TIME, stream.shutdown()).await;
    verdict
}

/// Tries the host's addresses in turn. `peer` is the one being tried.
async fn connect(route: &Route<'_>, peer: &mut String) -> Result<TcpStream, Failure> {
    let mut addresses = resolve::resolve(route.url).await.map_err(|error| {
        tracing::debug!(%error, host = route.url.host(), "a callback host cannot be resolved");
        Failure::Unreachable
    })?;
    if route.public_only {
        addresses.retain(|address| resolve::is_public(route.url, *address));
    }
    for address in addresses {
        *peer = address.to_string();
        match TcpStream::connect(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => tracing::debug!(%error, %address, "no connection for a callback"),
        }
    }
    Err(Failure::Unreachable)
}

async fn secure(route: &Route<'_>, socket: TcpStream) -> Result<Box<dyn Stream>, Failure> {
    let Some(config) = route.tls.filter(|_| route.url.is_https()) else {
        return Ok(Box::new(socket));
    };
    let name = ServerName::try_from(route.url.host().to_owned()).map_err(|_| Failure::Tls)?;
    match tokio_rustls::TlsConnector::from(config.clone()).connect(name, socket).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            tracing::warn!(%error, host = route.url.host(), "TLS handshake for a callback failed");
            Err(Failure::Tls)
        }
    }
}

async fn talk(
    stream: &mut dyn Stream,
    request: &[u8],
    buffer: &mut BytesMut,
    received: &mut Received,
) -> Result<(), Failure> {
    // A server may answer and close without having read everything; its answer counts all the same.
    if stream.write_all(request).await.is_ok() {
        let _ = stream.flush().await;
    }
    let head = received.head.insert(read_head(stream, buffer).await?);
    let length = head.accepted_length()?;
    let length = usize::try_from(length).map_err(|_| Failure::LengthTooLong)?;
    let whole = read_up_to(stream, buffer, length).await;
    received.body = buffer.split_to(length.min(buffer.len())).freeze();
    if !whole {
        return Err(Failure::Unreachable);
    }
    answer::check_body(head.content_type(), &received.body)
}

/// Reads the final head, past interim ones such as 100 Continue, and leaves what follows in `buffer`.
async fn read_head(stream: &mut dyn Stream, buffer: &mut BytesMut) -> Result<Head, Failure> {
    loop {
        match parse_head(buffer)? {
            Some((head, length)) => {
                buffer.advance(length);
                if !(100..200).contains(&head.status) || head.status == 101 {
                    return Ok(head);
                }
            }
            None if buffer.len() > MAX_HEAD => return Err(Failure::Unreachable),
            None => {
                if !read_some(stream, buffer).await {
                    return Err(Failure::Unreachable);
                }
            }
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => {
            tracing::debug!(%error, "a callback's answer is no HTTP");
            return Err(Failure::Unreachable);
        }
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers =
        response.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    Ok(Some((Head { status: response.code.unwrap_or_default(), headers }, length)))
}

/// Reads until `buffer` holds `length` bytes; false if the server closed before that.
async fn read_up_to(stream: &mut dyn Stream, buffer: &mut BytesMut, length: usize) -> bool {
    while buffer.len() < length {
        if !read_some(stream, buffer).await {
            return false;
        }
    }
    true
}

async fn read_some(stream: &mut dyn Stream, buffer: &mut BytesMut) -> bool {
    buffer.reserve(READ_SIZE);
    match stream.read_buf(buffer).await {
        Ok(count) => count > 0,
        Err(error) => {
            tracing::debug!(%error, "a callback's answer broke off");
            false
        }
    }
}

//! One request: its head taken apart once, and its body as it comes.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use crate::address::Target;
use crate::clock::unix_seconds;
use crate::error::OssError;
use crate::event::{RequestHead, masked_header, masked_target};
use crate::query::Query;

/// A body may pause for this long.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// What is read of a body that nobody wants, so that its sender sees the answer and not a reset.
const DISCARD_LIMIT: u64 = 64 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// The head of a request.
pub(crate) struct Request {
    pub id: String,
    pub method: Method,
    /// Host that the request names, with its port if it has one.
    pub host: String,
    /// Path as it stands on the request line.
    pub raw_path: String,
    /// Query as it stands on the request line.
    pub raw_query: String,
    pub headers: HeaderMap,
    pub client: SocketAddr,
    /// The emulator's time when the request came.
    pub now: SystemTime,
    /// Bucket and key; final once the signature was checked.
    pub target: Target,
    /// Decoded; final once the signature was checked.
    pub query: Query,
}

impl Request {
    pub fn new(parts: Parts, client: SocketAddr, now: SystemTime) -> Request {
        // The host of an absolute-form request line beats the header (RFC 9112, 3.2.2).
        let host = match parts.uri.authority() {
            Some(authority) => authority.host().to_owned() + &port(authority.port_u16()),
            None => text(&parts.headers, "host").unwrap_or_default().to_owned(),
        };
        Request {
            id: request_id(now),
            method: parts.method,
            host,
            raw_path: parts.uri.path().to_owned(),
            raw_query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            client,
            now,
            target: Target::default(),
            query: Query::default(),
        }
    }

    /// A header's value if it is there and is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    /// All headers whose value is UTF-8, repeated ones repeated.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?)))
    }

    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Whether the head says that a body follows, be it an empty one.
    pub fn announces_body(&self) -> bool {
        self.headers.contains_key("content-length") || self.headers.contains_key("transfer-encoding")
    }

    pub fn head_for_show(&self) -> RequestHead {
        let target = match self.raw_query.as_str() {
            "" => self.raw_path.clone(),
            query => masked_target(&format!("{}?{query}", self.raw_path)),
        };
        RequestHead {
            request_id: self.id.clone(),
            client: self.client,
            method: self.method.to_string(),
            target,
            headers: self
                .header_pairs()
                .map(|(name, value)| (name.to_owned(), masked_header(name, value)))
                .collect(),
        }
    }
}

fn port(port: Option<u16>) -> String {
    port.map(|port| format!(":{port}")).unwrap_or_default()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}

/// 24 hexadecimal digits, the first eight of them the time, as OSS does it.
fn request_id(now: SystemTime) -> String {
    format!("{:08X}{:016X}", unix_seconds(now) & 0xffff_ffff, random())
}

/// 32 hexadecimal digits.
pub(crate) fn upload_id() -> String {
    format!("{:016X}{:016X}", random(), random())
}

/// Unpredictable enough for names; not for secrets.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The body of a request.
pub(crate) struct RequestBody {
    incoming: Incoming,
    /// Bytes read so far.
    pub received: u64,
}

impl RequestBody {
    pub fn new(incoming: Incoming) -> RequestBody {
        RequestBody { incoming, received: 0 }
    }

    /// The next piece; `None` at the end. A body that ends too early is an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, OssError> {
        loop {
            let frame = tokio::time::timeout(IDLE_LIMIT, self.incoming.frame()).await.map_err(|_| {
                OssError::new(
                    400,
                    "RequestTimeout",
                    "Your socket connection to the server was not read from or written to within the timeout \
                     period.",
                )
            })?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // What is no data is a trailer, which OSS does not know.
                    if let Ok(data) = frame.into_data() {
                        self.received += data.len() as u64;
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(OssError::new(
                        400,
                        "IncompleteBody",
                        format!("The request body could not be read to its end: {error}."),
                    ));
                }
            }
        }
    }

    /// A small body, whole.
    pub async fn read(&mut self, limit: usize) -> Result<Bytes, OssError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > limit.saturating_sub(all.len()) {
                return Err(OssError::new(400, "EntityTooLarge", "The request body is too large."));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }

    /// Reads away what was left unread. A client that is still sending would otherwise lose the answer to
    /// a connection reset. One that waits for `100 Continue` sends nothing more once it is answered.
    pub async fn discard(&mut self) {
        if self.incoming.is_end_stream() {
            return;
        }
        let reading = async {
            let before = self.received;
            while self.received - before < DISCARD_LIMIT && matches!(self.chunk().await, Ok(Some(_))) {}
        };
        // Nothing hangs on it: the answer is sent either way.
        let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_length_that_clients_expect_and_differ() {
        let now = SystemTime::now();
        let (one, two) = (request_id(now), request_id(now));
        assert_eq!((one.len(), one == two), (24, false));
        assert_eq!(request_id(SystemTime::UNIX_EPOCH - Duration::from_secs(1)).len(), 24);
        assert_eq!(upload_id().len(), 32);
        assert!(upload_id().bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
    }
}

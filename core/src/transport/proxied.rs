//! Requests through a proxy, by reqwest, which knows the ways of proxies; and its client for exchanges
//! that are small or rare.

use std::sync::Arc;

use ::http::header::CONTENT_LENGTH;

use super::body::Pieces;
use super::direct::IDLE_CONNECTION_MAX;
use super::http::{Chunks, HttpConfig, ProxyChoice};
use super::{Failure, FailureCause, Request, Response};
use crate::engine::Driven;

/// A pool of connections that go through a proxy.
pub(super) struct Proxied {
    client: reqwest::Client,
    driven: Driven,
}

impl Proxied {
    pub fn new(config: &HttpConfig, driven: Driven) -> Result<Proxied, Failure> {
        Ok(Proxied { client: client(config)?, driven })
    }

    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        let url = request.url();
        let Request { method, headers, body: outgoing, .. } = request;
        let parsed = reqwest::Url::parse(&url).map_err(|e| {
            Failure::new(FailureCause::Malformed, format!("the request's address cannot be formed: {e}"))
        })?;
        // The URL type rewrites what it takes for `.` and `..`; a key must not be changed silently.
        if parsed.as_str() != url {
            let message = "the HTTP client would change the request's path".to_owned();
            return Err(Failure::new(FailureCause::Malformed, message));
        }
        let mut wire = reqwest::Request::new(method, parsed);
        *wire.headers_mut() = headers;
        // Said by us, as the engine leaves it out for an empty body, and OSS then answers 411.
        if let Some(length) = outgoing.length() {
            wire.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        *wire.body_mut() = Some(reqwest::Body::wrap(Pieces::new(Arc::clone(&outgoing))));
        if self.driven == Driven::ByCalls {
            settle().await;
        }
        outgoing.touch();
        let mut response = self.client.execute(wire).await.map_err(classify)?;
        outgoing.touch();
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut whole = Chunks::default();
        while let Some(chunk) = response.chunk().await.map_err(|e| failure(FailureCause::Broken, e))? {
            outgoing.touch();
            whole.push(chunk)?;
        }
        Ok(Response { status, headers, body: whole.finish() })
    }
}

/// Lets the runtime look at its sockets once, so that a kept connection that the server has closed
/// since the last call is dropped before the request goes out on it. The first turn polls the
/// sockets, the second lets the connections see what was found. A runtime that is always driven has seen
/// it already.
async fn settle() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

/// reqwest's client: HTTP/1.1, no redirects, nothing sent twice.
pub(super) fn client(config: &HttpConfig) -> Result<reqwest::Client, Failure> {
    let proxied = !matches!(config.proxy, ProxyChoice::None);
    let tls = if config.https || proxied { config.tls.config() } else { config.tls.unused() };
    let tls = tls.map_err(|message| Failure::new(FailureCause::Malformed, message))?;
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .user_agent(&config.user_agent);
    config.proxy.apply(builder).build().map_err(|e| failure(FailureCause::Malformed, e))
}

pub(super) fn classify(error: reqwest::Error) -> Failure {
    let cause = match (error.is_connect(), error.is_timeout()) {
        (true, true) => FailureCause::ConnectTimeout,
        (true, false) if distrusts(&error) => FailureCause::Untrusted,
        (true, false) => FailureCause::Connect,
        _ if error.is_builder() => FailureCause::Malformed,
        _ => FailureCause::Broken,
    };
    failure(cause, error)
}

/// Whether the server's certificate was refused, by the one in the chain of causes that knows.
fn distrusts(error: &reqwest::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        let tls = match source.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
            None => source.downcast_ref::<rustls::Error>(),
        };
        if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        next = source.source();
    }
    false
}

/// The error without its URL, which may hold a signature.
pub(super) fn failure(cause: FailureCause, error: reqwest::Error) -> Failure {
    Failure::of(cause, &error.without_url())
}

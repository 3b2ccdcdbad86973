//! The HTTP client: reqwest's asynchronous engine, HTTP/1.1, no redirects, its connections kept alive.
//! Why this engine and not its blocking face: docs/decisions/0005-transport.md.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::body::Pieces;
use super::tls::TlsSettings;
use super::{Answer, Failure, FailureCause, Request, Response, Transport};
use crate::engine::Driven;

/// OSS answers with at most the application server's 1 MB (or 3 MB: its documents disagree); more
/// than this is no OSS.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Load balancers in front of OSS drop idle connections after a minute or so; ours go first.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(50);

/// What every connection of a client has in common.
#[derive(Debug)]
pub(crate) struct HttpConfig {
    pub https: bool,
    pub connect_timeout: Duration,
    pub user_agent: String,
    pub proxy: ProxyChoice,
    pub tls: TlsSettings,
}

#[derive(Clone)]
pub(crate) enum ProxyChoice {
    FromEnvironment,
    None,
    Explicit(Box<reqwest::Proxy>),
}

impl std::fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.write_str(match self {
            ProxyChoice::FromEnvironment => "FromEnvironment",
            ProxyChoice::None => "None",
            ProxyChoice::Explicit(_) => "Explicit(***)",
        })
    }
}

impl ProxyChoice {
    /// A proxy by its URL; the error does not repeat it, as it may hold a password.
    pub fn parse(url: &str) -> crate::Result<ProxyChoice> {
        let refuse = |message: &str| crate::Error::invalid_argument("proxy", message.to_owned());
        let scheme = url.split("://").next().filter(|_| url.contains("://"));
        if !matches!(scheme, Some("http" | "https")) {
            return Err(refuse("must be a URL such as `http://proxy.example:3128`, or `none`"));
        }
        let proxy = reqwest::Proxy::all(url).map_err(|_| refuse("is not a valid URL"))?;
        Ok(ProxyChoice::Explicit(Box::new(proxy)))
    }

    pub(super) fn apply(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match self {
            ProxyChoice::FromEnvironment => builder,
            ProxyChoice::None => builder.no_proxy(),
            ProxyChoice::Explicit(proxy) => builder.proxy(reqwest::Proxy::clone(proxy)),
        }
    }
}

/// One pool of connections. It belongs to the runtime in which it is first used.
pub(crate) struct HttpTransport {
    client: reqwest::Client,
    driven: Driven,
}

impl HttpTransport {
    pub fn new(config: &HttpConfig, driven: Driven) -> Result<HttpTransport, Failure> {
        let proxied = !matches!(config.proxy, ProxyChoice::None);
        let tls = if config.https || proxied { config.tls.config() } else { config.tls.unused() };
        let tls = tls.map_err(|message| Failure { cause: FailureCause::Malformed, message })?;
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
        let client = config.proxy.apply(builder).build().map_err(|e| failure(FailureCause::Malformed, e))?;
        Ok(HttpTransport { client, driven })
    }

    /// The HTTP client itself, for exchanges that need less than [`Transport`] gives.
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    async fn exchange(&self, request: Request) -> Result<Response, Failure> {
        let Request { method, url, headers, body: outgoing, idle_timeout } = request;
        let parsed = reqwest::Url::parse(&url).map_err(|e| Failure {
            cause: FailureCause::Malformed,
            message: format!("the request's address cannot be formed: {e}"),
        })?;
        // The URL type rewrites what it takes for `.` and `..`; a key must not be changed silently.
        if parsed.as_str() != url {
            let message = "the HTTP client would change the request's path".to_owned();
            return Err(Failure { cause: FailureCause::Malformed, message });
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

        let idle = Idle { outgoing: &outgoing, limit: idle_timeout };
        let answer = async { self.client.execute(wire).await.map_err(classify) };
        let mut response = idle.guard(answer).await?;
        outgoing.touch();
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut whole = Chunks::default();
        loop {
            let chunk = async { response.chunk().await.map_err(|e| failure(FailureCause::Broken, e)) };
            let Some(chunk) = idle.guard(chunk).await? else { break };
            outgoing.touch();
            whole.push(chunk)?;
        }
        Ok(Response { status, headers, body: whole.finish() })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request) -> Answer<'_> {
        Box::pin(self.exchange(request))
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

/// Ends a wait in which no byte moves in either direction.
struct Idle<'a> {
    outgoing: &'a super::Outgoing,
    limit: Duration,
}

impl Idle<'_> {
    async fn guard<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::pin!(work);
        loop {
            let due = Instant::from_std(self.outgoing.last_moved()) + self.limit;
            match tokio::time::timeout_at(due, &mut work).await {
                Ok(outcome) => return outcome,
                Err(_) if Instant::from_std(self.outgoing.last_moved()) + self.limit > Instant::now() => {}
                Err(_) => {
                    let message = format!("no byte was sent or received for {:?}", self.limit);
                    return Err(Failure { cause: FailureCause::Idle, message });
                }
            }
        }
    }
}

/// The answer's body as it comes: most arrive in one piece, which is passed on without a copy.
#[derive(Default)]
struct Chunks {
    first: Bytes,
    rest: BytesMut,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) -> Result<(), Failure> {
        if self.first.len() + self.rest.len() + chunk.len() > ANSWER_BYTES_MAX {
            let message = format!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
            return Err(Failure { cause: FailureCause::TooLong, message });
        }
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = chunk;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.rest.extend_from_slice(&chunk);
        }
        Ok(())
    }

    fn finish(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
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

/// The error's whole chain of causes as text, without the URL, which may hold a signature.
pub(super) fn failure(cause: FailureCause, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut parts = Vec::new();
    let mut next = std::error::Error::source(&error);
    while let Some(source) = next {
        parts.push(source.to_string());
        next = source.source();
    }
    // reqwest's and hyper-util's own sentences only name the step; the last cause says what happened.
    let message = match parts.len() {
        0 => error.to_string(),
        1 => parts.remove(0),
        _ => parts.split_off(parts.len() - 2).join(": "),
    };
    Failure { cause, message }
}

//! HTTP/1.1 for uploads: no redirects, connections kept alive. Where a proxy stands in between, reqwest
//! knows how to talk to it; everywhere else the same engine, hyper, is driven directly.
//! Why: docs/decisions/0009-direct-connections.md.

use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use ::http::uri::PathAndQuery;
use ::http::{HeaderValue, Uri};
use bytes::{Bytes, BytesMut};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::time::Instant;

use super::body::Pieces;
use super::connect::Connector;
use super::direct::Direct;
use super::proxied::Proxied;
use super::tls::TlsSettings;
use super::{Answer, Awaited, Failure, FailureCause, Outgoing, Request, Response, Transport};
use crate::engine::Driven;

/// OSS answers with at most the application server's 1 MB (or 3 MB: its documents disagree); more
/// than this is no OSS.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

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

    /// Tells reqwest.
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
    config: Arc<HttpConfig>,
    driven: Driven,
    user_agent: HeaderValue,
    direct: Direct,
    /// Which hosts the environment sends through a proxy.
    environment: Option<Matcher>,
    proxied: OnceLock<Result<Proxied, String>>,
}

impl HttpTransport {
    pub fn new(config: &Arc<HttpConfig>, driven: Driven) -> Result<HttpTransport, Failure> {
        let malformed = |message| Failure::new(FailureCause::Malformed, message);
        let tls = config.https.then(|| config.tls.config()).transpose().map_err(malformed)?;
        let from_environment = matches!(config.proxy, ProxyChoice::FromEnvironment) && names_proxies();
        Ok(HttpTransport {
            config: Arc::clone(config),
            driven,
            user_agent: HeaderValue::from_str(&config.user_agent).map_err(|e| malformed(e.to_string()))?,
            direct: Direct::new(Connector::new(tls, config.connect_timeout)),
            environment: from_environment.then(Matcher::from_env),
            proxied: OnceLock::new(),
        })
    }

    fn is_proxied(&self, request: &Request) -> Result<bool, Failure> {
        let matcher = match (&self.config.proxy, &self.environment) {
            (ProxyChoice::Explicit(_), _) => return Ok(true),
            (_, None) => return Ok(false),
            (_, Some(matcher)) => matcher,
        };
        let proxy = request.url().parse().ok().and_then(|url: Uri| matcher.intercept(&url));
        match proxy.as_ref().map(|proxy| proxy.uri().scheme_str().unwrap_or_default()) {
            None => Ok(false),
            Some("http" | "https") => Ok(true),
            Some(other) => Err(Failure::new(
                FailureCause::Malformed,
                format!(
                    "the environment (HTTPS_PROXY, ALL_PROXY …) names a `{other}` proxy, and only `http` and `https` \
                     ones can be used; set the option proxy to one of these, or to `none`"
                ),
            )),
        }
    }

    fn proxied(&self) -> Result<&Proxied, Failure> {
        let made = self
            .proxied
            .get_or_init(|| Proxied::new(&self.config, self.driven).map_err(|failure| failure.message));
        made.as_ref().map_err(|message| Failure::new(FailureCause::Malformed, message.clone()))
    }

    async fn exchange(&self, request: Request) -> Result<Response, Failure> {
        let outgoing = Arc::clone(&request.body);
        let idle = Idle { outgoing: &outgoing, limit: request.idle_timeout };
        outgoing.touch();
        if self.is_proxied(&request)? {
            let proxied = self.proxied()?;
            return idle.guard(Box::pin(proxied.send(request)).as_mut()).await;
        }
        let Request { method, authority, path, mut headers, body, .. } = request;
        let malformed = |message: String| Failure::new(FailureCause::Malformed, message);
        let target = PathAndQuery::from_maybe_shared(Bytes::from(path));
        let target = target.map_err(|e| malformed(format!("the request's address cannot be formed: {e}")))?;
        let host = HeaderValue::from_str(&authority).map_err(|e| malformed(e.to_string()))?;
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, self.user_agent.clone());
        // Said by us, as the engine leaves it out for an empty body, and OSS then answers 411.
        if let Some(length) = body.length() {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        let mut wire = ::http::Request::new(Pieces::new(body));
        *wire.method_mut() = method;
        *wire.uri_mut() = Uri::from(target);
        *wire.headers_mut() = headers;
        idle.guard(pin!(self.direct.send(&authority, wire, &outgoing, idle.limit))).await
    }
}

/// Whether the environment names any proxy, so that where it does not nobody is asked for each request.
fn names_proxies() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
        .iter()
        .any(|name| is_set(name) || is_set(&name.to_ascii_lowercase()))
}

impl Transport for HttpTransport {
    fn send(&self, request: Request) -> Answer<'_> {
        Box::pin(self.exchange(request))
    }

    #[cfg(target_os = "linux")]
    fn is_connected(&self) -> bool {
        self.direct.is_connected()
    }

    fn awaits(&self) -> Option<Awaited> {
        // Elsewhere there is no descriptor that a caller could wait for.
        if cfg!(unix) { self.direct.awaits() } else { None }
    }
}

/// Ends a wait in which no byte moves in either direction.
struct Idle<'a> {
    outgoing: &'a Outgoing,
    limit: Duration,
}

impl Idle<'_> {
    /// `work` is pinned where it is made, as it is large.
    async fn guard<T>(
        &self,
        mut work: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        loop {
            let due = Instant::from_std(self.outgoing.last_moved()) + self.limit;
            match tokio::time::timeout_at(due, work.as_mut()).await {
                Ok(outcome) => return outcome,
                Err(_) if Instant::from_std(self.outgoing.last_moved()) + self.limit > Instant::now() => {}
                Err(_) => {
                    let message = format!("no byte was sent or received for {:?}", self.limit);
                    return Err(Failure::new(FailureCause::Idle, message));
                }
            }
        }
    }
}

/// The answer's body as it comes: most arrive in one piece, which is passed on without a copy.
#[derive(Default)]
pub(super) struct Chunks {
    first: Bytes,
    rest: BytesMut,
}

impl Chunks {
    pub fn push(&mut self, chunk: Bytes) -> Result<(), Failure> {
        if self.first.len() + self.rest.len() + chunk.len() > ANSWER_BYTES_MAX {
            let message = format!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
            return Err(Failure::new(FailureCause::TooLong, message));
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

    pub fn finish(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

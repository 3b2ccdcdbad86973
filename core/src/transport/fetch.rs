//! Small blocking exchanges beside the uploads, for credentials and callback keys: one request, one
//! short answer, no connection kept.

use std::time::Duration;

use http::Method;
use tokio::runtime::{Builder, Handle};
use zeroize::Zeroizing;

use super::proxied::{classify, client, failure};
use super::{Failure, FailureCause, HttpConfig, ProxyChoice, TlsSettings};

/// What all these exchanges of a client have in common.
#[derive(Clone, Debug)]
pub(crate) struct FetchSettings {
    pub proxy: ProxyChoice,
    /// Further root certificates as PEM text.
    pub ca_certificates: Option<String>,
    pub user_agent: String,
}

impl Default for FetchSettings {
    fn default() -> FetchSettings {
        FetchSettings {
            proxy: ProxyChoice::FromEnvironment,
            ca_certificates: None,
            user_agent: concat!("oss-callback/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What to ask.
pub(crate) struct Fetch<'a> {
    pub method: Method,
    pub url: &'a str,
    pub headers: &'a [(&'static str, &'a str)],
    /// Sent as `application/x-www-form-urlencoded`.
    pub form: Option<String>,
    pub connect_timeout: Duration,
    /// The whole exchange.
    pub timeout: Duration,
    /// Longest answer.
    pub bytes_max: usize,
}

/// What was answered. The body is wiped when dropped: it may hold credentials.
pub(crate) struct Fetched {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
}

/// Makes one exchange on the calling thread; where that thread runs asynchronous code, on a thread of
/// its own, as runtimes do not nest.
pub(crate) fn fetch(settings: &FetchSettings, request: Fetch<'_>) -> Result<Fetched, Failure> {
    if Handle::try_current().is_err() {
        return fetch_here(settings, request);
    }
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| fetch_here(settings, request));
        worker.join().unwrap_or_else(|_| Err(malformed("the exchange panicked".to_owned())))
    })
}

fn fetch_here(settings: &FetchSettings, request: Fetch<'_>) -> Result<Fetched, Failure> {
    let url = reqwest::Url::parse(request.url).map_err(|e| malformed(format!("is not a URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(malformed("must start with http:// or https://".to_owned()));
    }
    let proxy = if is_local(&url) { ProxyChoice::None } else { settings.proxy.clone() };
    let tls = TlsSettings::new(settings.ca_certificates.as_deref()).map_err(|e| malformed(e.to_string()))?;
    let config = HttpConfig {
        https: url.scheme() == "https",
        connect_timeout: request.connect_timeout,
        user_agent: settings.user_agent.clone(),
        proxy,
        tls,
    };
    let client = client(&config)?;
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|e| malformed(format!("no I/O runtime could be started: {e}")))?;
    let limit = request.timeout;
    let outcome = runtime.block_on(async {
        let work = exchange(&client, url, request);
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let message = format!("no whole answer within {limit:?}");
            Err(Failure::new(FailureCause::Idle, message))
        })
    });
    // Does not wait for a name look-up that is still under way.
    runtime.shutdown_background();
    outcome
}

async fn exchange(
    client: &reqwest::Client,
    url: reqwest::Url,
    request: Fetch<'_>,
) -> Result<Fetched, Failure> {
    let Fetch { method, headers, form, bytes_max, .. } = request;
    let mut wire = client.request(method, url);
    for (name, value) in headers {
        wire = wire.header(*name, *value);
    }
    if let Some(form) = form {
        wire = wire.header("content-type", "application/x-www-form-urlencoded").body(form);
    }
    let mut response = wire.send().await.map_err(classify)?;
    let status = response.status().as_u16();
    // Whole from the start: growing would leave copies behind that nobody wipes.
    let mut body = Zeroizing::new(Vec::with_capacity(16 * 1024));
    while let Some(chunk) = response.chunk().await.map_err(|e| failure(FailureCause::Broken, e))? {
        if body.len() + chunk.len() > bytes_max {
            let message = format!("the answer is longer than {bytes_max} bytes");
            return Err(Failure::new(FailureCause::TooLong, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status, body })
}

/// This machine, or the metadata service that every instance has at its elbow: no proxy reaches them.
fn is_local(url: &reqwest::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => {
            address.is_loopback() || address.is_link_local() || address.octets() == [100, 100, 100, 200]
        }
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unicast_link_local(),
        None => false,
    }
}

fn malformed(message: String) -> Failure {
    Failure::new(FailureCause::Malformed, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::testing::Stub;

    const BYTES_MAX: usize = 64 * 1024;

    /// Nothing here takes so long, on any machine.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn get(url: &str, limit: Duration) -> Result<Fetched, Failure> {
        let request = Fetch {
            method: Method::GET,
            url,
            headers: &[],
            form: None,
            connect_timeout: limit,
            timeout: limit,
            bytes_max: BYTES_MAX,
        };
        fetch(&FetchSettings::default(), request)
    }

    #[test]
    fn redirects_are_answers_and_not_followed() {
        let stub = Stub::start(|_| (302, String::new()));
        assert_eq!(get(&stub.url(), PATIENCE).unwrap().status, 302);
        assert_eq!(stub.requests().len(), 1);
    }

    #[test]
    fn endless_and_missing_answers_are_cut_off() {
        let stub = Stub::start(|_| (200, "x".repeat(BYTES_MAX + 1)));
        assert_eq!(get(&stub.url(), PATIENCE).err().unwrap().cause, FailureCause::TooLong);
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let started = std::time::Instant::now();
        assert_eq!(get(&url, Duration::from_millis(300)).err().unwrap().cause, FailureCause::Idle);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        drop(silent);
        assert_eq!(get(&url, PATIENCE).err().unwrap().cause, FailureCause::Connect);
    }

    #[test]
    fn metadata_and_loopback_addresses_are_local_and_others_are_not() {
        for url in
            ["http://100.100.100.200/latest", "http://localhost:8/", "http://127.0.0.1/", "http://[::1]/"]
        {
            assert!(is_local(&reqwest::Url::parse(url).unwrap()), "{url}");
        }
        for url in ["https://sts.aliyuncs.com/", "http://100.100.100.201/", "http://localhost.example/"] {
            assert!(!is_local(&reqwest::Url::parse(url).unwrap()), "{url}");
        }
    }
}

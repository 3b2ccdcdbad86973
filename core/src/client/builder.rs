//! From options to a client: which endpoint, which region, whose credentials.

use std::sync::Arc;
use std::time::Duration;

use super::{Client, Inner};
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::engine::Engines;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Addressing, ClientBuilder, Network, SignatureVersion};
use crate::sign::Signer;
use crate::transport::{HttpConfig, HttpTransport, ProxyChoice, TlsSettings, Transport};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// OSS gives each of up to five callback URLs 5 seconds (OSS, Callback), and then there is the upload.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The whole call, before what its size adds.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// The slowest line for which the default call timeout leaves room, in bytes per second.
const SLOWEST_LINE: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub read: Duration,
    call: Option<Duration>,
}

impl Timeouts {
    /// How long a call with that much data may take.
    pub fn call(&self, own: Option<Duration>, data_bytes: u64) -> Duration {
        own.or(self.call).unwrap_or(CALL_TIMEOUT + Duration::from_secs(data_bytes / SLOWEST_LINE))
    }
}

impl ClientBuilder {
    /// Credentials, in place of `access_key_id`, `access_key_secret` and `security_token`.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.access_key_id = Some(credentials.access_key_id().to_owned());
        self.access_key_secret = Some(credentials.access_key_secret().clone());
        self.security_token = credentials.security_token().cloned();
        self
    }

    /// Checks the options and makes the client. Nothing is sent.
    ///
    /// # Errors
    /// `invalid_argument` for an option that is malformed, out of range or missing (V4 without a
    /// region); `credentials` if there are none.
    pub fn build(self) -> Result<Client> {
        let signature_version = self.signature_version.unwrap_or(SignatureVersion::V4);
        let (endpoint, region) = self.locate(signature_version)?;
        let timeouts = self.timeouts()?;
        let connect_timeout = positive("connect_timeout", self.connect_timeout)?.unwrap_or(CONNECT_TIMEOUT);
        let http = HttpConfig {
            https: endpoint.is_https(),
            connect_timeout,
            user_agent: user_agent(self.user_agent.as_deref())?,
            proxy: proxy(self.proxy.as_deref(), &endpoint)?,
            tls: TlsSettings::new(self.ca_certificates.as_deref())?,
        };
        let addressing = self.addressing.unwrap_or(Addressing::Auto);
        let credentials = self.find_credentials()?;
        let signer = match (signature_version, &region) {
            (SignatureVersion::V4, Some(region)) => Signer::v4(credentials, region.as_str())?,
            _ => Signer::v1(credentials),
        };
        let make = move || -> Result<Arc<dyn Transport>> {
            let transport = HttpTransport::new(&http).map_err(|failure| {
                Error::new(ErrorKind::Network, format!("no HTTP client: {}", failure.message))
            })?;
            Ok(Arc::new(transport))
        };
        Ok(Client {
            inner: Arc::new(Inner {
                endpoint,
                addressing,
                signature_version,
                region,
                signer,
                timeouts,
                engines: Engines::new(Box::new(make)),
            }),
        })
    }

    fn locate(&self, version: SignatureVersion) -> Result<(Endpoint, Option<String>)> {
        let region = self.region.clone().or_else(|| environment("OSS_REGION"));
        let named = match &self.endpoint {
            Some(endpoint) => Some(Endpoint::parse(endpoint)?),
            // An explicit region or network is a wish that the environment must not override.
            None if self.region.is_some() || self.network.is_some() => None,
            None => environment("OSS_ENDPOINT").map(|text| Endpoint::parse(&text)).transpose()?,
        };
        let endpoint = match (named, &region) {
            (Some(_), _) if self.network.is_some() => {
                return Err(Error::invalid_argument(
                    "network",
                    "cannot go together with `endpoint`, which already says where requests go",
                ));
            }
            (Some(endpoint), _) => endpoint,
            (None, Some(region)) => Endpoint::of_region(region, self.network.unwrap_or(Network::Public))?,
            (None, None) => {
                return Err(Error::invalid_argument("region", "is missing, and so is `endpoint`").with_hint(
                    "Set region (such as cn-hangzhou) or endpoint, or OSS_REGION or OSS_ENDPOINT",
                ));
            }
        };
        if let (Some(region), Some(told), SignatureVersion::V4) = (&region, endpoint.region(), version)
            && region != told
        {
            return Err(Error::invalid_argument(
                "region",
                format!("is `{region}`, but the endpoint belongs to `{told}`"),
            ));
        }
        let region = region.or_else(|| endpoint.region().map(str::to_owned));
        if version == SignatureVersion::V4 && region.is_none() {
            return Err(Error::invalid_argument("region", "is missing: signature V4 needs it")
                .with_hint("The endpoint's name does not tell the region; set region, such as cn-hangzhou"));
        }
        Ok((endpoint, region))
    }

    fn timeouts(&self) -> Result<Timeouts> {
        Ok(Timeouts {
            read: positive("read_timeout", self.read_timeout)?.unwrap_or(READ_TIMEOUT),
            call: positive("timeout", self.timeout)?,
        })
    }

    fn find_credentials(self) -> Result<Credentials> {
        let missing = |name: &str| {
            Error::new(ErrorKind::Credentials, format!("{name} is missing"))
                .with_hint("access_key_id and access_key_secret go together")
        };
        let credentials = match (self.access_key_id, self.access_key_secret) {
            (Some(id), Some(secret)) => Credentials::new(id, secret)?,
            (Some(_), None) => return Err(missing("access_key_secret")),
            (None, Some(_)) => return Err(missing("access_key_id")),
            (None, None) if self.security_token.is_some() => return Err(missing("access_key_id")),
            (None, None) => return Credentials::from_env(),
        };
        match self.security_token {
            Some(token) => credentials.with_security_token(token),
            None => Ok(credentials),
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub(super) fn positive(name: &'static str, value: Option<Duration>) -> Result<Option<Duration>> {
    match value {
        Some(Duration::ZERO) => Err(Error::invalid_argument(name, "must be longer than 0")),
        // Beyond this, instants overflow; and a year is no timeout.
        Some(value) if value > Duration::from_secs(365 * 86_400) => {
            Err(Error::invalid_argument(name, "must be at most a year"))
        }
        value => Ok(value),
    }
}

fn user_agent(suffix: Option<&str>) -> Result<String> {
    let own = concat!("oss-callback/", env!("CARGO_PKG_VERSION"));
    match suffix {
        None => Ok(own.to_owned()),
        Some(suffix) if suffix.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            Ok(format!("{own} {}", suffix.trim()))
        }
        Some(_) => Err(Error::invalid_argument("user_agent", "must be visible ASCII")),
    }
}

fn proxy(text: Option<&str>, endpoint: &Endpoint) -> Result<ProxyChoice> {
    match text {
        Some("none") => Ok(ProxyChoice::None),
        Some(url) => ProxyChoice::parse(url),
        // A proxy elsewhere cannot reach this machine's loopback.
        None if endpoint.is_loopback() => Ok(ProxyChoice::None),
        None => Ok(ProxyChoice::FromEnvironment),
    }
}

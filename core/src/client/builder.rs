//! From options to a client: which endpoint, which region, whose credentials.

use std::sync::Arc;
use std::time::Duration;

use super::{Client, Inner};
use crate::clock::Clock;
use crate::credentials::{
    Chain, Credentials, CredentialsProvider, Environment, Secret, Settings, Settled, SharedProvider, Signers,
};
use crate::endpoint::Endpoint;
use crate::engine::{Driven, Engines};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Addressing, ClientBuilder, CredentialsSource, Network, SignatureVersion, positive};
use crate::sign::Signer;
use crate::transport::{FetchSettings, HttpConfig, HttpTransport, ProxyChoice, TlsSettings, Transport};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const CONFIRM_TIMEOUT: Duration = Duration::from_secs(4);

/// OSS gives each of up to five callback URLs 5 seconds (OSS, Callback), and then there is the upload.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The whole call, before what its size adds.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// The slowest line for which the default call timeout leaves room, in bytes per second.
const SLOWEST_LINE: u64 = 64 * 1024;

/// With pauses of up to 0.1 s, then twice as much each time: three seconds in all at the most.
const RETRIES: u64 = 5;
const RETRIES_MAX: u64 = 100;

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub read: Duration,
    call: Option<Duration>,
}

impl Timeouts {
    /// How long a question about a callback may take that OSS is waiting for: OSS waits 5 seconds for the
    /// application server (OSS, Callback).
    pub fn confirm(&self) -> Duration {
        self.call.unwrap_or(CONFIRM_TIMEOUT)
    }

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

    /// Where credentials come from, in place of the options for them: a closure, an
    /// [`AssumeRole`](crate::AssumeRole), or a type of your own.
    pub fn credentials_provider(mut self, provider: impl CredentialsProvider + 'static) -> Self {
        self.provider = Some(SharedProvider::new(provider));
        self
    }

    /// Checks the options and makes the client. Nothing is sent.
    ///
    /// # Errors
    /// `invalid_argument` for an option that is malformed, out of range or missing (V4 without a
    /// region), or that contradicts another; `credentials` if it is certain that there are none.
    /// Sources that must be asked, such as an instance's RAM role, are asked by the first upload.
    pub fn build(self) -> Result<Client> {
        self.build_in(Environment::read())
    }

    fn build_in(self, environment: Environment) -> Result<Client> {
        let signature_version = self.signature_version.unwrap_or(SignatureVersion::V4);
        let (endpoint, region) = self.locate(signature_version)?;
        let timeouts = self.timeouts()?;
        let retries = match self.retries.unwrap_or(RETRIES) {
            retries @ 0..=RETRIES_MAX => retries as u32,
            retries => {
                let message = format!("is {retries}, but must be at most {RETRIES_MAX}");
                return Err(Error::invalid_argument("retries", message));
            }
        };
        let connect_timeout = positive("connect_timeout", self.connect_timeout)?.unwrap_or(CONNECT_TIMEOUT);
        let http = Arc::new(HttpConfig {
            https: endpoint.is_https(),
            connect_timeout,
            user_agent: user_agent(self.user_agent.as_deref())?,
            proxy: proxy(self.proxy.as_ref().map(Secret::expose), &endpoint)?,
            tls: TlsSettings::new(self.ca_certificates.as_deref())?,
        });
        let addressing = self.addressing.unwrap_or(Addressing::Auto);
        let signing_region = region.clone().filter(|_| signature_version == SignatureVersion::V4);
        let signers = self.signers(environment, &http, move |credentials| match &signing_region {
            Some(region) => Signer::v4(credentials, region.as_str()),
            None => Ok(Signer::v1(credentials)),
        })?;
        let make = move |driven: Driven| -> Result<Arc<dyn Transport>> {
            let transport = HttpTransport::new(&http, driven).map_err(|failure| {
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
                signers,
                timeouts,
                clock: Clock::default(),
                retries,
                engines: Engines::new(Box::new(make)),
            }),
        })
    }

    fn locate(&self, version: SignatureVersion) -> Result<(Endpoint, Option<String>)> {
        let region = self.region.clone().or_else(|| environment("OSS_REGION"));
        let named = match &self.endpoint {
            Some(endpoint) => Some(Endpoint::parse(endpoint)?),
            // A wish that the environment must not override. A region is none: tests on an emulator, whose address is in
            // the environment, must not reach the region's own endpoint.
            None if self.network.is_some() => None,
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
        if let (Some(region), Some(told)) = (&region, endpoint.region())
            && region != told
            // Version 1 signs for none; one that stands in the environment does no harm.
            && (version == SignatureVersion::V4 || self.region.is_some())
        {
            let message = format!("is `{region}`, but the endpoint belongs to `{told}`");
            let error = Error::invalid_argument("region", message);
            return Err(match self.endpoint {
                Some(_) => error,
                None => error
                    .with_hint("The endpoint is that of OSS_ENDPOINT; the option endpoint takes its place"),
            });
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

    fn signers(
        self,
        environment: Environment,
        http: &HttpConfig,
        make: impl Fn(Credentials) -> Result<Signer> + Send + Sync + 'static,
    ) -> Result<Signers> {
        let fixed = |credentials| Ok(Signers::Fixed(Arc::new(make(credentials)?)));
        let source = self.chosen_source()?;
        let explicit = self.explicit_credentials()?;
        match (explicit, self.provider) {
            (Some(_), Some(_)) => Err(Error::invalid_argument(
                "credentials_provider",
                "cannot go together with `access_key_id`: either would have to be ignored",
            )),
            (Some(credentials), None) => fixed(credentials),
            (None, Some(provider)) => Ok(Signers::of_provider(provider, make)),
            (None, None) => {
                let settings = Settings {
                    environment,
                    profile: self.profile,
                    ecs_role_name: self.ecs_role_name,
                    credentials_uri: self.credentials_uri,
                    metadata_endpoint: self.metadata_endpoint,
                    sts_endpoint: self.sts_endpoint,
                    http: FetchSettings {
                        // Not what the endpoint made of it: a local OSS does not make STS local.
                        proxy: self
                            .proxy
                            .as_ref()
                            .map(Secret::expose)
                            .map_or(Ok(ProxyChoice::FromEnvironment), named_proxy)?,
                        ca_certificates: self.ca_certificates,
                        user_agent: http.user_agent.clone(),
                    },
                };
                let chain = Chain::new(settings, source);
                match chain.settle()? {
                    Settled::Fixed(credentials) => fixed(credentials),
                    Settled::Ask => Ok(Signers::of_provider(SharedProvider::new(chain), make)),
                }
            }
        }
    }

    /// The source that is named, or that an option belongs to.
    fn chosen_source(&self) -> Result<CredentialsSource> {
        let uri = self.credentials_uri.as_ref().map(Secret::expose);
        let implied = [
            ("profile", self.profile.as_deref(), CredentialsSource::Profile),
            ("ecs_role_name", self.ecs_role_name.as_deref(), CredentialsSource::EcsRole),
            ("credentials_uri", uri, CredentialsSource::Uri),
        ];
        check_address("credentials_uri", uri)?;
        check_address("metadata_endpoint", self.metadata_endpoint.as_deref())?;
        let sts = self.sts_endpoint.as_deref();
        let sts =
            sts.map(|text| if text.contains("://") { text.to_owned() } else { format!("https://{text}") });
        check_address("sts_endpoint", sts.as_deref())?;
        let mut chosen = self.credentials_source;
        for (name, value, source) in implied {
            match (value, chosen) {
                (None, _) => {}
                (Some(""), _) => return Err(Error::invalid_argument(name, "must not be empty")),
                (Some(_), Some(chosen)) if chosen != source => {
                    let message = format!(
                        "belongs to the source `{}`, but another option chooses `{}`",
                        source.as_str(),
                        chosen.as_str()
                    );
                    return Err(Error::invalid_argument(name, message));
                }
                (Some(_), _) => chosen = Some(source),
            }
        }
        Ok(chosen.unwrap_or(CredentialsSource::Default))
    }

    fn explicit_credentials(&self) -> Result<Option<Credentials>> {
        let missing = |name: &str| {
            Error::new(ErrorKind::Credentials, format!("{name} is missing"))
                .with_hint("access_key_id and access_key_secret go together")
        };
        let credentials = match (&self.access_key_id, &self.access_key_secret) {
            (Some(id), Some(secret)) => Credentials::new(id.as_str(), secret.clone())?,
            (Some(_), None) => return Err(missing("access_key_secret")),
            (None, Some(_)) => return Err(missing("access_key_id")),
            (None, None) if self.security_token.is_some() => return Err(missing("access_key_id")),
            (None, None) => return Ok(None),
        };
        match &self.security_token {
            Some(token) => credentials.with_security_token(token.clone()).map(Some),
            None => Ok(Some(credentials)),
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Does not repeat what it refuses: it may hold a token.
fn check_address(name: &'static str, address: Option<&str>) -> Result<()> {
    let refuse = |what: &str| Err(Error::invalid_argument(name, what));
    match address.map(url::Url::parse) {
        None => Ok(()),
        Some(Ok(url)) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        Some(_) => refuse("must be an address such as http://127.0.0.1:8080"),
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
        Some(text) => named_proxy(text),
        // A proxy elsewhere cannot reach this machine's loopback.
        None if endpoint.is_loopback() => Ok(ProxyChoice::None),
        None => Ok(ProxyChoice::FromEnvironment),
    }
}

fn named_proxy(text: &str) -> Result<ProxyChoice> {
    if text == "none" { Ok(ProxyChoice::None) } else { ProxyChoice::parse(text) }
}

#[cfg(test)]
#[path = "builder_tests.rs"]
mod tests;

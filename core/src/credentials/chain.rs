//! Which sources are asked, and in which order; and the one sentence that says why none gave any.
//!
//! A source that is not set up is passed over. One that is set up and fails ends the search: going on
//! would make requests in another's name, of which nobody would know before they are refused. For the
//! same reason a source that has given credentials once is set up, whatever it says later.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::ecs::EcsRole;
use super::{Credentials, CredentialsProvider, Environment, Secret};
use super::{credentials_file, ecs, environment, oidc, ossutil, profile, uri};
use crate::error::{Error, Result};
use crate::options::CredentialsSource;
use crate::transport::FetchSettings;

pub(super) const HINT: &str =
    "Set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET, or pass access_key_id and access_key_secret";

/// What the sources go by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub environment: Environment,
    pub profile: Option<String>,
    pub ecs_role_name: Option<String>,
    pub credentials_uri: Option<Secret>,
    pub metadata_endpoint: Option<String>,
    pub sts_endpoint: Option<String>,
    pub http: FetchSettings,
}

/// What a look at a source found, without asking anyone.
pub(super) enum Found {
    Ready(Credentials),
    Ask(Box<dyn CredentialsProvider>),
    /// To be asked, and it may turn out not to exist.
    AskEcs(EcsRole),
}

/// Why a source gives nothing.
pub(super) enum Miss {
    /// It is not set up.
    Absent(String),
    Failed(Error),
}

impl Found {
    pub fn ask(self) -> std::result::Result<Credentials, Miss> {
        match self {
            Found::Ready(credentials) => Ok(credentials),
            Found::Ask(provider) => provider.provide().map_err(Miss::Failed),
            Found::AskEcs(role) => role.ask(),
        }
    }
}

#[cfg(test)]
impl Miss {
    pub fn into_error(self) -> Error {
        match self {
            Miss::Absent(why) => Error::credentials(why),
            Miss::Failed(error) => error,
        }
    }
}

type Locate = fn(&Settings) -> std::result::Result<Found, Miss>;

struct Source {
    name: &'static str,
    locate: Locate,
}

const ENVIRONMENT: Source =
    Source { name: "environment variables", locate: |settings| environment::locate(&settings.environment) };
const OIDC: Source = Source { name: "OIDC", locate: oidc::locate };
const PROFILE: Source = Source { name: "~/.aliyun/config.json", locate: profile::locate };
const FILE: Source = Source { name: "~/.alibabacloud/credentials.ini", locate: credentials_file::locate };
const ECS: Source = Source { name: "ECS RAM role", locate: ecs::locate };
const URI: Source = Source { name: "credentials URI", locate: uri::locate };
const OSSUTIL: Source = Source { name: "~/.ossutilconfig", locate: ossutil::locate };

/// Some sources, in order.
pub(crate) struct Chain {
    settings: Settings,
    sources: &'static [Source],
    /// Index of the source that gave credentials last, or [`NONE_YET`].
    gave: AtomicUsize,
}

const NONE_YET: usize = usize::MAX;

/// What can be said of a chain without asking anyone.
#[derive(Debug)]
pub(crate) enum Settled {
    /// These are the credentials, and will stay so.
    Fixed(Credentials),
    /// The chain must be asked.
    Ask,
}

impl Chain {
    pub fn new(settings: Settings, source: CredentialsSource) -> Chain {
        let sources: &'static [Source] = match source {
            CredentialsSource::Default => &[ENVIRONMENT, OIDC, PROFILE, FILE, ECS, URI, OSSUTIL],
            CredentialsSource::Environment => &[ENVIRONMENT],
            CredentialsSource::Oidc => &[OIDC],
            CredentialsSource::Profile => &[PROFILE, FILE],
            CredentialsSource::EcsRole => &[ECS],
            CredentialsSource::Uri => &[URI],
            CredentialsSource::Ossutil => &[OSSUTIL],
        };
        Chain { settings, sources, gave: AtomicUsize::new(NONE_YET) }
    }

    /// Looks without asking anyone, so that what is known to fail does so when the client is made.
    pub fn settle(&self) -> Result<Settled> {
        let mut tried = Vec::new();
        for source in self.sources {
            match (source.locate)(&self.settings) {
                // What stands in a file with a token is replaced there from time to time.
                Ok(Found::Ready(found))
                    if source.name == ENVIRONMENT.name || found.security_token().is_none() =>
                {
                    tracing::debug!(source = source.name, "credentials found");
                    return Ok(Settled::Fixed(found));
                }
                Ok(_) => return Ok(Settled::Ask),
                Err(miss) => note(&mut tried, source, miss)?,
            }
        }
        Err(nothing(&tried))
    }
}

impl CredentialsProvider for Chain {
    fn provide(&self) -> Result<Credentials> {
        let mut tried = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            match (source.locate)(&self.settings).and_then(Found::ask) {
                Ok(credentials) => {
                    tracing::debug!(source = source.name, "credentials obtained");
                    self.gave.store(index, Ordering::Relaxed);
                    return Ok(credentials);
                }
                Err(Miss::Absent(why)) if self.gave.load(Ordering::Relaxed) == index => {
                    note(&mut tried, source, Miss::Failed(gone(&why)))?;
                }
                Err(miss) => note(&mut tried, source, miss)?,
            }
        }
        Err(nothing(&tried))
    }
}

/// Notes why a source was passed over, or ends the search.
fn note(tried: &mut Vec<String>, source: &Source, miss: Miss) -> Result<()> {
    let name = source.name;
    match miss {
        Miss::Absent(why) => {
            tried.push(format!("{name} ({why})"));
            Ok(())
        }
        Miss::Failed(error) => {
            let mut message = format!("{name}: {}", error.message());
            if !tried.is_empty() {
                message = format!("{message}; tried before: {}", tried.join(", "));
            }
            let hint = error.hint().map(str::to_owned);
            let error = Error::credentials(message);
            Err(match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            })
        }
    }
}

fn gone(why: &str) -> Error {
    Error::credentials(format!("gave credentials before, and now none: {why}"))
        .with_hint("Set it up again; to let another source take its place, make a new client")
}

fn nothing(tried: &[String]) -> Error {
    Error::credentials(format!("no credentials found; tried {}", tried.join(", "))).with_hint(HINT)
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;

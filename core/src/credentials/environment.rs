//! The process's environment as far as it concerns credentials, read once; and the credentials that
//! stand in it.

use std::collections::HashMap;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use super::chain::{Found, Miss};
use super::{Credentials, Secret};
use crate::error::{Error, Result};

/// Names of the OSS SDKs, and of the Alibaba Cloud credentials library.
const NAMES: &[&str] = &[
    "OSS_ACCESS_KEY_ID",
    "OSS_ACCESS_KEY_SECRET",
    "OSS_SESSION_TOKEN",
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "ALIBABA_CLOUD_ROLE_ARN",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    "ALIBABA_CLOUD_ROLE_SESSION_NAME",
    "ALIBABA_CLOUD_ECS_METADATA",
    "ALIBABA_CLOUD_ECS_METADATA_DISABLED",
    "ALIBABA_CLOUD_IMDSV1_DISABLED",
    "ALIBABA_CLOUD_CREDENTIALS_URI",
    "ALIBABA_CLOUD_CREDENTIALS_FILE",
    "ALIBABA_CLOUD_PROFILE",
    "ALIBABA_CLOUD_CLI_PROFILE_DISABLED",
    "ALIBABA_CLOUD_STS_REGION",
    "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED",
];

/// What the sources of credentials may see of the environment. A value of its own, so that tests
/// need not change the process's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    // Two of the names are secrets, so all are kept as such.
    variables: HashMap<&'static str, Secret>,
    home: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Environment {
        let read = |name: &&'static str| Some((*name, Secret::new(std::env::var(name).ok()?)));
        Environment {
            variables: NAMES.iter().filter_map(read).collect(),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
        }
    }

    /// A variable's value; none if it is not set or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(NAMES.contains(&name), "{name} is not read");
        self.variables.get(name).map(Secret::expose).filter(|value| !value.is_empty())
    }

    /// Whether a variable says `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// A file below the home directory.
    pub fn home_file(&self, path: &str) -> Option<PathBuf> {
        self.home.as_deref().map(|home| home.join(path))
    }

    #[cfg(test)]
    pub fn of(variables: &[(&'static str, &str)], home: Option<&Path>) -> Environment {
        let variables = variables.iter().map(|(name, value)| (*name, Secret::new(*value))).collect();
        Environment { variables, home: home.map(Path::to_owned) }
    }
}

/// The credentials in the variables themselves: those of `OSS_*`, or else of `ALIBABA_CLOUD_*`.
pub(super) fn locate(environment: &Environment) -> std::result::Result<Found, Miss> {
    for (id, secret, token) in [
        ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"),
    ] {
        match (environment.get(id), environment.get(secret)) {
            (None, None) => {}
            (Some(id), Some(secret)) => {
                return match take(id, secret, environment.get(token)) {
                    Ok(credentials) => Ok(Found::Ready(credentials)),
                    Err(error) => Err(Miss::Failed(error)),
                };
            }
            // Half a pair is a mistake, and going on to another source would hide it.
            (given, _) => {
                let (given, missing) = if given.is_some() { (id, secret) } else { (secret, id) };
                let message = format!("{given} is set, but {missing} is not");
                return Err(Miss::Failed(Error::credentials(message).with_hint(super::chain::HINT)));
            }
        }
    }
    Err(Miss::Absent("neither OSS_ACCESS_KEY_ID nor ALIBABA_CLOUD_ACCESS_KEY_ID is set".to_owned()))
}

fn take(id: &str, secret: &str, token: Option<&str>) -> Result<Credentials> {
    let credentials = Credentials::new(id, secret)?;
    match token {
        Some(token) => credentials.with_security_token(token),
        None => Ok(credentials),
    }
}

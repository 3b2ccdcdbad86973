//! `~/.aliyun/config.json`, the profiles of the Alibaba Cloud CLI.

use std::io::ErrorKind as IoErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer;
use super::chain::{Found, Miss, Settings};
use super::ecs::EcsRole;
use super::oidc::Oidc;
use super::process::Process;
use super::sts::{self, Role, Sts};
use super::uri::CredentialsUri;
use super::{AssumeRole, Credentials, CredentialsProvider, Environment, Secret};
use crate::error::{Error, Result};

/// Profiles that refer to one another end somewhere, or in a circle.
const CHAIN_MAX: usize = 8;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    current: String,
    profiles: Vec<Profile>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Profile {
    name: String,
    mode: String,
    access_key_id: String,
    #[serde(deserialize_with = "answer::secret")]
    access_key_secret: Option<Secret>,
    #[serde(deserialize_with = "answer::secret")]
    sts_token: Option<Secret>,
    /// Seconds since 1970; 0 for not known.
    sts_expiration: u64,
    sts_region: String,
    enable_vpc: bool,
    ram_role_name: String,
    ram_role_arn: String,
    ram_session_name: String,
    expired_seconds: u64,
    external_id: String,
    policy: String,
    source_profile: String,
    oidc_provider_arn: String,
    oidc_token_file: String,
    process_command: String,
    #[serde(deserialize_with = "answer::secret")]
    credentials_uri: Option<Secret>,
}

const PLACE: &str = ".aliyun/config.json";

/// Whether there is such a file.
pub(super) fn is_there(environment: &Environment) -> bool {
    environment.home_file(PLACE).is_some_and(|path| path.exists())
}

/// The profile that is named, or the one that the file calls current.
pub(super) fn locate(settings: &Settings) -> std::result::Result<Found, Miss> {
    let environment = &settings.environment;
    if settings.profile.is_none() && environment.is_true("ALIBABA_CLOUD_CLI_PROFILE_DISABLED") {
        return Err(Miss::Absent("ALIBABA_CLOUD_CLI_PROFILE_DISABLED is true".to_owned()));
    }
    let Some(path) = environment.home_file(PLACE) else {
        return Err(Miss::Absent("there is no home directory".to_owned()));
    };
    let text = std::fs::read(&path).map(Zeroizing::new).map_err(|error| match error.kind() {
        IoErrorKind::NotFound => Miss::Absent("there is no such file".to_owned()),
        _ => Miss::Failed(Error::credentials(format!("cannot be read: {error}"))),
    })?;
    let config: Config = answer::parse(&text).map_err(Miss::Failed)?;
    let named = settings.profile.as_deref().or(environment.get("ALIBABA_CLOUD_PROFILE"));
    let name = named.unwrap_or(if config.current.is_empty() { "default" } else { &config.current });
    let Some(profile) = config.find(name) else {
        return Err(Miss::Absent(format!("it has no profile `{name}`")));
    };
    // `aliyun configure` leaves an empty profile behind when it is broken off.
    if profile.mode.is_empty() || (profile.mode == "AK" && profile.access_key_id.is_empty()) {
        return Err(Miss::Absent(format!("its profile `{name}` is empty")));
    }
    config.provider(profile, settings, 0)
}

impl Config {
    fn find(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    fn provider(
        &self,
        profile: &Profile,
        settings: &Settings,
        depth: usize,
    ) -> std::result::Result<Found, Miss> {
        let name = &profile.name;
        let found = match profile.mode.as_str() {
            "AK" => profile.pair().map(Found::Ready),
            "StsToken" => profile.temporary().map(Found::Ready),
            "RamRoleArn" => profile.pair().and_then(|pair| profile.assume(pair, settings)),
            "ChainableRamRoleArn" => {
                return self
                    .source(profile, settings, depth)
                    .and_then(|source| profile.assume_by(source, settings).map_err(Miss::Failed));
            }
            "EcsRamRole" => {
                let role = Some(profile.ram_role_name.as_str()).filter(|role| !role.is_empty());
                Ok(Found::AskEcs(EcsRole::new(settings, role)))
            }
            "OIDC" => profile.oidc(settings),
            "External" => Process::new(&profile.process_command).map(|process| Found::Ask(Box::new(process))),
            "CredentialsURI" => Ok(Found::Ask(Box::new(CredentialsUri {
                uri: profile.credentials_uri.clone().unwrap_or_default(),
                http: settings.http.clone(),
            }))),
            other => {
                let known = "AK, StsToken, RamRoleArn, ChainableRamRoleArn, EcsRamRole, OIDC, External, \
                             CredentialsURI";
                return Err(Miss::Failed(Error::credentials(format!(
                    "its profile `{name}` is of mode `{other}`, which is not supported ({known})"
                ))));
            }
        };
        found.map_err(|error| {
            Miss::Failed(Error::credentials(format!("profile `{name}`: {}", error.message())))
        })
    }

    /// What the profile builds upon.
    fn source(
        &self,
        profile: &Profile,
        settings: &Settings,
        depth: usize,
    ) -> std::result::Result<Box<dyn CredentialsProvider>, Miss> {
        let (name, source) = (&profile.name, &profile.source_profile);
        let fail = |what: String| Miss::Failed(Error::credentials(format!("profile `{name}`: {what}")));
        if depth == CHAIN_MAX {
            return Err(fail("the source profiles form a circle or too long a chain".to_owned()));
        }
        let found =
            self.find(source).ok_or_else(|| fail(format!("there is no source profile `{source}`")))?;
        match self.provider(found, settings, depth + 1)? {
            Found::Ready(credentials) => Ok(Box::new(credentials)),
            Found::Ask(provider) => Ok(provider),
            Found::AskEcs(role) => Ok(Box::new(role)),
        }
    }
}

impl Profile {
    fn pair(&self) -> Result<Credentials> {
        Credentials::new(self.access_key_id.as_str(), self.access_key_secret.clone().unwrap_or_default())
    }

    fn temporary(&self) -> Result<Credentials> {
        let token = self.sts_token.clone().unwrap_or_default();
        let credentials = self.pair()?.with_security_token(token)?;
        let expiry = Duration::from_secs(self.sts_expiration);
        Ok(match SystemTime::UNIX_EPOCH.checked_add(expiry).filter(|_| self.sts_expiration > 0) {
            Some(at) => credentials.with_expiry(at),
            None => credentials,
        })
    }

    fn role(&self) -> Role {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Role {
            arn: self.ram_role_arn.clone(),
            session_name: given(&self.ram_session_name),
            lifetime_seconds: Some(self.expired_seconds).filter(|seconds| *seconds > 0),
            policy: given(&self.policy),
            external_id: given(&self.external_id),
        }
    }

    fn sts(&self, settings: &Settings) -> Sts {
        if self.sts_region.is_empty() {
            return settings.sts();
        }
        let endpoint =
            sts::endpoint(settings.sts_endpoint.as_deref(), Some(&self.sts_region), self.enable_vpc);
        Sts { endpoint, http: settings.http.clone() }
    }

    fn assume(&self, source: Credentials, settings: &Settings) -> Result<Found> {
        self.assume_by(Box::new(source), settings)
    }

    fn assume_by(&self, source: Box<dyn CredentialsProvider>, settings: &Settings) -> Result<Found> {
        let source = move || source.provide();
        let mut assume = AssumeRole::new(source, self.ram_role_arn.as_str());
        assume.role = self.role();
        assume.sts = self.sts(settings);
        Ok(Found::Ask(Box::new(assume)))
    }

    fn oidc(&self, settings: &Settings) -> Result<Found> {
        for (name, value) in
            [("oidc_provider_arn", &self.oidc_provider_arn), ("oidc_token_file", &self.oidc_token_file)]
        {
            if value.is_empty() {
                return Err(Error::credentials(format!("{name} is missing")));
            }
        }
        Ok(Found::Ask(Box::new(Oidc {
            // AssumeRoleWithOIDC knows no external id.
            role: Role { external_id: None, ..self.role() },
            provider_arn: self.oidc_provider_arn.clone(),
            token_file: PathBuf::from(&self.oidc_token_file),
            sts: self.sts(settings),
        })))
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;

//! Who signs: an AccessKey pair, and an STS token when the pair is a temporary one; and where the pair
//! comes from, when the user does not pass it.
//!
//! Each source has a file of its own. [`chain`] decides which of them is asked, and in which order;
//! [`cache`] decides when.

mod answer;
mod assume_role;
mod cache;
mod chain;
mod credentials_file;
mod ecs;
mod environment;
mod ini;
mod oidc;
mod ossutil;
mod process;
mod profile;
mod provider;
mod sts;
#[cfg(test)]
pub(crate) mod testing;
mod uri;

use std::fmt;
use std::time::SystemTime;

use zeroize::Zeroize;

use crate::error::{Error, Result};

/// An answer with credentials takes 2 KiB; one with more than this is something else.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

pub use assume_role::AssumeRole;
pub use provider::CredentialsProvider;

pub(crate) use cache::Signers;
pub(crate) use chain::{Chain, Settings, Settled};
pub(crate) use environment::Environment;
pub(crate) use provider::SharedProvider;

/// Text that is wiped from memory when dropped, and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over; the caller's copies are the caller's to wipe.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for signing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

/// An AccessKey pair, with the STS token of a temporary one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    access_key_id: String,
    access_key_secret: Secret,
    security_token: Option<Secret>,
    expires_at: Option<SystemTime>,
}

impl Credentials {
    /// Checks and takes over an AccessKey pair.
    ///
    /// # Errors
    /// `credentials` if one is empty or holds characters that cannot stand in a header.
    pub fn new(
        access_key_id: impl Into<String>,
        access_key_secret: impl Into<Secret>,
    ) -> Result<Credentials> {
        let credentials = Credentials {
            access_key_id: access_key_id.into(),
            access_key_secret: access_key_secret.into(),
            security_token: None,
            expires_at: None,
        };
        check("access_key_id", &credentials.access_key_id)?;
        check("access_key_secret", credentials.access_key_secret.expose())?;
        Ok(credentials)
    }

    /// Adds the STS token of a temporary pair.
    ///
    /// # Errors
    /// `credentials` if it is empty or holds characters that cannot stand in a header.
    pub fn with_security_token(mut self, token: impl Into<Secret>) -> Result<Credentials> {
        let token = token.into();
        check("security_token", token.expose())?;
        self.security_token = Some(token);
        Ok(self)
    }

    /// Says when a temporary pair ends, so that a client replaces it in time. Without it, a client keeps
    /// a pair without a token for good, and asks again for one with a token every 15 minutes.
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Credentials {
        self.expires_at = Some(expires_at);
        self
    }

    /// Reads `OSS_ACCESS_KEY_ID`, `OSS_ACCESS_KEY_SECRET` and, where set, `OSS_SESSION_TOKEN`.
    ///
    /// # Errors
    /// `credentials` if one of the first two is not set.
    pub fn from_env() -> Result<Credentials> {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (id, secret) = match (read("OSS_ACCESS_KEY_ID"), read("OSS_ACCESS_KEY_SECRET")) {
            (Some(id), Some(secret)) => (id, secret),
            (id, _) => {
                let missing = if id.is_none() { "OSS_ACCESS_KEY_ID" } else { "OSS_ACCESS_KEY_SECRET" };
                return Err(Error::new(
                    crate::ErrorKind::Credentials,
                    format!("no credentials: the environment variable {missing} is not set"),
                )
                .with_hint(
                    "Set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET, or pass access_key_id and access_key_secret",
                ));
            }
        };
        let credentials = Credentials::new(id, secret)?;
        match read("OSS_SESSION_TOKEN") {
            Some(token) => credentials.with_security_token(token),
            None => Ok(credentials),
        }
    }

    /// The AccessKey id. It names the key and is not secret.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The AccessKey secret.
    pub fn access_key_secret(&self) -> &Secret {
        &self.access_key_secret
    }

    /// The STS token of a temporary pair.
    pub fn security_token(&self) -> Option<&Secret> {
        self.security_token.as_ref()
    }

    /// When the pair ends, where that is known.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}

/// A stray newline from a copied file or secret store is the common case: it would break the header,
/// or sign with a key that looks right.
fn check(field: &'static str, text: &str) -> Result<()> {
    let message = if text.is_empty() {
        "must not be empty"
    } else if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        "must be visible ASCII without blanks or line breaks"
    } else {
        return Ok(());
    };
    Err(Error::new(crate::ErrorKind::Credentials, format!("{field}: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_secret() {
        let credentials = Credentials::new("id", "s3cret").unwrap().with_security_token("t0ken").unwrap();
        let shown = format!("{credentials:?}");
        assert!(shown.contains("id") && !shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn stray_line_breaks_are_refused_without_showing_the_secret() {
        let error = Credentials::new("id", "s3cret\n").unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Credentials);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

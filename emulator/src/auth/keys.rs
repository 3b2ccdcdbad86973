//! The credentials that the emulator knows.

use std::fmt;
use std::time::SystemTime;

use super::Judge;
use super::error::{invalid_access_key_id, invalid_security_token, security_token_expired};
use crate::error::OssError;

/// An AccessKey pair, long-lived or temporary.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) security_token: Option<String>,
    pub(crate) expires: Option<SystemTime>,
}

impl AccessKey {
    /// A long-lived pair.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> AccessKey {
        AccessKey { id: id.into(), secret: secret.into(), security_token: None, expires: None }
    }

    /// A temporary pair as STS hands it out: requests must carry the token, and after `expires` they are
    /// answered 403 `SecurityTokenExpired`.
    pub fn temporary(
        id: impl Into<String>,
        secret: impl Into<String>,
        security_token: impl Into<String>,
        expires: Option<SystemTime>,
    ) -> AccessKey {
        AccessKey {
            id: id.into(),
            secret: secret.into(),
            security_token: Some(security_token.into()),
            expires,
        }
    }

    /// AccessKey ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// AccessKey secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// STS token, of a temporary pair.
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Judge<'_> {
    /// The pair of that id, with the token that came along.
    pub(super) fn key(&self, id: &str, token: Option<&str>, now: SystemTime) -> Result<AccessKey, OssError> {
        let key = self.keys.iter().find(|key| key.id == id).ok_or_else(|| invalid_access_key_id(id))?;
        match (key.security_token.as_deref(), token) {
            (None, None) => {}
            // OSS knows a temporary key by its token only.
            (Some(_), None) => return Err(invalid_access_key_id(id)),
            (Some(known), Some(token)) if known == token => {}
            _ => return Err(invalid_security_token()),
        }
        if key.expires.is_some_and(|expires| expires <= now) {
            return Err(security_token_expired());
        }
        Ok(key.clone())
    }
}

//! What STS, the metadata service and credentials URIs answer: the same members, in one form.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Credentials, Secret};
use crate::error::{Error, Result};

/// Temporary credentials as JSON.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Answer {
    /// `Success`, where the service says so.
    pub code: Option<String>,
    access_key_id: Option<String>,
    #[serde(deserialize_with = "secret")]
    access_key_secret: Option<Secret>,
    #[serde(deserialize_with = "secret")]
    security_token: Option<Secret>,
    expiration: Option<String>,
}

impl Answer {
    /// The credentials; all but the expiry must be there.
    pub fn credentials(self) -> Result<Credentials> {
        let lacks = |name: &str| Error::credentials(format!("the answer has no {name}"));
        let id = self.access_key_id.ok_or_else(|| lacks("AccessKeyId"))?;
        let secret = self.access_key_secret.ok_or_else(|| lacks("AccessKeySecret"))?;
        let token = self.security_token.ok_or_else(|| lacks("SecurityToken"))?;
        let credentials = Credentials::new(id, secret)?.with_security_token(token)?;
        with_expiry(credentials, self.expiration.as_deref())
    }
}

/// Adds an expiry such as `2015-04-09T11:52:19Z`.
pub(super) fn with_expiry(credentials: Credentials, text: Option<&str>) -> Result<Credentials> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(credentials);
    };
    let expires_at = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Error::credentials("the expiration is not of the form 2015-04-09T11:52:19Z"))?;
    Ok(credentials.with_expiry(SystemTime::from(expires_at)))
}

/// Reads JSON without repeating any of it in the error, as serde's own message would.
pub(super) fn parse<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        let what = if error.is_data() { "is not of the expected form" } else { "is not valid JSON" };
        Error::credentials(format!("{what} (line {}, column {})", error.line(), error.column()))
    })
}

pub(super) fn secret<'de, D: Deserializer<'de>>(source: D) -> std::result::Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(source)?.map(Secret::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_refused_without_repeating_it() {
        let json = r#"{"AccessKeyId":"id","AccessKeySecret":{"s3cret":1}}"#;
        let error = parse::<Answer>(json.as_bytes()).err().unwrap();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        let json = r#"{"AccessKeyId":"id","AccessKeySecret":"s3cret"}"#;
        let error = parse::<Answer>(json.as_bytes()).unwrap().credentials().unwrap_err();
        assert_eq!(error.message(), "the answer has no SecurityToken");
    }

    #[test]
    fn the_expiry_is_read_as_utc() {
        let json = r#"{"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t",
            "Expiration":"1970-01-01T01:00:00Z","LastUpdated":"x"}"#;
        let credentials = parse::<Answer>(json.as_bytes()).unwrap().credentials().unwrap();
        let hour = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(3600);
        assert_eq!(credentials.expires_at(), Some(hour));
    }
}

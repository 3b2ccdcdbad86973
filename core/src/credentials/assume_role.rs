//! AssumeRole: temporary credentials of a RAM role, asked for with other credentials.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::sts::{self, Role, Sts};
use super::{Credentials, CredentialsProvider, SharedProvider};
use crate::error::Result;
use crate::transport::FetchSettings;

/// Plays a RAM role, on the strength of another provider's credentials (STS, AssumeRole).
///
/// ```
/// use oss_callback::{AssumeRole, Client, Credentials};
///
/// let base = Credentials::new("LTAI...", "secret")?;
/// let role = AssumeRole::new(base, "acs:ram::123456:role/uploader").session_name("nightly");
/// let client = Client::builder().region("cn-hangzhou").credentials_provider(role).build()?;
/// # Ok::<(), oss_callback::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct AssumeRole {
    source: SharedProvider,
    pub(super) role: Role,
    pub(super) sts: Sts,
}

impl AssumeRole {
    /// A role by its ARN, such as `acs:ram::123456:role/name`, and who may assume it.
    pub fn new(source: impl CredentialsProvider + 'static, role_arn: impl Into<String>) -> AssumeRole {
        AssumeRole {
            source: SharedProvider::new(source),
            role: Role { arn: role_arn.into(), ..Role::default() },
            sts: Sts { endpoint: sts::endpoint(None, None, false), http: FetchSettings::default() },
        }
    }

    /// Names the session in audit logs. Default: `oss-callback`.
    pub fn session_name(mut self, name: impl Into<String>) -> AssumeRole {
        self.role.session_name = Some(name.into());
        self
    }

    /// How long the credentials are to hold: at least 15 minutes, at most what the role allows.
    /// Default: an hour. Fractions of a second are dropped.
    pub fn lifetime(mut self, lifetime: Duration) -> AssumeRole {
        self.role.lifetime_seconds = Some(lifetime.as_secs());
        self
    }

    /// A RAM policy, as JSON, that takes further rights away.
    pub fn policy(mut self, policy: impl Into<String>) -> AssumeRole {
        self.role.policy = Some(policy.into());
        self
    }

    /// The external id that the role's trust policy asks for.
    pub fn external_id(mut self, id: impl Into<String>) -> AssumeRole {
        self.role.external_id = Some(id.into());
        self
    }

    /// Where STS is, such as `sts.cn-hangzhou.aliyuncs.com`. Default: `sts.aliyuncs.com`.
    pub fn sts_endpoint(mut self, endpoint: &str) -> AssumeRole {
        self.sts.endpoint = sts::endpoint(Some(endpoint), None, false);
        self
    }
}

impl CredentialsProvider for AssumeRole {
    fn provide(&self) -> Result<Credentials> {
        let parameters = self.role.parameters()?;
        let source = self.source.provide()?;
        self.sts.call("AssumeRole", &parameters, Some(&source), SystemTime::now())
    }
}

impl fmt::Debug for AssumeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRole").field("role", &self.role.arn).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::testing::{STS_ANSWER, Stub};

    fn role(stub: &Stub) -> AssumeRole {
        let base =
            Credentials::new("base-id", "base-secret").unwrap().with_security_token("base-token").unwrap();
        AssumeRole::new(base, "acs:ram::1:role/r").sts_endpoint(&stub.url())
    }

    #[test]
    fn the_call_is_signed_and_names_the_role() {
        let stub = Stub::start(|_| (200, STS_ANSWER.to_owned()));
        let credentials = role(&stub).session_name("s n").external_id("e").provide().unwrap();
        assert_eq!(credentials.access_key_id(), "STS.id");
        assert!(credentials.expires_at().is_some());
        let request = stub.requests().remove(0);
        assert_eq!(request.method, "POST");
        for part in ["Action=AssumeRole&", "AccessKeyId=base-id", "SecurityToken=base-token", "&Signature="] {
            assert!(request.target.contains(part), "{part} in {}", request.target);
        }
        assert_eq!(
            request.body,
            "RoleArn=acs%3Aram%3A%3A1%3Arole%2Fr&RoleSessionName=s%20n&DurationSeconds=3600&ExternalId=e"
        );
        assert!(!request.target.contains("base-secret") && !request.body.contains("base-secret"));
    }

    #[test]
    fn what_sts_says_is_passed_on_without_secrets() {
        let stub = Stub::start(|_| {
            let json = r#"{"Code":"NoPermission","Message":"You are not authorized.","RequestId":"R-1"}"#;
            (403, json.to_owned())
        });
        let error = role(&stub).provide().unwrap_err();
        assert_eq!(
            error.to_string(),
            "STS refused AssumeRole with status 403 NoPermission: You are not authorized (request id R-1)"
        );
    }

    #[test]
    fn a_lifetime_below_the_minimum_and_a_wrong_arn_are_refused_before_anything_is_sent() {
        let stub = Stub::start(|_| (500, String::new()));
        let error = role(&stub).lifetime(Duration::from_secs(60)).provide().unwrap_err();
        assert!(error.message().contains("900"), "{error}");
        let base = Credentials::new("id", "secret").unwrap();
        let error = AssumeRole::new(base, "role/r").sts_endpoint(&stub.url()).provide().unwrap_err();
        assert!(error.message().contains("acs:ram::"), "{error}");
        assert!(stub.requests().is_empty());
    }
}

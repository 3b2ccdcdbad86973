//! Calls to the Security Token Service (API version 2015-04-01), by Alibaba Cloud's RPC style.

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde::Deserialize;
use sha1::Sha1;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ANSWER_BYTES_MAX;
use super::answer::{self, Answer};
use super::environment::Environment;
use super::{Credentials, Secret};
use crate::encode;
use crate::error::{Error, Result};
use crate::transport::{Fetch, FetchSettings, fetch};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(15);

/// Lifetime asked for unless told otherwise; STS's own default.
pub(super) const LIFETIME_SECONDS: u64 = 3600;

/// Where STS is, and how it is reached.
#[derive(Clone, Debug)]
pub(super) struct Sts {
    pub endpoint: String,
    pub http: FetchSettings,
}

/// A role and how long to play it: what both kinds of assuming have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Role {
    pub arn: String,
    pub session_name: Option<String>,
    pub lifetime_seconds: Option<u64>,
    pub policy: Option<String>,
    pub external_id: Option<String>,
}

impl Role {
    /// The parameters, checked.
    pub fn parameters(&self) -> Result<Vec<(&'static str, Secret)>> {
        if !self.arn.starts_with("acs:ram::") {
            let message = format!("the role `{}` is not an ARN such as acs:ram::123456:role/name", self.arn);
            return Err(Error::credentials(message));
        }
        let lifetime = self.lifetime_seconds.unwrap_or(LIFETIME_SECONDS);
        if lifetime < 900 {
            let message = format!("a role is assumed for at least 900 seconds, not {lifetime}");
            return Err(Error::credentials(message));
        }
        let session = self.session_name.as_deref().unwrap_or("oss-callback");
        let mut all = vec![
            ("RoleArn", Secret::new(self.arn.as_str())),
            ("RoleSessionName", Secret::new(session)),
            ("DurationSeconds", Secret::new(lifetime.to_string())),
        ];
        all.extend(self.policy.as_deref().map(|policy| ("Policy", Secret::new(policy))));
        all.extend(self.external_id.as_deref().map(|id| ("ExternalId", Secret::new(id))));
        Ok(all)
    }
}

/// The endpoint of a region, or the central one.
pub(super) fn endpoint(explicit: Option<&str>, region: Option<&str>, vpc: bool) -> String {
    match (explicit, region) {
        (Some(explicit), _) if explicit.contains("://") => explicit.to_owned(),
        (Some(explicit), _) => format!("https://{explicit}"),
        (None, Some(region)) => {
            format!("https://sts{}.{region}.aliyuncs.com", if vpc { "-vpc" } else { "" })
        }
        (None, None) => "https://sts.aliyuncs.com".to_owned(),
    }
}

/// The endpoint that the environment's variables ask for.
pub(super) fn endpoint_by(environment: &Environment, explicit: Option<&str>) -> String {
    let vpc = environment.is_true("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED");
    endpoint(explicit, environment.get("ALIBABA_CLOUD_STS_REGION"), vpc)
}

impl Sts {
    /// Makes a call; signs it where credentials are given.
    pub fn call(
        &self,
        action: &str,
        parameters: &[(&'static str, Secret)],
        signed_by: Option<&Credentials>,
        now: SystemTime,
    ) -> Result<Credentials> {
        let timestamp = OffsetDateTime::from(now)
            .replace_nanosecond(0)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .ok_or_else(|| Error::credentials("the clock shows a year that cannot be written"))?;
        let mut query: Vec<(&'static str, Secret)> = vec![
            ("Action", Secret::new(action)),
            ("Format", Secret::new("JSON")),
            ("Timestamp", Secret::new(timestamp)),
            ("Version", Secret::new("2015-04-01")),
        ];
        if let Some(credentials) = signed_by {
            query.push(("AccessKeyId", Secret::new(credentials.access_key_id())));
            query.push(("SignatureMethod", Secret::new("HMAC-SHA1")));
            query.push(("SignatureNonce", Secret::new(nonce(now))));
            query.push(("SignatureVersion", Secret::new("1.0")));
            query.extend(credentials.security_token().map(|token| ("SecurityToken", token.clone())));
            let all: Vec<&(&str, Secret)> = query.iter().chain(parameters).collect();
            let signature = signature("POST", &all, credentials.access_key_secret());
            query.push(("Signature", Secret::new(signature)));
        }
        let url = format!("{}/?{}", self.endpoint.trim_end_matches('/'), form(query.iter()));
        let answer = fetch(
            &self.http,
            Fetch {
                method: Method::POST,
                url: &url,
                headers: &[("accept", "application/json")],
                form: Some(form(parameters.iter())),
                connect_timeout: CONNECT_TIMEOUT,
                timeout: TIMEOUT,
                bytes_max: ANSWER_BYTES_MAX,
            },
        )
        .map_err(|failure| {
            Error::credentials(format!("STS at {} cannot be reached: {}", self.endpoint, failure.message))
        })?;
        if answer.status != 200 {
            let secrets = query.iter().chain(parameters).map(|(_, value)| value);
            return Err(Error::credentials(refusal(action, answer.status, &answer.body, secrets)));
        }
        let about =
            |error: Error| Error::credentials(format!("STS's answer to {action}: {}", error.message()));
        let whole: Whole = answer::parse(&answer.body).map_err(about)?;
        whole.credentials.credentials().map_err(about)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Whole {
    credentials: Answer,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refusal {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

/// What STS said, in one line. It repeats the request in some messages: those are left out.
fn refusal<'a>(action: &str, status: u16, body: &[u8], sent: impl Iterator<Item = &'a Secret>) -> String {
    let said: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let mut text = format!("STS refused {action} with status {status}");
    let code = said.code.unwrap_or_default();
    let _ = write!(text, " {code}");
    let repeats = |message: &str| {
        let mut sent = sent.filter(|value| value.expose().len() > 20);
        message.to_ascii_lowercase().contains("string to sign") || sent.any(|v| message.contains(v.expose()))
    };
    if let Some(message) = said.message.filter(|message| message.len() <= 300)
        && !repeats(&message)
    {
        let _ = write!(text, ": {}", message.trim().trim_end_matches('.'));
    }
    if let Some(id) = said.request_id {
        let _ = write!(text, " (request id {id})");
    }
    text
}

fn form<'a>(parameters: impl Iterator<Item = &'a (&'static str, Secret)>) -> String {
    let mut out = String::with_capacity(4096);
    encode::push_query(&mut out, parameters.map(|(name, value)| (*name, Some(value.expose()))));
    out
}

/// The RPC style's signature, version 1.0 (Alibaba Cloud, "Request signatures" of the RPC API).
fn signature(method: &str, parameters: &[&(&'static str, Secret)], secret: &Secret) -> String {
    let mut sorted: Vec<(&'static str, &str)> =
        parameters.iter().map(|(name, value)| (*name, value.expose())).collect();
    sorted.sort_unstable();
    let mut canonical = String::with_capacity(4096);
    for (index, (name, value)) in sorted.iter().enumerate() {
        if index > 0 {
            canonical.push('&');
        }
        encode::push_component(&mut canonical, name);
        canonical.push('=');
        encode::push_component(&mut canonical, value);
    }
    let canonical = Secret::new(canonical);
    let key = Secret::new(format!("{}&", secret.expose()));
    let mut mac =
        Hmac::<Sha1>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(method.as_bytes());
    mac.update(b"&%2F&");
    mac.update(Secret::new(encode::component(canonical.expose())).expose().as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Never the same twice; it need not be secret.
fn nonce(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let part = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u128(since.as_nanos());
        hasher.write_u32(std::process::id());
        hasher.finish()
    };
    format!("{:016x}{:016x}", part(), part())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_alibaba_clouds_own_example() {
        let parameters = [
            ("Timestamp", "2016-02-23T12:46:24Z"),
            ("Format", "XML"),
            ("AccessKeyId", "testid"),
            ("Action", "DescribeRegions"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
            ("Version", "2014-05-26"),
            ("SignatureVersion", "1.0"),
        ]
        .map(|(name, value)| (name, Secret::new(value)));
        let all: Vec<&(&str, Secret)> = parameters.iter().collect();
        assert_eq!(signature("GET", &all, &Secret::new("testsecret")), "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
    }

    #[test]
    fn endpoints_follow_region_and_network_and_give_way_to_an_explicit_one() {
        assert_eq!(endpoint(None, None, true), "https://sts.aliyuncs.com");
        assert_eq!(endpoint(None, Some("cn-beijing"), false), "https://sts.cn-beijing.aliyuncs.com");
        assert_eq!(endpoint(None, Some("cn-beijing"), true), "https://sts-vpc.cn-beijing.aliyuncs.com");
        assert_eq!(endpoint(Some("sts.example"), Some("x"), true), "https://sts.example");
        assert_eq!(endpoint(Some("http://127.0.0.1:8"), None, true), "http://127.0.0.1:8");
    }

    #[test]
    fn nonces_differ() {
        let now = SystemTime::now();
        assert_ne!(nonce(now), nonce(now));
    }

    #[test]
    fn a_refusal_that_repeats_the_request_is_cut() {
        let token = Secret::new("CAIS-a-long-security-token");
        let body = br#"{"Code":"X","Message":"bad token CAIS-a-long-security-token","RequestId":"R"}"#;
        assert_eq!(
            refusal("AssumeRole", 400, body, [&token].into_iter()),
            "STS refused AssumeRole with status 400 X (request id R)"
        );
    }
}

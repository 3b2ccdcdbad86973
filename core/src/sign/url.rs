//! Signatures in the URL.

use std::time::{Duration, SystemTime};

use super::canonical::{self, Parts};
use super::{PresignedRequest, Scope, SignRequest, date, request, v1, v4};
use crate::credentials::Credentials;
use crate::encode;
use crate::endpoint::{Endpoint, Target};
use crate::error::{Error, Result};
use crate::options::{Addressing, SignatureVersion};

/// Where and how long a URL is to hold.
pub(super) struct Place<'a> {
    pub endpoint: &'a Endpoint,
    pub addressing: Addressing,
    pub expires_in: Duration,
    pub time: SystemTime,
}

impl Place<'_> {
    fn target(&self, parts: &Parts<'_>) -> Result<Target> {
        self.endpoint.target(self.addressing, parts.bucket, parts.key)
    }

    /// Whole seconds; what is left of one more is dropped.
    fn seconds(&self) -> Result<u64> {
        match self.expires_in.as_secs() {
            0 => Err(Error::invalid_argument("expires_in", "must be at least 1 second")),
            seconds => Ok(seconds),
        }
    }
}

pub(super) fn presign_v4(
    credentials: &Credentials,
    scope: &Scope,
    given: &SignRequest,
    place: &Place<'_>,
) -> Result<PresignedRequest> {
    let mut parts = request::check(given, SignatureVersion::V4)?;
    let target = place.target(&parts)?;
    let expires = v4_expires(place.seconds()?, credentials)?.to_string();
    let date_time = date::iso8601_basic(place.time)?;
    let scope_text = scope.text(&date_time);
    let credential = [credentials.access_key_id(), "/", &scope_text].concat();
    let given_headers = parts.headers.len();
    // Every client sends the target's own host, so that it can be signed without being given.
    if request::lists(&given.additional_headers, "host") && parts.header("host").is_none() {
        parts.headers.push(("host", &target.authority));
    }
    let additional =
        v4::additional_headers(given.additional_headers.iter().map(String::as_str), &parts.headers);
    request::check_clashes(&parts, &additional)?;
    let additional_list = additional.join(";");
    parts.query.push(("x-oss-signature-version", Some(v4::ALGORITHM)));
    parts.query.push(("x-oss-credential", Some(&credential)));
    parts.query.push(("x-oss-date", Some(&date_time)));
    parts.query.push(("x-oss-expires", Some(&expires)));
    if !additional.is_empty() {
        parts.query.push(("x-oss-additional-headers", Some(&additional_list)));
    }
    if let Some(token) = credentials.security_token() {
        parts.query.push(("x-oss-security-token", Some(token.expose())));
    }
    let canonical_request = v4::canonical_request(&parts, &additional);
    let string_to_sign = v4::string_to_sign(&date_time, &scope_text, &canonical_request);
    let signature = scope.signature(credentials, &date_time, &string_to_sign);
    parts.query.push(("x-oss-signature", Some(&signature)));
    let url = url(&target, &parts);
    let is_listed = |name: &str| additional.iter().any(|listed| listed.eq_ignore_ascii_case(name));
    let headers = to_send(&parts.headers[..given_headers], |name, value| {
        v4::is_signed_header(name)
            || is_listed(name) && !(name.eq_ignore_ascii_case("host") && value == target.authority)
    });
    Ok(PresignedRequest {
        method: given.method.clone(),
        url,
        headers,
        signature,
        canonical_request: Some(canonical_request),
        string_to_sign,
    })
}

fn v4_expires(seconds: u64, credentials: &Credentials) -> Result<u64> {
    let temporary = credentials.security_token().is_some();
    let most = v4::expires_max_seconds(temporary);
    if seconds <= most {
        return Ok(seconds);
    }
    let limit = match temporary {
        true => format!("12 hours ({most} seconds) with temporary credentials"),
        false => format!("7 days ({most} seconds)"),
    };
    Err(Error::invalid_argument("expires_in", format!("must be at most {limit}")))
}

pub(super) fn presign_v1(
    credentials: &Credentials,
    given: &SignRequest,
    place: &Place<'_>,
) -> Result<PresignedRequest> {
    let mut parts = request::check(given, SignatureVersion::V1)?;
    let target = place.target(&parts)?;
    let expires = date::unix_seconds(place.time)?
        .checked_add(place.seconds()?)
        .filter(|seconds| *seconds <= date::LAST_SECOND)
        .ok_or_else(|| Error::invalid_argument("expires_in", "must end before the year 10000"))?
        .to_string();
    if let Some(token) = credentials.security_token() {
        parts.query.push(("security-token", Some(token.expose())));
    }
    let string_to_sign = v1::string_to_sign(&parts, &expires);
    let signature = v1::signature(credentials.access_key_secret().expose(), &string_to_sign);
    parts.query.push(("OSSAccessKeyId", Some(credentials.access_key_id())));
    parts.query.push(("Expires", Some(&expires)));
    parts.query.push(("Signature", Some(&signature)));
    let url = url(&target, &parts);
    let headers = to_send(&parts.headers, |name, _| v4::is_signed_header(name));
    Ok(PresignedRequest {
        method: given.method.clone(),
        url,
        headers,
        signature,
        canonical_request: None,
        string_to_sign,
    })
}

fn url(target: &Target, parts: &Parts<'_>) -> String {
    let mut url = target.to_string();
    url.push('?');
    encode::push_query(&mut url, parts.query.iter().copied());
    url
}

/// The headers that a signature covers, in the form in which it covers them.
fn to_send(headers: &[(&str, &str)], is_signed: impl Fn(&str, &str) -> bool) -> Vec<(String, String)> {
    let trimmed = headers.iter().map(|&(name, value)| (name, canonical::trim(value)));
    let signed = trimmed.filter(|(name, value)| is_signed(name, value));
    signed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

//! Signatures in the `Authorization` header.

use std::time::SystemTime;

use super::{Scope, SignRequest, Signed, date, request, v1, v4};
use crate::credentials::Credentials;
use crate::error::Result;
use crate::options::SignatureVersion;

pub(super) fn sign_v4(
    credentials: &Credentials,
    scope: &Scope,
    given: &SignRequest,
    time: SystemTime,
) -> Result<Signed> {
    let mut parts = request::check(given, SignatureVersion::V4)?;
    let date_time = date::iso8601_basic(time)?;
    let given_headers = parts.headers.len();
    if parts.header("x-oss-content-sha256").is_none() {
        parts.headers.push(("x-oss-content-sha256", v4::UNSIGNED_PAYLOAD));
    }
    parts.headers.push(("x-oss-date", &date_time));
    if let Some(token) = credentials.security_token() {
        parts.headers.push(("x-oss-security-token", token.expose()));
    }
    let additional =
        v4::additional_headers(given.additional_headers.iter().map(String::as_str), &parts.headers);
    let canonical_request = v4::canonical_request(&parts, &additional);
    let scope_text = scope.text(&date_time);
    let string_to_sign = v4::string_to_sign(&date_time, &scope_text, &canonical_request);
    let signature = scope.signature(credentials, &date_time, &string_to_sign);

    let mut authorization = String::with_capacity(256);
    let id = credentials.access_key_id();
    for piece in [v4::ALGORITHM, " Credential=", id, "/", &scope_text] {
        authorization.push_str(piece);
    }
    if !additional.is_empty() {
        authorization.push_str(",AdditionalHeaders=");
        authorization.push_str(&additional.join(";"));
    }
    authorization.push_str(",Signature=");
    authorization.push_str(&signature);
    let headers = added(&parts.headers[given_headers..], authorization);
    Ok(Signed { headers, signature, canonical_request: Some(canonical_request), string_to_sign })
}

pub(super) fn sign_v1(credentials: &Credentials, given: &SignRequest, time: SystemTime) -> Result<Signed> {
    let mut parts = request::check(given, SignatureVersion::V1)?;
    let given_headers = parts.headers.len();
    let now;
    if v1::date_line(&parts).is_none() {
        now = date::http(time)?;
        parts.headers.push(("Date", &now));
    }
    if let Some(token) = credentials.security_token() {
        parts.headers.push(("x-oss-security-token", token.expose()));
    }
    let string_to_sign = v1::string_to_sign(&parts, v1::date_line(&parts).unwrap_or(""));
    let signature = v1::signature(credentials.access_key_secret().expose(), &string_to_sign);
    let authorization = ["OSS ", credentials.access_key_id(), ":", &signature].concat();
    let headers = added(&parts.headers[given_headers..], authorization);
    Ok(Signed { headers, signature, canonical_request: None, string_to_sign })
}

fn added(headers: &[(&str, &str)], authorization: String) -> Vec<(String, String)> {
    let mut all = Vec::with_capacity(headers.len() + 1);
    all.extend(headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    all.push(("Authorization".to_owned(), authorization));
    all
}

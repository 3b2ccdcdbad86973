//! What a caller may ask to have signed: everything that OSS would refuse, or that would be signed
//! differently from what is sent, is an error here.

use super::canonical::{self, Parts};
use super::{SignRequest, v4};
use crate::endpoint;
use crate::error::{Error, Result};
use crate::options::SignatureVersion;

/// Query parameters of a signature by URL, V4 and V1.
const SIGNATURE_PARAMETERS: &[&str] = &[
    "x-oss-signature-version",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-additional-headers",
    "x-oss-security-token",
    "x-oss-signature",
    "OSSAccessKeyId",
    "Expires",
    "Signature",
    "security-token",
];

/// Headers that only the signer may set.
const SIGNATURE_HEADERS: &[&str] = &[
    "authorization",
    "x-oss-security-token",
    "x-oss-signature",
    "x-oss-signature-version",
    "x-oss-credential",
    "x-oss-expires",
    "x-oss-additional-headers",
];

/// Checks the request and takes it apart.
pub(super) fn check(request: &SignRequest, version: SignatureVersion) -> Result<Parts<'_>> {
    let is_method = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if request.method.is_empty() || !request.method.bytes().all(is_method) {
        return Err(Error::invalid_argument("method", "must be an HTTP method in upper case, such as `PUT`"));
    }
    endpoint::check_names(request.bucket.as_deref(), request.key.as_deref())?;
    let parts = Parts::from(request);
    check_query(&parts)?;
    for (name, value) in &parts.headers {
        check_header(name, value, version)?;
    }
    for name in &request.additional_headers {
        if !is_token(name) {
            return Err(Error::invalid_argument(
                "additional_headers",
                format!("{name:?} is no header's name"),
            ));
        }
    }
    if version == SignatureVersion::V4 {
        check_repeats(&parts, |name| v4::is_signed_header(name) || lists(&request.additional_headers, name))?;
    } else {
        check_repeats(&parts, |name| v4::is_signed_header(name) || name.eq_ignore_ascii_case("date"))?;
    }
    Ok(parts)
}

/// Whether `names` hold `name`, in any case.
pub(super) fn lists(names: &[String], name: &str) -> bool {
    names.iter().any(|listed| listed.eq_ignore_ascii_case(name))
}

fn check_query(parts: &Parts<'_>) -> Result<()> {
    for (index, (name, _)) in parts.query.iter().enumerate() {
        if name.is_empty() {
            return Err(Error::invalid_argument("query", "holds an empty name"));
        }
        if SIGNATURE_PARAMETERS.contains(name) {
            return Err(Error::invalid_argument("query", format!("must not hold `{name}`"))
                .with_hint("The signer sets what belongs to the signature"));
        }
        // OSS goes by the first of them, and which one a signature covers is not documented.
        if parts.query[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::invalid_argument("query", format!("holds `{name}` more than once")));
        }
    }
    Ok(())
}

fn check_header(name: &str, value: &str, version: SignatureVersion) -> Result<()> {
    let error = |message: String| Error::invalid_argument("headers", message);
    if !is_token(name) {
        return Err(error(format!("{name:?} is no header's name")));
    }
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(error(format!("the value of `{name}` holds a line break or another control character")));
    }
    let is = |reserved: &str| name.eq_ignore_ascii_case(reserved);
    let v4 = version == SignatureVersion::V4;
    if SIGNATURE_HEADERS.iter().any(|reserved| is(reserved)) || v4 && is("x-oss-date") {
        return Err(error(format!("must not hold `{name}`"))
            .with_hint("The signer sets what belongs to the signature, from its credentials and the time"));
    }
    if v4 && is("x-oss-content-sha256") && canonical::trim(value) != v4::UNSIGNED_PAYLOAD {
        return Err(error(format!(
            "`{name}` must be `{}`, the only value that OSS knows",
            v4::UNSIGNED_PAYLOAD
        )));
    }
    Ok(())
}

/// Refuses a signed header that is given twice: what OSS signs then is not documented.
fn check_repeats(parts: &Parts<'_>, is_signed: impl Fn(&str) -> bool) -> Result<()> {
    for (index, (name, _)) in parts.headers.iter().enumerate() {
        let is_earlier = parts.headers[..index].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name));
        if is_earlier && is_signed(name) {
            return Err(Error::invalid_argument("headers", format!("holds `{name}` more than once"))
                .with_hint("Give one value: how OSS signs a repeated header is not documented"));
        }
    }
    Ok(())
}

/// OSS refuses a request whose query and signed headers say different things under one name
/// (OSS, "Include a V4 signature in a URL").
pub(super) fn check_clashes(parts: &Parts<'_>, additional: &[impl AsRef<str>]) -> Result<()> {
    for (name, value) in &parts.query {
        let is_signed =
            v4::is_signed_header(name) || additional.iter().any(|listed| listed.as_ref() == *name);
        if is_signed && parts.header(name).is_some_and(|header| header != value.unwrap_or("")) {
            return Err(Error::invalid_argument(
                "query",
                format!("and headers both hold `{name}`, and differ"),
            )
            .with_hint("Give it once, in the query or in the headers"));
        }
    }
    Ok(())
}

/// A header's name (RFC 9110, 5.6.2).
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

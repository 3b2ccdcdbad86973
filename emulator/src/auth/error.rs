//! Refusals in OSS's words.

use std::time::SystemTime;

use crate::clock::{unix_ms, xml_time};
use crate::error::OssError;

pub(super) fn invalid_access_key_id(id: &str) -> OssError {
    OssError::new(
        403,
        "InvalidAccessKeyId",
        "The OSS Access Key Id you provided does not exist in our records.",
    )
    .with("OSSAccessKeyId", id)
    .with_ec("0002-00000902")
}

pub(super) fn invalid_security_token() -> OssError {
    OssError::new(403, "InvalidSecurityToken", "The security token you provided is invalid.")
}

pub(super) fn security_token_expired() -> OssError {
    OssError::new(403, "SecurityTokenExpired", "The security token you provided has expired.")
}

pub(super) fn too_skewed(requested: SystemTime, now: SystemTime) -> OssError {
    OssError::new(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    )
    .with("RequestTime", xml_time(unix_ms(requested)))
    .with("ServerTime", xml_time(unix_ms(now)))
    .with_ec("0002-00000504")
}

pub(super) fn expired(expires: SystemTime, now: SystemTime) -> OssError {
    OssError::access_denied("Request has expired.")
        .with("Expires", xml_time(unix_ms(expires)))
        .with("ServerTime", xml_time(unix_ms(now)))
        .with_ec("0002-00000069")
}

/// A piece without which a request is not signed at all.
pub(super) fn missing(what: &str) -> OssError {
    OssError::access_denied(format!("The request is not signed completely: {what} is missing or not valid."))
}

/// `SignatureDoesNotMatch`, with what the emulator signed so that the sender can compare line by line.
pub(super) fn mismatch(access_key_id: &str, provided: &str, string_to_sign: &str) -> OssError {
    let bytes: Vec<String> = string_to_sign.bytes().map(|byte| format!("{byte:02X}")).collect();
    OssError::new(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key \
         and signing method.",
    )
    .with("OSSAccessKeyId", access_key_id)
    .with("SignatureProvided", provided)
    .with("StringToSign", string_to_sign)
    .with("StringToSignBytes", bytes.join(" "))
}

//! The seal: proof that whoever started the upload holds the application's secret.
//!
//! OSS's own signature covers neither host nor bucket, so any customer of OSS can have it sign a body of
//! his choice; and its 512-bit key can be factored. A seal is a custom variable (`x:seal`) with an
//! HMAC-SHA256, under a secret that OSS never sees, over bucket, key, all other custom variables, a
//! nonce and an expiry. The verifier recomputes it from what the callback claims.
//!
//! Bucket and key must be known when sealing, so a seal belongs to one upload, never to a callback that
//! is reused. What is not known before the upload (ETag, size, type, CRC-64) is not sealed: ask OSS.
//!
//! The message under the HMAC is unambiguous: a fixed head, then every part with its length before it.
//! The seal's text is `1.<expiry>.<nonce>.<mac>`: expiry in Unix seconds, the MAC in URL-safe Base64.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::credentials::Secret;
use crate::error::{Error, Result, VerificationReason};

/// Name of the variable that carries the seal, without `x:`.
pub const VARIABLE: &str = "seal";
const FORMAT: &str = "1";
const DOMAIN: &[u8] = b"oss-callback seal 1";
const MIN_SECRET: usize = 16;
const NONCE: std::ops::RangeInclusive<usize> = 16..=64;
const MAX_SEAL: usize = 160;

/// What a seal that was checked says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seal {
    /// Made for one upload; a second callback with it is a replay.
    pub nonce: String,
    /// From then on the seal is refused.
    pub expires_at: SystemTime,
}

/// The value of the variable `x:seal` for one upload.
///
/// `variables` are the upload's custom variables, with or without `x:`, without the seal itself; all of
/// them, and `${bucket}` and `${object}`, must stand in the callback body. `nonce` is 16 to 64 letters,
/// digits, `-` or `_`, never used before: see [`new_nonce`]. The expiry counts in whole seconds.
///
/// # Errors
/// `invalid_argument` for a secret of less than 16 bytes, an unfit nonce, an empty bucket or key, or a
/// variable that stands twice or is the seal itself.
pub fn seal<N: AsRef<str>, V: AsRef<str>>(
    secret: &Secret,
    bucket: &str,
    key: &str,
    variables: impl IntoIterator<Item = (N, V)>,
    nonce: &str,
    expires_at: SystemTime,
) -> Result<String> {
    check_secret("seal_secret", secret)?;
    if !is_nonce(nonce) {
        return Err(Error::invalid_argument("nonce", "must be 16 to 64 letters, digits, `-` or `_`"));
    }
    for (field, text) in [("bucket", bucket), ("key", key)] {
        if text.is_empty() {
            return Err(Error::invalid_argument(field, "must not be empty"));
        }
    }
    let mut sorted = BTreeMap::new();
    for (name, value) in variables {
        let bare = name.as_ref().strip_prefix("x:").unwrap_or(name.as_ref()).to_owned();
        if bare == VARIABLE {
            return Err(Error::invalid_argument(
                "vars",
                "must not hold `x:seal`: it is made from the others",
            ));
        }
        if sorted.insert(bare, value.as_ref().to_owned()).is_some() {
            return Err(Error::invalid_argument("vars", format!("hold `{}` twice", name.as_ref())));
        }
    }
    let expiry = expires_at
        .duration_since(UNIX_EPOCH)
        .map_err(|_| Error::invalid_argument("expires_at", "must not be before 1970"))?
        .as_secs();
    let message = message(bucket, key, &sorted, nonce, expiry);
    let mac = URL_SAFE_NO_PAD.encode(keyed(secret, &message)?.finalize().into_bytes());
    Ok(format!("{FORMAT}.{expiry}.{nonce}.{mac}"))
}

/// Checks a seal against what a callback claims, under any of several secrets (for rotation).
///
/// `variables` are all custom variables that the callback claims, without the seal. Replays are the
/// caller's to refuse, by the nonce.
///
/// # Errors
/// `verification`, reason `seal_wrong` or `seal_expired` (only if it was right); `invalid_argument` for
/// a secret of less than 16 bytes.
pub fn verify<N: AsRef<str>, V: AsRef<str>>(
    secrets: &[Secret],
    bucket: &str,
    key: &str,
    variables: impl IntoIterator<Item = (N, V)>,
    seal: &str,
    now: SystemTime,
) -> Result<Seal> {
    let wrong = |message: &str| Error::verification(VerificationReason::SealWrong, message);
    let (expiry, nonce, mac) = parse(seal).ok_or_else(|| wrong("the seal is not of the form of a seal"))?;
    let mut sorted = BTreeMap::new();
    for (name, value) in variables {
        let bare = name.as_ref().strip_prefix("x:").unwrap_or(name.as_ref()).to_owned();
        if sorted.insert(bare, value.as_ref().to_owned()).is_some() {
            return Err(wrong("the callback gives a variable twice"));
        }
    }
    let message = message(bucket, key, &sorted, nonce, expiry);
    let mut right = false;
    for secret in secrets {
        check_secret("seal_secret", secret)?;
        // Constant in time, and all secrets are tried: nothing tells which one came near.
        right |= keyed(secret, &message)?.verify_slice(&mac).is_ok();
    }
    if !right {
        return Err(wrong("the seal does not fit bucket, key and variables of the callback"));
    }
    let expires_at = UNIX_EPOCH
        .checked_add(Duration::from_secs(expiry))
        .ok_or_else(|| wrong("the seal's expiry is out of range"))?;
    if now >= expires_at {
        let message = match now.duration_since(expires_at) {
            Ok(ago) => format!("the seal expired {} s ago", ago.as_secs()),
            Err(_) => "the seal has expired".to_owned(),
        };
        return Err(Error::verification(VerificationReason::SealExpired, message));
    }
    Ok(Seal { nonce: nonce.to_owned(), expires_at })
}

/// The refusal of a seal that was used before: for those who ask for its first use by themselves, such as
/// by an async function.
pub fn replayed() -> Error {
    Error::verification(VerificationReason::Replayed, "the callback's seal was used before")
}

/// A nonce for [`seal`]: 128 random bits of the operating system's, as 22 characters.
///
/// # Errors
/// `bug` if the system has no random numbers to give.
pub fn new_nonce() -> Result<String> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| {
        Error::new(crate::ErrorKind::Bug, "the operating system gives no random numbers for a nonce")
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) fn check_secret(field: &'static str, secret: &Secret) -> Result<()> {
    if secret.expose().len() >= MIN_SECRET {
        return Ok(());
    }
    Err(Error::invalid_argument(field, format!("must have at least {MIN_SECRET} bytes"))
        .with_hint("Use 32 random bytes, for instance from `openssl rand -base64 32`"))
}

fn is_nonce(text: &str) -> bool {
    NONCE.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn parse(seal: &str) -> Option<(u64, &str, Vec<u8>)> {
    if seal.len() > MAX_SEAL {
        return None;
    }
    let mut parts = seal.split('.');
    let (format, expiry, nonce, mac) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let seconds: u64 = expiry.parse().ok()?;
    // One seal has one spelling: no plus sign, no leading zero.
    if parts.next().is_some() || format != FORMAT || seconds.to_string() != expiry || !is_nonce(nonce) {
        return None;
    }
    Some((seconds, nonce, URL_SAFE_NO_PAD.decode(mac).ok()?))
}

/// Every part is preceded by its length, and the variables by their number, so that no two different
/// uploads have the same message.
fn message(
    bucket: &str,
    key: &str,
    variables: &BTreeMap<String, String>,
    nonce: &str,
    expiry: u64,
) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    let mut add = |part: &[u8]| {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    };
    add(bucket.as_bytes());
    add(key.as_bytes());
    add(&(variables.len() as u64).to_be_bytes());
    for (name, value) in variables {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    add(nonce.as_bytes());
    add(&expiry.to_be_bytes());
    message
}

fn keyed(secret: &Secret, message: &[u8]) -> Result<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .map_err(|_| Error::new(crate::ErrorKind::Bug, "HMAC refuses the length of a secret"))?;
    Ok(mac.chain_update(message))
}

#[cfg(test)]
mod tests;

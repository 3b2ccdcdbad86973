//! Signature V4, step by step (OSS, "Include a V4 signature in the header" and "… in a URL").
//!
//! Servers that judge a request use the same steps as [`Signer`](super::Signer): take the request apart,
//! leave out the signature itself, and compare in constant time.

use std::borrow::Cow;
use std::fmt;
use std::sync::RwLock;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::canonical::{self, Parts};
use super::date;
use crate::encode;

/// Names the version: in `Authorization`, in `x-oss-signature-version`, and as first line of the string to
/// sign.
pub const ALGORITHM: &str = "OSS4-HMAC-SHA256";
/// The one value of `x-oss-content-sha256`: OSS does not have the body signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// The product of object storage itself.
pub const PRODUCT: &str = "oss";
const TERMINATOR: &str = "aliyun_v4_request";

/// What a signature is good for: `20231216/cn-hangzhou/oss/aliyun_v4_request`.
///
/// `date` is the first eight characters of `x-oss-date`.
pub fn scope(date: &str, region: &str, product: &str) -> String {
    [date, region, product, TERMINATOR].join("/")
}

/// How many seconds a URL may hold, at least 1: seven days, or twelve hours with the token of a temporary
/// AccessKey pair (OSS, "Include a V4 signature in a URL").
pub fn expires_max_seconds(has_token: bool) -> u64 {
    if has_token { 43_200 } else { 604_800 }
}

/// Reads an `x-oss-date` such as `20231216T162057Z`; none for anything else.
pub fn parse_date(text: &str) -> Option<SystemTime> {
    date::parse_iso8601_basic(text)
}

/// Whether a header is signed without being asked for: Content-Type, Content-MD5 and all `x-oss-*`.
pub fn is_signed_header(name: &str) -> bool {
    canonical::is_oss_header(name)
        || name.eq_ignore_ascii_case("content-type")
        || name.eq_ignore_ascii_case("content-md5")
}

/// The additional headers in their final form: those of `wanted` that `headers` hold and that are not
/// signed anyway, in lower case, sorted, each once.
pub fn additional_headers<'a>(
    wanted: impl IntoIterator<Item = &'a str>,
    headers: &[(&str, &str)],
) -> Vec<Cow<'a, str>> {
    let is_present = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let mut names: Vec<Cow<'a, str>> = wanted
        .into_iter()
        .filter(|name| !is_signed_header(name) && is_present(name))
        .map(canonical::lower_case)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The canonical request. `additional` as [`additional_headers`] makes them; by URL, `parts.query` holds
/// every `x-oss-` parameter of the signature but `x-oss-signature`.
pub fn canonical_request(parts: &Parts<'_>, additional: &[impl AsRef<str>]) -> String {
    let mut out = String::with_capacity(estimated_length(parts));
    out.push_str(parts.method);
    out.push('\n');
    parts.push_resource(&mut out, encode::push_path);
    out.push('\n');
    push_query(&mut out, &parts.query);
    out.push('\n');
    let is_additional =
        |name: &str| additional.iter().any(|wanted| wanted.as_ref().eq_ignore_ascii_case(name));
    parts.push_headers(&mut out, |name| is_signed_header(name) || is_additional(name));
    out.push('\n');
    for (index, name) in additional.iter().enumerate() {
        if index > 0 {
            out.push(';');
        }
        out.push_str(name.as_ref());
    }
    out.push('\n');
    out.push_str(parts.header("x-oss-content-sha256").unwrap_or(UNSIGNED_PAYLOAD));
    out
}

fn estimated_length(parts: &Parts<'_>) -> usize {
    let query: usize =
        parts.query.iter().map(|(name, value)| name.len() + value.unwrap_or("").len() + 8).sum();
    let headers: usize = parts.headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    query + headers + parts.key.map_or(0, |key| key.len() * 2) + 128
}

/// Sorted by encoded name, which is not the order of the plain ones; an empty value counts as none.
fn push_query(out: &mut String, query: &[(&str, Option<&str>)]) {
    let mut pairs: Vec<(Cow<'_, str>, &str)> =
        query.iter().map(|(name, value)| (encode::component(name), value.unwrap_or(""))).collect();
    pairs.sort();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        out.push_str(name);
        if !value.is_empty() {
            out.push('=');
            encode::push_component(out, value);
        }
    }
}

/// The string to sign, for the request's `x-oss-date` and [`scope`].
pub fn string_to_sign(date_time: &str, scope: &str, canonical_request: &str) -> String {
    let mut out = String::with_capacity(ALGORITHM.len() + date_time.len() + scope.len() + 67);
    for line in [ALGORITHM, date_time, scope] {
        out.push_str(line);
        out.push('\n');
    }
    canonical::push_hex(&mut out, &Sha256::digest(canonical_request));
    out
}

/// The key that signs for one day, region and product. It is wiped from memory when dropped, and never
/// shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// A key that was derived elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> SigningKey {
        SigningKey(bytes)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// Derives the key of a day such as `20231216`.
pub fn signing_key(access_key_secret: &str, date: &str, region: &str, product: &str) -> SigningKey {
    let mut start = format!("aliyun_v4{access_key_secret}").into_bytes();
    let mut key = SigningKey(hmac_sha256(&start, date));
    start.zeroize();
    for text in [region, product, TERMINATOR] {
        key = SigningKey(hmac_sha256(&key.0, text));
    }
    key
}

/// The signature: 64 lower-case hexadecimal digits.
pub fn signature(key: &SigningKey, string_to_sign: &str) -> String {
    canonical::hex(&hmac_sha256(&key.0, string_to_sign))
}

fn hmac_sha256(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The signing key of the day that was last asked for.
#[derive(Default)]
pub(super) struct DayKey(RwLock<Option<([u8; 8], SigningKey)>>);

impl DayKey {
    /// The key of `date`. Nobody ever waits here: a lock that another thread holds, or that a thread held
    /// when the process forked, only costs deriving the key again.
    pub(super) fn get(&self, date: &str, derive: impl FnOnce() -> SigningKey) -> SigningKey {
        if let Ok(slot) = self.0.try_read()
            && let Some((day, key)) = &*slot
            && day == date.as_bytes()
        {
            return key.clone();
        }
        let key = derive();
        if let (Ok(mut slot), Ok(day)) = (self.0.try_write(), date.as_bytes().try_into()) {
            *slot = Some((day, key.clone()));
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_sorted_by_encoded_name_in_byte_order() {
        let parts = Parts {
            method: "GET",
            query: vec![
                ("~", Some("1")),
                ("中", None),
                ("a-b", None),
                ("a b", None),
                ("a", Some("x/y")),
                ("B", Some("")),
            ],
            ..Parts::default()
        };
        let canonical = canonical_request(&parts, &[""; 0]);
        assert_eq!(canonical, "GET\n/\n%E4%B8%AD&B&a=x%2Fy&a%20b&a-b&~=1\n\n\nUNSIGNED-PAYLOAD");
    }

    #[test]
    fn additional_headers_are_present_not_signed_anyway_sorted_and_single() {
        let headers = [("Host", "h"), ("Range", "r"), ("Content-Type", "t"), ("x-oss-meta-a", "1")];
        let wanted = ["RANGE", "host", "Host", "content-type", "X-Oss-Meta-A", "etag"];
        assert_eq!(additional_headers(wanted, &headers), ["host", "range"]);
    }

    #[test]
    fn repeated_headers_are_joined_and_edge_blanks_dropped() {
        let parts = Parts {
            method: "PUT",
            bucket: Some("bkt"),
            headers: vec![
                ("X-Oss-Meta-B", " v1\t"),
                ("ignored", "x"),
                ("x-oss-meta-b", "v2"),
                ("x-oss-meta-a", "\u{a0}"),
            ],
            ..Parts::default()
        };
        let canonical = canonical_request(&parts, &[""; 0]);
        assert_eq!(canonical, "PUT\n/bkt/\n\nx-oss-meta-a:\u{a0}\nx-oss-meta-b:v1,v2\n\n\nUNSIGNED-PAYLOAD");
    }

    #[test]
    fn the_day_key_is_derived_once_a_day_and_when_the_lock_is_taken() {
        let cache = DayKey::default();
        let mut derived = 0;
        let mut get = |cache: &DayKey, date: &str| {
            cache.get(date, || {
                derived += 1;
                SigningKey([derived; 32])
            })
        };
        assert_eq!(get(&cache, "20231216").0[0], 1);
        assert_eq!(get(&cache, "20231216").0[0], 1);
        assert_eq!(get(&cache, "20231217").0[0], 2);
        let held = cache.0.write().unwrap();
        assert_eq!(get(&cache, "20231217").0[0], 3);
        drop(held);
        assert_eq!(get(&cache, "20231217").0[0], 2);
    }
}

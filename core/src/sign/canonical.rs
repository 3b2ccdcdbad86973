//! The pieces of a request that both signature versions look at, and how its headers are put in line.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::SignRequest;

/// A request taken apart, as a signer builds it or a server receives it. Nothing is checked here.
#[derive(Clone, Debug, Default)]
pub struct Parts<'a> {
    /// `GET`, `PUT`, …
    pub method: &'a str,
    /// Bucket, wherever the request names it (host, path, or a domain of the bucket's own).
    pub bucket: Option<&'a str>,
    /// Object key, decoded.
    pub key: Option<&'a str>,
    /// Query, decoded, without `x-oss-signature` (V4) or `Signature`, `OSSAccessKeyId` and `Expires` (V1).
    pub query: Vec<(&'a str, Option<&'a str>)>,
    /// Headers, as they were given or received.
    pub headers: Vec<(&'a str, &'a str)>,
}

impl<'a> From<&'a SignRequest> for Parts<'a> {
    fn from(request: &'a SignRequest) -> Parts<'a> {
        let mut query = Vec::with_capacity(request.query.len() + 6);
        query.extend(request.query.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
        let mut headers = Vec::with_capacity(request.headers.len() + 4);
        headers.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Parts {
            method: &request.method,
            bucket: request.bucket.as_deref(),
            key: request.key.as_deref(),
            query,
            headers,
        }
    }
}

impl Parts<'_> {
    /// The first header of that name, without blanks around its value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| trim(value))
    }

    /// Appends the resource, its key written by `push_key`: `/bucket/key`, `/bucket/` or `/`.
    pub(super) fn push_resource(&self, out: &mut String, push_key: impl FnOnce(&mut String, &str)) {
        out.push('/');
        if let Some(bucket) = self.bucket {
            out.push_str(bucket);
            out.push('/');
            if let Some(key) = self.key {
                push_key(out, key);
            }
        }
    }

    /// Appends `name:value` lines of the headers that `is_signed` picks: lower-case names in order, values
    /// without the blanks around them, repeated headers joined by commas as the Go SDK V2 does.
    pub(super) fn push_headers(&self, out: &mut String, is_signed: impl Fn(&str) -> bool) {
        let mut signed: Vec<(&str, &str)> =
            self.headers.iter().copied().filter(|(name, _)| is_signed(name)).collect();
        signed.sort_by(|(a, _), (b, _)| compare_ignoring_case(a, b));
        let mut previous = None;
        for (name, value) in signed {
            if previous.is_some_and(|previous: &str| previous.eq_ignore_ascii_case(name)) {
                out.pop();
                out.push(',');
            } else {
                out.push_str(&lower_case(name));
                out.push(':');
            }
            out.push_str(trim(value));
            out.push('\n');
            previous = Some(name);
        }
    }
}

/// Whether it starts with `x-oss-`, in any case.
pub(super) fn is_oss_header(name: &str) -> bool {
    name.as_bytes().get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"x-oss-"))
}

/// Without the blanks that HTTP drops around a header's value. Other white space, such as U+00A0, is part
/// of the value.
pub(super) fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// The order of the names in lower case.
pub(super) fn compare_ignoring_case(a: &str, b: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

pub(super) fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, bytes);
    text
}

pub(super) fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

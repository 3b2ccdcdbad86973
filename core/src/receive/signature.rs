//! What OSS signs of a callback request, and whether a signature fits: pure functions.
//!
//! Source: OSS, Callback, "Sign the callback request".

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;

use super::rsa::PublicKey;

/// The longest signature that is decoded: of an 8192-bit key, in Base64.
const MAX_AUTHORIZATION: usize = 1368;

/// What OSS signs: the path, percent-decoded once; `?` and the query as it stands, if there is a `?`;
/// a line feed; the body's bytes.
///
/// `target` is the raw request target (`/cb?id=1`). A `+` in the path stays a `+`, as in OSS's Python
/// sample (its PHP, Java and Ruby samples read a blank), and the `?` of an empty query is kept.
pub fn string_to_sign(target: &str, body: &[u8]) -> Vec<u8> {
    let head = signed_target(target);
    let mut string = Vec::with_capacity(head.len() + 1 + body.len());
    string.extend_from_slice(&head);
    string.push(b'\n');
    string.extend_from_slice(body);
    string
}

/// MD5 of [`string_to_sign`], without building it.
pub fn digest(target: &str, body: &[u8]) -> [u8; 16] {
    digest_of(&signed_target(target), body)
}

/// Whether `authorization` (the header's Base64) is `key`'s signature over this target and body.
pub fn is_valid(key: &PublicKey, target: &str, body: &[u8], authorization: &str) -> bool {
    decode(authorization).is_some_and(|signature| key.verify_md5(&digest(target, body), &signature))
}

/// The first line of the string to sign.
fn signed_target(target: &str) -> Cow<'_, [u8]> {
    let (path, query) = split_target(target);
    let path: Cow<'_, [u8]> = percent_decode_str(path).into();
    if query.is_empty() { path } else { [&path, query.as_bytes()].concat().into() }
}

/// Path, and query with its `?`.
pub(super) fn split_target(target: &str) -> (&str, &str) {
    target.split_at(target.find('?').unwrap_or(target.len()))
}

/// MD5 of a first line that is already decoded, a line feed, and a body.
pub(super) fn digest_of(head: &[u8], body: &[u8]) -> [u8; 16] {
    Md5::new().chain_update(head).chain_update(b"\n").chain_update(body).finalize().into()
}

/// The signature's bytes. Strict Base64: standard alphabet, padded, no blanks.
pub(super) fn decode(authorization: &str) -> Option<Vec<u8>> {
    if authorization.is_empty() || authorization.len() > MAX_AUTHORIZATION {
        return None;
    }
    STANDARD.decode(authorization).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKs/JBGzwUB2aVht4crBx3oIPBLNsjGs\n\
        C0fTXv+nvlmklvkcolvpvXLTjaxUHR3W9LXxQ2EHXAJfCB+6H2YF1k8CAwEAAQ==\n\
        -----END PUBLIC KEY-----\n";

    /// The worked example of OSS's Callback page (2021), and a production callback that a user
    /// published (aliyun-oss-python-sdk, issue 272): both signed by OSS's own key.
    const REAL: [(&str, &str, &str); 2] = [
        (
            "/index.php?id=1&index=2",
            "bucket=yonghu-test",
            "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==",
        ),
        (
            "/api/File/15/upload_notify/",
            "filename=zmaplex%2F20210407_14%3A31%3A41_286180%2F20200130021612_pnfqp.jpg&size=112595",
            "aMYUW1arI/qpU7cp/DCGXS56iFJPxwe7K3QIFVvbtSgiE6vwuu4/HuBxyDDX5IKU8vSJg/BI956SzVsRQt969g==",
        ),
    ];

    #[test]
    fn signatures_of_the_real_oss_verify() {
        let key = PublicKey::from_pem(KEY).unwrap();
        assert_eq!(key.bits(), 512);
        for (target, body, authorization) in REAL {
            assert!(is_valid(&key, target, body.as_bytes(), authorization), "{target}");
            assert!(!is_valid(&key, target, format!("{body}1").as_bytes(), authorization), "{target}");
            assert!(!is_valid(&key, &format!("{target}1"), body.as_bytes(), authorization), "{target}");
        }
    }

    #[test]
    fn the_path_is_decoded_once_and_the_query_not_at_all() {
        assert_eq!(string_to_sign("/a%252Fb%3F?q=%41+b", b"x=1\r\n"), b"/a%2Fb??q=%41+b\nx=1\r\n");
        assert_eq!(string_to_sign("/a+b", b""), b"/a+b\n");
        assert_eq!(string_to_sign("/?a=1?b", b""), b"/?a=1?b\n");
        assert_eq!(string_to_sign("/cb?", b"\xff"), b"/cb?\n\xff");
        assert_eq!(string_to_sign("/%zz%", b""), b"/%zz%\n");
        assert_eq!(string_to_sign("", b""), b"\n");
    }

    #[test]
    fn the_digest_is_that_of_the_string_to_sign() {
        for (target, body) in [("/a%20b?c=%20", &b"body"[..]), ("/", b""), ("/cb?", b"\n")] {
            let whole: [u8; 16] = Md5::digest(string_to_sign(target, body)).into();
            assert_eq!(digest(target, body), whole);
        }
    }

    #[test]
    fn a_signature_that_is_not_strict_base64_is_refused() {
        let (target, body, authorization) = REAL[0];
        let key = PublicKey::from_pem(KEY).unwrap();
        let unpadded = authorization.trim_end_matches('=');
        for other in [
            unpadded.to_owned(),
            format!(" {authorization}"),
            format!("{authorization}\n"),
            format!("OSS {authorization}"),
            authorization.replace('+', "-").replace('/', "_"),
            // The last character's unused bits are set.
            authorization.replace("A==", "B=="),
            String::new(),
            "A".repeat(1 << 20),
        ] {
            assert!(!is_valid(&key, target, body.as_bytes(), &other), "{other:.100}");
        }
    }
}

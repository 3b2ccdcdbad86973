//! Which bucket and key a request means.
//!
//! Clients address a bucket in several ways, and some of them mix two (`peers`: ali-oss names the bucket
//! in `Host` and, with `sldEnable`, in the path as well). The rule:
//!
//! 1. The host is that of an absolute-form request line (a proxy request), else the `Host` header;
//!    without port, in lower case.
//! 2. A host from the CNAME map is its bucket; the whole path is the key.
//! 3. An IP address, `localhost`, any other name without a dot, and OSS's own service hosts
//!    (`oss-cn-hangzhou.aliyuncs.com`) name no bucket: path style.
//! 4. Any other host names the bucket by its first label, whatever follows: `b.localhost`,
//!    `b.127.0.0.1`, `b.oss-cn-hangzhou.aliyuncs.com`.
//! 5. A request of kind 4 can be read in path style too. The signature covers bucket and key, so the
//!    reading that it fits is what the client meant; where it fits none, rule 4's reading is reported. A
//!    form's signature covers neither: `Exchange::form` settles it.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;

use crate::error::OssError;

/// A bucket and key, as far as the request names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub bucket: Option<String>,
    pub key: Option<String>,
}

/// The possible readings of a request, the likeliest first; never empty.
pub(crate) fn readings(
    host: &str,
    raw_path: &str,
    cnames: &[(String, String)],
) -> Result<Vec<Target>, OssError> {
    let host = bare_host(host);
    let in_path = || path_style(raw_path);
    if let Some((_, bucket)) = cnames.iter().find(|(name, _)| name.eq_ignore_ascii_case(&host)) {
        return Ok(vec![whole_path(bucket, raw_path)?]);
    }
    if host.parse::<IpAddr>().is_ok() || !host.contains('.') || is_service_host(&host) {
        return Ok(vec![in_path()?]);
    }
    let bucket = host.split('.').next().unwrap_or_default();
    let named_by_host = whole_path(bucket, raw_path)?;
    let mut readings = vec![named_by_host];
    if let Ok(target) = in_path()
        && target.bucket.is_some()
    {
        readings.push(target);
    }
    Ok(readings)
}

/// Host without port, brackets and final dot, in lower case.
fn bare_host(host: &str) -> String {
    let host = host.trim();
    let name = match host.strip_prefix('[') {
        Some(ipv6) => ipv6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// `oss-cn-hangzhou.aliyuncs.com`, `oss-accelerate.aliyuncs.com`, `cn-hangzhou.oss.aliyuncs.com`.
fn is_service_host(host: &str) -> bool {
    let Some(rest) = host.strip_suffix(".aliyuncs.com") else { return false };
    match rest.split('.').collect::<Vec<_>>()[..] {
        [one] => one == "oss" || one.starts_with("oss-"),
        [_region, "oss"] => true,
        _ => false,
    }
}

fn whole_path(bucket: &str, raw_path: &str) -> Result<Target, OssError> {
    let key = decoded(raw_path.strip_prefix('/').unwrap_or(raw_path))?;
    Ok(Target { bucket: Some(bucket.to_owned()), key: Some(key).filter(|key| !key.is_empty()) })
}

fn path_style(raw_path: &str) -> Result<Target, OssError> {
    let path = raw_path.strip_prefix('/').unwrap_or(raw_path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Target { bucket: some(decoded(bucket)?), key: some(decoded(key)?) })
}

fn decoded(text: &str) -> Result<String, OssError> {
    percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| {
        OssError::new(400, "InvalidObjectName", "The specified object is not valid: its name is not UTF-8.")
            .with("ObjectName", text)
    })
}

/// 3 to 63 lower-case letters, digits and hyphens, a letter or digit at both ends (OSS, "Bucket naming").
pub(crate) fn check_bucket_name(name: &str) -> Result<(), OssError> {
    let bytes = name.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric);
    if fits {
        return Ok(());
    }
    Err(OssError::new(400, "InvalidBucketName", "The specified bucket is not valid.")
        .with("BucketName", name))
}

/// 1 to 1023 bytes of UTF-8, not starting with `/` or `\` (OSS, "Object naming").
pub(crate) fn check_key(key: &str) -> Result<(), OssError> {
    if (1..=1023).contains(&key.len()) && !key.starts_with(['/', '\\']) {
        return Ok(());
    }
    Err(OssError::new(400, "InvalidObjectName", "The specified object is not valid.").with("ObjectName", key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(host: &str, path: &str) -> Vec<(Option<String>, Option<String>)> {
        let cnames = vec![("img.example.com".to_owned(), "pictures".to_owned())];
        readings(host, path, &cnames).unwrap().into_iter().map(|t| (t.bucket, t.key)).collect()
    }

    fn target(bucket: &str, key: &str) -> (Option<String>, Option<String>) {
        (Some(bucket.to_owned()).filter(|b| !b.is_empty()), Some(key.to_owned()).filter(|k| !k.is_empty()))
    }

    #[test]
    fn hosts_that_name_no_bucket_mean_path_style() {
        for host in [
            "127.0.0.1:9000",
            "[::1]:80",
            "localhost",
            "LOCALHOST:1",
            "oss",
            "oss-cn-hangzhou.aliyuncs.com",
            "cn-hangzhou.oss.aliyuncs.com",
            "",
        ] {
            assert_eq!(read(host, "/bkt/a/b"), [target("bkt", "a/b")], "{host}");
            assert_eq!(read(host, "/bkt"), [target("bkt", "")], "{host}");
            assert_eq!(read(host, "/bkt/"), [target("bkt", "")], "{host}");
            assert_eq!(read(host, "/"), [target("", "")], "{host}");
        }
    }

    #[test]
    fn the_first_label_names_the_bucket() {
        for host in
            ["bkt.localhost:9000", "bkt.oss-cn-hangzhou.aliyuncs.com", "bkt.127.0.0.1", "BKT.any.where."]
        {
            assert_eq!(read(host, "/a")[0], target("bkt", "a"), "{host}");
            assert_eq!(read(host, "/"), [target("bkt", "")], "{host}");
        }
    }

    #[test]
    fn a_bucket_in_host_and_path_leaves_both_readings_to_the_signature() {
        assert_eq!(
            read("bkt.oss-cn-hangzhou.aliyuncs.com", "/bkt/key"),
            [target("bkt", "bkt/key"), target("bkt", "key")]
        );
    }

    #[test]
    fn a_cname_is_its_bucket_and_nothing_else() {
        assert_eq!(read("IMG.example.com:80", "/a/b"), [target("pictures", "a/b")]);
    }

    #[test]
    fn keys_come_through_byte_for_byte() {
        assert_eq!(read("127.0.0.1", "/bkt//a/../b/./c"), [target("bkt", "/a/../b/./c")]);
        assert_eq!(read("127.0.0.1", "/bkt/a%2Fb%252F+%3F"), [target("bkt", "a/b%2F+?")]);
        assert_eq!(read("bkt.localhost", "/%E4%BD%A0")[0], target("bkt", "你"));
    }

    #[test]
    fn a_key_that_is_not_utf8_is_refused() {
        assert_eq!(readings("127.0.0.1", "/bkt/%ff", &[]).unwrap_err().code, "InvalidObjectName");
    }

    #[test]
    fn names_are_checked_as_oss_does() {
        for good in ["abc", "a-1", "0-0", &"a".repeat(63)] {
            assert!(check_bucket_name(good).is_ok(), "{good}");
        }
        for bad in ["ab", "-abc", "abc-", "Abc", "a_b", "a.b", &"a".repeat(64), "你好吗"] {
            assert_eq!(check_bucket_name(bad).unwrap_err().code, "InvalidBucketName", "{bad}");
        }
        assert!(check_key(&"k".repeat(1023)).is_ok() && check_key("..").is_ok());
        for bad in ["", "/a", "\\a", &"k".repeat(1024)] {
            assert_eq!(check_key(bad).unwrap_err().code, "InvalidObjectName", "{bad}");
        }
    }
}

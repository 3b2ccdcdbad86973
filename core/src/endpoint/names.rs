//! Names of buckets, keys and regions, as OSS allows them, and the path that a key becomes.

use crate::encode;
use crate::error::{Error, Result};

/// Checks a bucket's name: 3 to 63 of a-z, 0-9 and `-`, starting and ending with a letter or digit
/// (OSS, "Bucket naming").
pub(crate) fn check_bucket(bucket: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let message = if bucket.is_empty() {
        "must not be empty"
    } else if !(3..=63).contains(&bucket.len()) {
        "must have 3 to 63 characters"
    } else if !bucket.bytes().all(allowed) {
        "may hold only lower-case letters, digits and `-`"
    } else if bucket.starts_with('-') || bucket.ends_with('-') {
        "must start and end with a letter or digit"
    } else {
        return Ok(());
    };
    Err(Error::invalid_argument("bucket", message))
}

/// Checks an object key: 1 to 1023 bytes, not starting with `/` or `\` (OSS, "Object naming").
pub(crate) fn check_key(key: &str) -> Result<()> {
    let error = |message: &str| Err(Error::invalid_argument("key", message));
    match key.as_bytes() {
        [] => error("must not be empty"),
        [b'/', ..] => Err(Error::invalid_argument("key", "must not start with `/`")
            .with_hint("Write `folder/name.jpg`, not `/folder/name.jpg`")),
        [b'\\', ..] => error("must not start with `\\`"),
        b"." | b".." => Err(Error::invalid_argument(
            "key",
            "must not be `.` or `..`: HTTP clients and proxies take such a path for a folder",
        )),
        bytes if bytes.len() > 1023 => Err(Error::invalid_argument(
            "key",
            format!("has {} bytes of UTF-8; OSS allows 1023", bytes.len()),
        )),
        _ => Ok(()),
    }
}

/// Checks a region's name, such as `cn-hangzhou`, or a cloud box's id.
pub(crate) fn check_region(region: &str) -> Result<()> {
    if let Some(plain) = region.strip_prefix("oss-") {
        return Err(Error::invalid_argument("region", "must be the region's name without `oss-` before it")
            .with_hint(format!("Write `{plain}`")));
    }
    check_label("region", region, "cn-hangzhou")
}

/// Checks a word of lower-case letters, digits and `-`, as regions and products are.
pub(crate) fn check_label(field: &'static str, text: &str, example: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid_argument(field, "must not be empty")
            .with_hint(format!("Write the {field}'s name, such as `{example}`")));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() > 50 || !text.bytes().all(allowed) || text.starts_with('-') || text.ends_with('-') {
        return Err(Error::invalid_argument(
            field,
            format!("must be lower-case letters, digits and `-`, such as `{example}`"),
        ));
    }
    Ok(())
}

/// Appends a checked key as it goes over the wire.
///
/// URL parsers, reqwest's and browsers' among them, resolve the segments `.` and `..`, also when written
/// `%2e`. So a slash beside such a segment is written `%2F`: the segment then never stands alone, and
/// OSS decodes it back (oss2 writes every slash so).
pub(super) fn push_key(path: &mut String, key: &str) {
    let is_dot = |segment: &str| matches!(segment, "." | "..");
    if !key.split('/').any(is_dot) {
        return encode::push_path(path, key);
    }
    let mut before: Option<&str> = None;
    for segment in key.split('/') {
        if let Some(before) = before {
            path.push_str(if is_dot(before) || is_dot(segment) { "%2F" } else { "/" });
        }
        encode::push_component(path, segment);
        before = Some(segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_naming_rules() {
        for good in ["abc", "my-bucket-1", "0a0", &"a".repeat(63)] {
            check_bucket(good).unwrap();
        }
        for bad in ["", "ab", "-abc", "abc-", "Abc", "a_b", "a.b", "a b", "bücket", &"a".repeat(64)] {
            assert_eq!(check_bucket(bad).unwrap_err().field(), Some("bucket"), "{bad}");
        }
    }

    #[test]
    fn keys_follow_the_naming_rules() {
        for good in ["a", "a/../b", "...", "a\\b", "中", &"k".repeat(1023)] {
            check_key(good).unwrap();
        }
        for bad in ["", "/a", "\\a", ".", "..", &"k".repeat(1024), &"中".repeat(342)] {
            assert_eq!(check_key(bad).unwrap_err().field(), Some("key"), "{bad}");
        }
    }

    #[test]
    fn a_region_with_the_oss_prefix_is_refused_with_the_right_name() {
        let error = check_region("oss-cn-hangzhou").unwrap_err();
        assert_eq!((error.field(), error.hint()), (Some("region"), Some("Write `cn-hangzhou`")));
        for bad in ["", "cn hangzhou", "CN-hangzhou", "cn/hangzhou", "-cn", "oss-", "cn-hangzhou\n"] {
            assert_eq!(check_region(bad).unwrap_err().field(), Some("region"), "{bad}");
        }
        check_region("cn-hangzhou").unwrap();
        check_region("cb-f8z7yvzgwfkl9q0h").unwrap();
    }

    #[test]
    fn slashes_are_hidden_only_beside_dot_segments() {
        for (key, path) in [
            ("a/b//c.txt", "a/b//c.txt"),
            ("a/.b/c..", "a/.b/c.."),
            ("a/../b", "a%2F..%2Fb"),
            ("./a/b", ".%2Fa/b"),
            ("x/a/..", "x/a%2F.."),
            ("../..", "..%2F.."),
            ("%2e/a", "%252e/a"),
        ] {
            let mut out = String::new();
            push_key(&mut out, key);
            assert_eq!(out, path);
        }
    }
}

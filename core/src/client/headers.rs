//! From upload options to request headers, refusing what OSS would refuse or what would not arrive.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use md5::{Digest, Md5};

use crate::body::Source;
use crate::encode::push_query;
use crate::error::{Error, Result};
use crate::options::{PutOptions, ServerSideEncryption};

/// User metadata is limited to 8 KB together (OSS, PutObject).
const METADATA_BYTES_MAX: usize = 8 * 1024;

/// An object has at most 10 tags (OSS, PutObjectTagging).
const TAGS_MAX: usize = 10;

/// In bit/s (OSS, single-connection bandwidth throttling).
const TRAFFIC_LIMIT: std::ops::RangeInclusive<u64> = 819_200..=838_860_800;

/// Headers that the library sets, and the option to use instead, where there is one.
const OWN_HEADERS: &[(&str, Option<&str>)] = &[
    ("authorization", None),
    ("cache-control", Some("cache_control")),
    ("connection", None),
    ("content-disposition", Some("content_disposition")),
    ("content-encoding", Some("content_encoding")),
    ("content-length", None),
    ("content-md5", Some("content_md5")),
    ("content-type", Some("content_type")),
    ("date", None),
    ("expires", Some("expires")),
    ("host", Some("endpoint")),
    ("transfer-encoding", None),
    ("user-agent", Some("user_agent")),
    ("x-oss-callback", Some("callback")),
    ("x-oss-callback-var", Some("callback")),
    ("x-oss-content-sha256", None),
    ("x-oss-date", None),
    ("x-oss-forbid-overwrite", Some("forbid_overwrite")),
    ("x-oss-object-acl", Some("acl")),
    ("x-oss-security-token", Some("security_token")),
    ("x-oss-server-side-data-encryption", Some("server_side_data_encryption")),
    ("x-oss-server-side-encryption", Some("server_side_encryption")),
    ("x-oss-server-side-encryption-key-id", Some("server_side_encryption_key_id")),
    ("x-oss-storage-class", Some("storage_class")),
    ("x-oss-tagging", Some("tagging")),
    ("x-oss-traffic-limit", Some("traffic_limit")),
];

pub(super) fn of_put(key: &str, source: &Source, options: &PutOptions) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::with_capacity(16);
    let mut set = |name: &str, value: Cow<'_, str>| headers.push((name.to_owned(), value.into_owned()));

    match &options.content_type {
        Some(content_type) => set("content-type", text("content_type", content_type)?.into()),
        None => set("content-type", guess_content_type(key).into()),
    }
    if let Some(md5) = &options.content_md5 {
        set("content-md5", content_md5(md5, source)?);
    }
    let plain = [
        ("cache_control", "cache-control", &options.cache_control),
        ("content_disposition", "content-disposition", &options.content_disposition),
        ("content_encoding", "content-encoding", &options.content_encoding),
        (
            "server_side_encryption_key_id",
            "x-oss-server-side-encryption-key-id",
            &options.server_side_encryption_key_id,
        ),
    ];
    for (option, header, value) in plain {
        if let Some(value) = value {
            set(header, text(option, value)?.into());
        }
    }
    if let Some(expires) = &options.expires {
        httpdate::parse_http_date(expires).map_err(|_| {
            Error::invalid_argument("expires", "must be an HTTP date such as `Sun, 22 Nov 2026 18:00:00 GMT`")
        })?;
        set("expires", expires.into());
    }
    let named = [
        ("x-oss-object-acl", options.acl.map(|acl| acl.as_str())),
        ("x-oss-storage-class", options.storage_class.map(|class| class.as_str())),
        ("x-oss-server-side-encryption", options.server_side_encryption.map(|kind| kind.as_str())),
        ("x-oss-server-side-data-encryption", options.server_side_data_encryption.map(|kind| kind.as_str())),
        ("x-oss-forbid-overwrite", options.forbid_overwrite.map(|yes| if yes { "true" } else { "false" })),
    ];
    for (header, value) in named {
        if let Some(value) = value {
            set(header, value.into());
        }
    }
    needs_kms(options)?;
    if let Some(limit) = options.traffic_limit {
        if !TRAFFIC_LIMIT.contains(&limit) {
            let message = format!(
                "is {limit}, but must be from {} to {} bit/s",
                TRAFFIC_LIMIT.start(),
                TRAFFIC_LIMIT.end()
            );
            return Err(Error::invalid_argument("traffic_limit", message));
        }
        set("x-oss-traffic-limit", limit.to_string().into());
    }
    if let Some(tagging) = tagging(&options.tagging)? {
        set("x-oss-tagging", tagging.into());
    }
    headers.extend(metadata(&options.metadata)?);
    headers.extend(further(&options.headers)?);
    Ok(headers)
}

fn guess_content_type(key: &str) -> &'static str {
    // Only the last segment: a dot in a folder's name says nothing of the object.
    let name = key.rsplit('/').next().unwrap_or(key);
    mime_guess::from_path(name).first_raw().unwrap_or("application/octet-stream")
}

fn content_md5<'a>(given: &'a str, source: &Source) -> Result<Cow<'a, str>> {
    if given == "auto" {
        let mut md5 = Md5::new();
        match source {
            Source::Bytes(bytes) => md5.update(bytes),
            // The header goes before the data: the file is read twice.
            Source::File(file) => file.scan(0, file.length, |piece| {
                md5.update(piece);
                Ok(())
            })?,
            Source::Stream { .. } => {
                return Err(Error::invalid_argument(
                    "content_md5",
                    "cannot be `auto` for a stream: the digest goes before the data, which can be read only once",
                ));
            }
        }
        return Ok(BASE64.encode(md5.finalize()).into());
    }
    match BASE64.decode(given) {
        Ok(digest) if digest.len() == 16 => Ok(given.into()),
        _ => Err(Error::invalid_argument(
            "content_md5",
            "must be the Base64 of the 16 bytes of an MD5 digest (24 characters, not hex), or `auto`",
        )),
    }
}

fn needs_kms(options: &PutOptions) -> Result<()> {
    let given = [
        ("server_side_encryption_key_id", options.server_side_encryption_key_id.is_some()),
        ("server_side_data_encryption", options.server_side_data_encryption.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) if options.server_side_encryption != Some(ServerSideEncryption::Kms) => {
            Err(Error::invalid_argument(*option, "goes only together with server_side_encryption `KMS`"))
        }
        _ => Ok(()),
    }
}

fn tagging(tags: &[(String, String)]) -> Result<Option<String>> {
    if tags.len() > TAGS_MAX {
        let message = format!("has {} tags, but an object takes at most {TAGS_MAX}", tags.len());
        return Err(Error::invalid_argument("tagging", message));
    }
    for (index, (name, _)) in tags.iter().enumerate() {
        if name.is_empty() {
            return Err(Error::invalid_argument("tagging", "has a tag without a name"));
        }
        if tags[..index].iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::invalid_argument("tagging", format!("has the tag `{name}` twice")));
        }
    }
    let mut encoded = String::new();
    push_query(&mut encoded, tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
    Ok((!encoded.is_empty()).then_some(encoded))
}

fn metadata(pairs: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let refuse = |message: String| Err(Error::invalid_argument("metadata", message));
    let mut headers: Vec<(String, String)> = Vec::with_capacity(pairs.len());
    let mut total = 0;
    for (name, value) in pairs {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return refuse(format!("has the name `{name}`: use letters, digits and `-` only"));
        }
        if !is_header_text(value) {
            return refuse(format!(
                "has a value for `{name}` that is not visible ASCII: encode it, for instance by percent-encoding"
            ));
        }
        let header = format!("x-oss-meta-{}", name.to_ascii_lowercase());
        if headers.iter().any(|(earlier, _)| *earlier == header) {
            return refuse(format!("has the name `{name}` twice (case does not count)"));
        }
        total += name.len() + value.len();
        headers.push((header, value.clone()));
    }
    if total > METADATA_BYTES_MAX {
        return refuse(format!("is {total} bytes long, but OSS takes at most {METADATA_BYTES_MAX}"));
    }
    Ok(headers)
}

fn further(pairs: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let refuse = |message: String| Err(Error::invalid_argument("headers", message));
    let mut headers: Vec<(String, String)> = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let lower = name.to_ascii_lowercase();
        if let Some((_, option)) = OWN_HEADERS.iter().find(|(own, _)| *own == lower) {
            return refuse(match option {
                Some(option) => format!("must not hold `{name}`: use `{option}`"),
                None => format!("must not hold `{name}`: the library sets it"),
            });
        }
        if lower.starts_with("x-oss-meta-") {
            return refuse(format!("must not hold `{name}`: use `metadata`"));
        }
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return refuse(format!("holds `{}`, which is not a header name", name.escape_debug()));
        }
        if !is_header_text(value) {
            return refuse(format!("holds a value for `{name}` that is not visible ASCII"));
        }
        if headers.iter().any(|(earlier, _)| *earlier == lower) {
            return refuse(format!("holds `{name}` twice (case does not count)"));
        }
        headers.push((lower, value.clone()));
    }
    Ok(headers)
}

fn text<'a>(option: &'static str, value: &'a str) -> Result<&'a str> {
    if value.trim().is_empty() {
        return Err(Error::invalid_argument(option, "must not be empty"));
    }
    if !is_header_text(value) {
        return Err(Error::invalid_argument(option, "must be visible ASCII without line breaks"));
    }
    Ok(value)
}

fn is_header_text(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

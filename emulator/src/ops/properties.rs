//! What an upload's headers say of the object: checked on the way in, repeated on the way out.

use super::{Exchange, tagging};
use crate::error::OssError;
use crate::request::Request;
use crate::store::Properties;

/// All user metadata of an object together, in bytes (OSS, PutObject).
const META_LIMIT: usize = 8 * 1024;
/// Bits per second (OSS, "Single-connection bandwidth throttling").
const TRAFFIC_LIMITS: std::ops::RangeInclusive<u64> = 819_200..=838_860_800;

/// Kept and answered as they came.
const KEPT: &[&str] =
    &["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// Headers with a fixed set of values.
const CHOICES: &[(&str, &[&str])] = &[
    ("x-oss-object-acl", &["default", "private", "public-read", "public-read-write"]),
    ("x-oss-storage-class", &["Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"]),
    ("x-oss-server-side-encryption", &["AES256", "KMS", "SM4"]),
    ("x-oss-server-side-data-encryption", &["AES256", "SM4"]),
    ("x-oss-forbid-overwrite", &["true", "false"]),
];

impl Exchange {
    pub(super) fn properties(&self) -> Result<Properties, OssError> {
        check_choices(&self.request)?;
        check_traffic_limit(&self.request)?;
        let header = |name: &str| self.request.header(name).map(str::to_owned);
        let mut headers = Vec::new();
        for name in
            KEPT.iter().chain(&["x-oss-server-side-encryption", "x-oss-server-side-encryption-key-id"])
        {
            headers.extend(header(name).map(|value| ((*name).to_owned(), value)));
        }
        headers.extend(user_metadata(&self.request)?);
        Ok(Properties {
            content_type: header("content-type").unwrap_or_else(|| "application/octet-stream".to_owned()),
            acl: header("x-oss-object-acl").unwrap_or_else(|| "default".to_owned()),
            storage_class: header("x-oss-storage-class").unwrap_or_else(|| "Standard".to_owned()),
            tags: self
                .request
                .header("x-oss-tagging")
                .map(tagging::of_header)
                .transpose()?
                .unwrap_or_default(),
            headers,
        })
    }
}

fn check_choices(request: &Request) -> Result<(), OssError> {
    for (name, choices) in CHOICES {
        let Some(value) = request.header(name) else { continue };
        let known = match *name {
            "x-oss-forbid-overwrite" => choices.iter().any(|choice| choice.eq_ignore_ascii_case(value)),
            _ => choices.contains(&value),
        };
        if !known {
            let message = format!("The {name} header must be one of {}.", choices.join(", "));
            return Err(OssError::bad_argument(name, value, message));
        }
    }
    Ok(())
}

fn check_traffic_limit(request: &Request) -> Result<(), OssError> {
    const NAME: &str = "x-oss-traffic-limit";
    let value = match (request.header(NAME), request.query.get(NAME)) {
        (None, None) => return Ok(()),
        (Some(_), Some(_)) => {
            return Err(OssError::invalid_argument(
                "x-oss-traffic-limit must be in the header or the query, not both.",
            ));
        }
        (Some(value), None) | (None, Some(value)) => value,
    };
    if value.parse().is_ok_and(|limit| TRAFFIC_LIMITS.contains(&limit)) {
        return Ok(());
    }
    Err(OssError::bad_argument(
        NAME,
        value,
        format!(
            "The traffic limit must be between {} and {} bit/s.",
            TRAFFIC_LIMITS.start(),
            TRAFFIC_LIMITS.end()
        ),
    ))
}

fn user_metadata(request: &Request) -> Result<Vec<(String, String)>, OssError> {
    let all = request.header_pairs().filter(|(name, _)| name.starts_with("x-oss-meta-"));
    let all: Vec<(String, String)> = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let size: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size <= META_LIMIT {
        return Ok(all);
    }
    Err(OssError::new(400, "MetaDataTooLarge", "The user metadata of an object must not exceed 8 KB."))
}

//! Signature V1 as the server sees it (OSS, "Include a V1 signature in the Authorization header" and
//! "… in a URL").

use std::time::{Duration, UNIX_EPOCH};

use oss_callback::sign::{Parts, v1};

use super::error::{expired, mismatch, missing, too_skewed};
use super::{Claim, Judge, Version};
use crate::error::OssError;
use crate::query::Query;
use crate::request::Request;

/// How far a request's time may be from the server's.
pub(super) const SKEW_LIMIT: Duration = Duration::from_secs(15 * 60);

impl Judge<'_> {
    /// `Authorization: OSS <AccessKeyId>:<signature>`.
    pub(super) fn v1_header(&self, request: &Request, value: &str) -> Result<Claim, OssError> {
        let (id, signature) = value
            .split_once(':')
            .ok_or_else(|| OssError::invalid_argument("Authorization header is invalid."))?;
        let headers = Parts { headers: request.header_pairs().collect(), ..Parts::default() };
        let date = v1::date_line(&headers).ok_or_else(|| missing("the header Date or x-oss-date"))?;
        let time = httpdate::parse_http_date(date).map_err(|_| missing("the header Date or x-oss-date"))?;
        if request.now > time + SKEW_LIMIT || time > request.now + SKEW_LIMIT {
            return Err(too_skewed(time, request.now));
        }
        let key = self.key(id, request.header("x-oss-security-token"), request.now)?;
        Ok(Claim { key, signature: signature.to_owned(), version: Version::V1 { date: date.to_owned() } })
    }

    /// `OSSAccessKeyId`, `Expires` and `Signature`.
    pub(super) fn v1_url(&self, request: &Request, query: &Query) -> Result<Claim, OssError> {
        let piece = |name: &'static str| {
            query.get(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
        };
        let (id, date, signature) = (piece("OSSAccessKeyId")?, piece("Expires")?, piece("Signature")?);
        let expires = date
            .parse()
            .ok()
            .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .ok_or_else(|| missing("Expires"))?;
        if request.now > expires {
            return Err(expired(expires, request.now));
        }
        let key = self.key(id, query.get("security-token"), request.now)?;
        Ok(Claim { key, signature: signature.to_owned(), version: Version::V1 { date: date.to_owned() } })
    }
}

impl Claim {
    pub(super) fn verify_v1(&self, parts: &Parts<'_>, date: &str) -> Result<(), OssError> {
        let string_to_sign = v1::string_to_sign(parts, date);
        if self.fits(&v1::signature(&self.key.secret, &string_to_sign)) {
            return Ok(());
        }
        Err(mismatch(&self.key.id, &self.signature, &string_to_sign).with_ec("0002-00000040"))
    }
}

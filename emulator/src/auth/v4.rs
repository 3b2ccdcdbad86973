//! Signature V4 as the server sees it (OSS, "Include a V4 signature in the Authorization header" and
//! "… in a URL").

use std::time::{Duration, SystemTime};

use oss_callback::sign::{Parts, v4};

use super::error::{expired, mismatch, missing, too_skewed};
use super::v1::SKEW_LIMIT;
use super::{Claim, Judge, Version};
use crate::error::OssError;
use crate::query::Query;
use crate::request::Request;

/// `<access key id>/<yyyymmdd>/<region>/oss/aliyun_v4_request`.
pub(super) struct Credential<'c> {
    pub id: &'c str,
    pub region: &'c str,
}

impl Judge<'_> {
    /// `Credential=…[,AdditionalHeaders=…],Signature=…`, in any order.
    pub(super) fn v4_header(&self, request: &Request, value: &str) -> Result<Claim, OssError> {
        let malformed = || OssError::invalid_argument("Authorization header is invalid.");
        let (mut credential, mut additional, mut signature) = (None, None, None);
        for piece in value.split(',') {
            let (name, value) = piece.trim().split_once('=').ok_or_else(malformed)?;
            let place = match name {
                "Credential" => &mut credential,
                "AdditionalHeaders" => &mut additional,
                "Signature" => &mut signature,
                _ => return Err(malformed()),
            };
            *place = Some(value.trim());
        }
        let date_time = request.header("x-oss-date").ok_or_else(|| missing("the header x-oss-date"))?.trim();
        let time = v4::parse_date(date_time).ok_or_else(|| missing("the header x-oss-date"))?;
        let credential = Self::credential(credential.ok_or_else(malformed)?, date_time)?;
        if credential.region != self.region {
            return Err(OssError::invalid_argument("Invalid signing region in Authorization header.")
                .with("ExpectedRegion", self.region)
                .with_ec("0002-00000226"));
        }
        match request.header("x-oss-content-sha256") {
            Some(v4::UNSIGNED_PAYLOAD) => {}
            _ => return Err(OssError::invalid_argument("x-oss-content-sha256 must be UNSIGNED-PAYLOAD.")),
        }
        if request.now > time + SKEW_LIMIT || time > request.now + SKEW_LIMIT {
            return Err(too_skewed(time, request.now));
        }
        let key = self.key(credential.id, request.header("x-oss-security-token"), request.now)?;
        Ok(Claim {
            key,
            signature: signature.ok_or_else(malformed)?.to_owned(),
            version: Version::V4 {
                date_time: date_time.to_owned(),
                region: credential.region.to_owned(),
                additional_headers: additional_headers(request, additional)?,
            },
        })
    }

    /// `x-oss-signature-version`, `x-oss-credential`, `x-oss-date`, `x-oss-expires`, `x-oss-signature`.
    pub(super) fn v4_url(&self, request: &Request, query: &Query) -> Result<Claim, OssError> {
        let piece = |name: &'static str| {
            query.get(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
        };
        if piece("x-oss-signature-version")? != v4::ALGORITHM {
            return Err(missing("x-oss-signature-version"));
        }
        let (date_time, signature) = (piece("x-oss-date")?, piece("x-oss-signature")?);
        let time = v4::parse_date(date_time).ok_or_else(|| missing("x-oss-date"))?;
        let credential = Self::credential(piece("x-oss-credential")?, date_time)?;
        if credential.region != self.region {
            return Err(OssError::invalid_argument("The signing region in credential is invalid.")
                .with("ExpectedRegion", self.region));
        }
        let token = query.get("x-oss-security-token");
        let seconds: u64 = piece("x-oss-expires")?.parse().map_err(|_| missing("x-oss-expires"))?;
        check_period(time, seconds, token.is_some(), request.now)?;
        headers_agree(request, query)?;
        let key = self.key(credential.id, token, request.now)?;
        Ok(Claim {
            key,
            signature: signature.to_owned(),
            version: Version::V4 {
                date_time: date_time.to_owned(),
                region: credential.region.to_owned(),
                additional_headers: additional_headers(request, query.get("x-oss-additional-headers"))?,
            },
        })
    }

    pub(super) fn credential<'c>(text: &'c str, date_time: &str) -> Result<Credential<'c>, OssError> {
        let malformed = || OssError::invalid_argument("The credential of the signature is invalid.");
        // An id may hold a slash as far as the format goes, so the scope is cut off from behind.
        let mut pieces = text.rsplitn(5, '/');
        let mut next = || pieces.next().ok_or_else(malformed);
        let (terminator, product, region, date, id) = (next()?, next()?, next()?, next()?, next()?);
        if terminator != "aliyun_v4_request"
            || product != v4::PRODUCT
            || !date_time.starts_with(date)
            || date.len() != 8
        {
            return Err(malformed());
        }
        Ok(Credential { id, region })
    }
}

/// Accepted while `time` - 15 min ≤ now ≤ `time` + `seconds`.
fn check_period(time: SystemTime, seconds: u64, temporary: bool, now: SystemTime) -> Result<(), OssError> {
    let limit = v4::expires_max_seconds(temporary);
    if !(1..=limit).contains(&seconds) {
        return Err(OssError::invalid_argument(format!(
            "x-oss-expires must be between 1 and {limit} seconds."
        ))
        .with("ArgumentName", "x-oss-expires")
        .with("ArgumentValue", seconds.to_string()));
    }
    if time > now + SKEW_LIMIT {
        return Err(too_skewed(time, now));
    }
    let expires = time + Duration::from_secs(seconds);
    if now > expires { Err(expired(expires, now)) } else { Ok(()) }
}

/// A parameter of the same name as a signed header must say the same ("… in a URL").
fn headers_agree(request: &Request, query: &Query) -> Result<(), OssError> {
    for (name, value) in query.pairs() {
        let name = name.to_ascii_lowercase();
        if !v4::is_signed_header(&name) {
            continue;
        }
        if request.header(&name).is_some_and(|header| header != value.as_deref().unwrap_or("")) {
            return Err(OssError::invalid_argument(format!(
                "The header {name} and the query parameter {name} have different values."
            )));
        }
    }
    Ok(())
}

/// The list as sent, checked: not empty, no empty name (such as a trailing `;` makes), and no header that is
/// signed anyway.
fn additional_headers(request: &Request, list: Option<&str>) -> Result<Vec<String>, OssError> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let names: Vec<&str> = list.split(';').collect();
    if names.iter().any(|name| name.is_empty()) {
        let ec = if list.is_empty() { "0002-00000209" } else { "0002-00000210" };
        return Err(OssError::invalid_argument("The additional headers of the signature must not be empty.")
            .with_ec(ec));
    }
    if let Some(name) = names.iter().find(|name| v4::is_signed_header(name)) {
        return Err(OssError::invalid_argument(format!(
            "The header {name} is always signed and must not be listed among the additional headers."
        )));
    }
    let headers: Vec<(&str, &str)> = request.header_pairs().collect();
    let present = v4::additional_headers(names.iter().copied(), &headers);
    if let Some(name) =
        names.iter().find(|name| !present.iter().any(|found| found.eq_ignore_ascii_case(name)))
    {
        return Err(OssError::invalid_argument(format!("The additional header {name} was not sent.")));
    }
    Ok(present.into_iter().map(|name| name.into_owned()).collect())
}

impl Claim {
    pub(super) fn verify_v4(
        &self,
        parts: &Parts<'_>,
        date_time: &str,
        region: &str,
        additional_headers: &[String],
    ) -> Result<(), OssError> {
        // The date was parsed before, so it has its eight digits.
        let date = date_time.get(..8).unwrap_or_default();
        let canonical_request = v4::canonical_request(parts, additional_headers);
        let string_to_sign =
            v4::string_to_sign(date_time, &v4::scope(date, region, v4::PRODUCT), &canonical_request);
        let key = v4::signing_key(&self.key.secret, date, region, v4::PRODUCT);
        if self.fits(&v4::signature(&key, &string_to_sign)) {
            return Ok(());
        }
        Err(mismatch(&self.key.id, &self.signature, &string_to_sign)
            .with("CanonicalRequest", canonical_request)
            .with_ec("0002-00000201"))
    }
}

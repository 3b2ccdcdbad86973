//! The signature of a form (OSS, PostObject): over its policy, and nothing else.

use std::time::{Duration, SystemTime};

use oss_callback::sign::{v1, v4};

use super::error::{expired, mismatch, missing, too_skewed};
use super::v1::SKEW_LIMIT;
use super::{Claim, Judge, Version};
use crate::error::OssError;
use crate::ops::Form;

impl Judge<'_> {
    /// The policy, as it was signed.
    pub fn check_form<'f>(&self, form: &'f Form, now: SystemTime) -> Result<&'f str, OssError> {
        let v4 = ["x-oss-signature-version", "x-oss-signature", "x-oss-credential"];
        let v1 = ["OSSAccessKeyId", "Signature", "policy"];
        let has = |names: &[&str]| names.iter().any(|name| form.get(name).is_some());
        match (has(&v4), has(&v1)) {
            (true, _) => self.check_v4_form(form, now),
            (false, true) => self.check_v1_form(form, now),
            (false, false) => Err(OssError::access_denied(
                "You have no right to access this object: the form is not signed, and the emulator serves no \
                 anonymous requests.",
            )),
        }
    }

    fn check_v1_form<'f>(&self, form: &'f Form, now: SystemTime) -> Result<&'f str, OssError> {
        // Any one of them makes the others mandatory.
        let field = |name: &str| {
            form.get(name).ok_or_else(|| {
                OssError::invalid_argument(format!("Bucket POST must contain the field '{name}'."))
            })
        };
        let (id, policy, signature) = (field("OSSAccessKeyId")?, field("policy")?, field("Signature")?);
        let key = self.key(id, form.get("x-oss-security-token"), now)?;
        let wanted = v1::signature(&key.secret, policy);
        let version = Version::V1 { date: String::new() };
        self.judge_form(Claim { key, signature: signature.to_owned(), version }, &wanted, policy)
    }

    fn check_v4_form<'f>(&self, form: &'f Form, now: SystemTime) -> Result<&'f str, OssError> {
        let field = |name: &'static str| form.get(name).ok_or_else(|| missing(name));
        if field("x-oss-signature-version")? != v4::ALGORITHM {
            return Err(missing("x-oss-signature-version"));
        }
        let (policy, signature, date_time) =
            (field("policy")?, field("x-oss-signature")?, field("x-oss-date")?);
        let time = v4::parse_date(date_time).ok_or_else(|| missing("x-oss-date"))?;
        let credential = Self::credential(field("x-oss-credential")?, date_time)?;
        if credential.region != self.region {
            return Err(OssError::invalid_argument("The signing region in credential is invalid.")
                .with("ExpectedRegion", self.region));
        }
        if time > now + SKEW_LIMIT {
            return Err(too_skewed(time, now));
        }
        // The documents of forms name this limit alone, with a token or without.
        let expires = time + Duration::from_secs(v4::expires_max_seconds(false));
        if now > expires {
            return Err(expired(expires, now));
        }
        let key = self.key(credential.id, form.get("x-oss-security-token"), now)?;
        let date = date_time.get(..8).unwrap_or_default();
        let wanted = v4::signature(&v4::signing_key(&key.secret, date, self.region, v4::PRODUCT), policy);
        let version = Version::V4 {
            date_time: date_time.to_owned(),
            region: self.region.to_owned(),
            additional_headers: Vec::new(),
        };
        self.judge_form(Claim { key, signature: signature.to_owned(), version }, &wanted, policy)
    }

    fn judge_form<'f>(&self, claim: Claim, wanted: &str, policy: &'f str) -> Result<&'f str, OssError> {
        if claim.fits(wanted) {
            return Ok(policy);
        }
        Err(mismatch(&claim.key.id, &claim.signature, policy))
    }
}

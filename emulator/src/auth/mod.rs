//! Who signed a request, and whether the signature is right.
//!
//! The canonical forms are the core's (`oss_callback::sign`); here is what only a server does: taking a
//! received request apart, looking keys up, judging times, and saying what it would have signed. Where a
//! request can be read in several ways (`address`, `query`), the reading that its signature fits wins.

mod error;
mod form;
mod keys;
#[cfg(test)]
mod tests;
mod v1;
mod v4;

use oss_callback::sign::Parts;
use subtle::ConstantTimeEq;

use crate::address::Target;
use crate::error::OssError;
use crate::query::Query;
use crate::request::Request;

pub use keys::AccessKey;

/// One way to read a request.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub target: Target,
    pub query: Query,
}

/// What the check needs to know of the emulator.
pub(crate) struct Judge<'j> {
    pub keys: &'j [AccessKey],
    pub region: &'j str,
}

impl Judge<'_> {
    /// Finds the reading that the signature fits.
    pub fn check(&self, request: &Request, readings: &[Reading]) -> Result<Reading, OssError> {
        let first = readings.first().ok_or_else(|| OssError::internal("a request without a reading"))?;
        let claim = self.claim(request, &first.query)?;
        let mut refusal = None;
        for reading in readings {
            match claim.verify(request, reading) {
                Ok(()) => return Ok(reading.clone()),
                // The first reading is the likeliest, so its string to sign helps most.
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| OssError::internal("a request without a reading")))
    }

    /// What the request claims, by header or by URL; everything but the signature is judged here.
    fn claim(&self, request: &Request, query: &Query) -> Result<Claim, OssError> {
        let authorization = request.header("authorization").map(str::trim);
        let v1_url = ["OSSAccessKeyId", "Signature"].iter().any(|name| query.has(name));
        let v4_url = ["x-oss-signature-version", "x-oss-signature", "x-oss-credential"]
            .iter()
            .any(|name| query.has(name));
        match (authorization, v1_url, v4_url) {
            (Some(_), true, _) | (Some(_), _, true) | (_, true, true) => Err(OssError::invalid_argument(
                "Only one of the Authorization header and the signature in the URL may be given.",
            )),
            (Some(value), ..) => match value.split_once(' ') {
                Some(("OSS", rest)) => self.v1_header(request, rest.trim()),
                Some((oss_callback::sign::v4::ALGORITHM, rest)) => self.v4_header(request, rest),
                _ => {
                    Err(OssError::invalid_argument("Unsupported Authorization Type").with_ec("0002-00000002"))
                }
            },
            (None, true, _) => self.v1_url(request, query),
            (None, _, true) => self.v4_url(request, query),
            (None, false, false) => Err(OssError::access_denied(
                "You have no right to access this object: the request is not signed, and the emulator \
                 serves no anonymous requests.",
            )),
        }
    }
}

/// A signature and what it was computed with.
struct Claim {
    key: AccessKey,
    signature: String,
    version: Version,
}

enum Version {
    V1 {
        /// The line of the date: `Date`, `x-oss-date` or `Expires`.
        date: String,
    },
    V4 {
        date_time: String,
        region: String,
        additional_headers: Vec<String>,
    },
}

impl Claim {
    fn verify(&self, request: &Request, reading: &Reading) -> Result<(), OssError> {
        let parts = parts(request, reading);
        match &self.version {
            Version::V1 { date } => self.verify_v1(&parts, date),
            Version::V4 { date_time, region, additional_headers } => {
                self.verify_v4(&parts, date_time, region, additional_headers)
            }
        }
    }

    fn fits(&self, wanted: &str) -> bool {
        self.signature.as_bytes().ct_eq(wanted.as_bytes()).into()
    }
}

/// The request as the signer takes it: without the parts of the query that carry the signature.
fn parts<'r>(request: &'r Request, reading: &'r Reading) -> Parts<'r> {
    let carries_signature = |name: &str| {
        matches!(name, "x-oss-signature" | "Signature" | "OSSAccessKeyId")
            // Elsewhere `Expires` is a parameter like others.
            || name == "Expires" && reading.query.has("Signature")
    };
    Parts {
        method: request.method.as_str(),
        bucket: reading.target.bucket.as_deref(),
        key: reading.target.key.as_deref(),
        query: reading
            .query
            .pairs()
            .iter()
            .filter(|(name, _)| !carries_signature(name))
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect(),
        headers: request.header_pairs().collect(),
    }
}

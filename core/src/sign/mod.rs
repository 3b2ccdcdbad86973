//! Request signing, V1 and V4: pure functions, no clock, no I/O.
//!
//! [`Signer`] checks what a caller asks for and puts a signature together. [`v1`] and [`v4`] hold the steps
//! themselves, for servers that judge a request and for whoever wants to see where two signers part; [`policy`]
//! says what a POST policy demands.

mod canonical;
mod date;
mod header;
pub mod policy;
mod request;
mod url;
pub mod v1;
pub mod v4;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::credentials::Credentials;
use crate::endpoint::{Endpoint, check_label, check_region};
use crate::error::{Error, Result};
use crate::options::{Addressing, Network, SignatureVersion};

pub use canonical::Parts;

/// Signs requests for any HTTP client. One serves all threads; clones share the cached key of the day.
#[derive(Clone)]
pub struct Signer {
    credentials: Credentials,
    /// Set for V4.
    scope: Option<Scope>,
    /// V1 signs for no region; one that was named all the same tells the endpoint.
    named_region: Option<String>,
}

/// Where a V4 signature holds.
#[derive(Clone)]
struct Scope {
    region: String,
    product: String,
    day_key: Arc<v4::DayKey>,
}

impl Scope {
    /// `date_time` as in `x-oss-date`.
    fn text(&self, date_time: &str) -> String {
        v4::scope(day(date_time), &self.region, &self.product)
    }

    fn signature(&self, credentials: &Credentials, date_time: &str, string_to_sign: &str) -> String {
        let date = day(date_time);
        let secret = credentials.access_key_secret();
        let key =
            self.day_key.get(date, || v4::signing_key(secret.expose(), date, &self.region, &self.product));
        v4::signature(&key, string_to_sign)
    }
}

/// The `20231216` of `20231216T162057Z`.
fn day(date_time: &str) -> &str {
    date_time.get(..8).unwrap_or(date_time)
}

/// What is to be signed.
#[derive(Clone, Debug, Default)]
pub struct SignRequest {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Bucket; none for a request to the service.
    pub bucket: Option<String>,
    /// Object key, as it is, not encoded; none for a request to the bucket.
    pub key: Option<String>,
    /// Query, decoded: name, and value where there is one.
    pub query: Vec<(String, Option<String>)>,
    /// Headers that will be sent.
    pub headers: Vec<(String, String)>,
    /// V4: further headers to sign, in any case and order. Those that are signed anyway or that `headers`
    /// lack are passed over; `host` in a URL is known from the endpoint.
    pub additional_headers: Vec<String>,
}

/// A signature and how it came about.
#[derive(Clone)]
pub struct Signed {
    /// Headers to add to the request, `Authorization` last.
    pub headers: Vec<(String, String)>,
    /// The signature itself.
    pub signature: String,
    /// V4 only.
    pub canonical_request: Option<String>,
    /// What the signature is computed over.
    pub string_to_sign: String,
}

/// A signed URL, and the headers that must be sent with it.
#[derive(Clone)]
pub struct PresignedRequest {
    /// Method that was signed.
    pub method: String,
    /// The URL. Whoever holds it can make the request until it expires.
    pub url: String,
    /// Headers that must be sent unchanged: those of the request that the signature covers.
    pub headers: Vec<(String, String)>,
    /// The signature itself.
    pub signature: String,
    /// V4 only.
    pub canonical_request: Option<String>,
    /// What the signature is computed over.
    pub string_to_sign: String,
}

impl Signer {
    /// Signature version 4, for a region such as `cn-hangzhou`; for a cloud box, its id.
    ///
    /// # Errors
    /// `invalid_argument` for `region` if it is empty, starts with `oss-` or is no region's name.
    pub fn v4(credentials: Credentials, region: impl Into<String>) -> Result<Signer> {
        let region = region.into();
        check_region(&region)?;
        let scope = Scope { region, product: v4::PRODUCT.to_owned(), day_key: Arc::default() };
        Ok(Signer { credentials, scope: Some(scope), named_region: None })
    }

    /// Signature version 1, which Alibaba Cloud is withdrawing: new accounts cannot use it.
    pub fn v1(credentials: Credentials) -> Signer {
        Signer { credentials, scope: None, named_region: None }
    }

    /// A signer by choices that may be absent, with the library's defaults: version 4, which needs a region,
    /// and the product `oss`. The way in for other languages.
    ///
    /// # Errors
    /// As [`v4`](Signer::v4) and [`with_product`](Signer::with_product); `oss` is every version's product.
    pub fn from_choices(
        credentials: Credentials,
        version: Option<SignatureVersion>,
        region: Option<&str>,
        product: Option<&str>,
    ) -> Result<Signer> {
        let signer = match version.unwrap_or(SignatureVersion::V4) {
            SignatureVersion::V1 => {
                let named_region = region.map(str::to_owned);
                Signer { named_region, ..Signer::v1(credentials) }
            }
            SignatureVersion::V4 => Signer::v4(credentials, region.unwrap_or_default())?,
        };
        match product {
            Some(product) if product != v4::PRODUCT => signer.with_product(product),
            _ => Ok(signer),
        }
    }

    /// The endpoint of signed URLs: the one that is named, or else the public one of the signer's region.
    ///
    /// # Errors
    /// As [`Endpoint::parse`] and [`Endpoint::of_region`].
    pub fn endpoint(&self, named: Option<&str>) -> Result<Endpoint> {
        match named {
            Some(text) => Endpoint::parse(text),
            None => Endpoint::of_region(self.region().unwrap_or_default(), Network::Public),
        }
    }

    /// V4: another product than `oss`, such as `oss-cloudbox`.
    ///
    /// # Errors
    /// `invalid_argument` for `product` if it is no product's name, or with a signer of version 1.
    pub fn with_product(mut self, product: impl Into<String>) -> Result<Signer> {
        let product = product.into();
        check_label("product", &product, v4::PRODUCT)?;
        let Some(scope) = &mut self.scope else {
            return Err(Error::invalid_argument("product", "is part of signature V4 only"));
        };
        scope.product = product;
        // A cache of its own: the key depends on the product, and clones of the old signer live on.
        scope.day_key = Arc::default();
        Ok(self)
    }

    /// Which version this signer writes.
    pub fn version(&self) -> SignatureVersion {
        if self.scope.is_some() { SignatureVersion::V4 } else { SignatureVersion::V1 }
    }

    /// V4: the region it signs for. V1: the one that it was made with, if any.
    pub fn region(&self) -> Option<&str> {
        self.scope.as_ref().map(|scope| scope.region.as_str()).or(self.named_region.as_deref())
    }

    /// Signs by headers: those of the result are to be sent beside those of the request.
    ///
    /// V1 goes by the request's `x-oss-date` or `Date` where one is given, and adds `Date` otherwise.
    ///
    /// # Errors
    /// `invalid_argument` for `method`, `bucket`, `key`, `query`, `headers`, `additional_headers` or `time`
    /// if OSS would refuse it or if it could not be sent as it is signed. So are parameters and headers that
    /// belong to the signature itself, and signed headers given twice.
    pub fn sign(&self, request: &SignRequest, time: SystemTime) -> Result<Signed> {
        match &self.scope {
            Some(scope) => header::sign_v4(&self.credentials, scope, request, time),
            None => header::sign_v1(&self.credentials, request, time),
        }
    }

    /// Signs by URL, to hold for `expires_in` from `time`: at least a second, and by V4 at most 7 days, or
    /// 12 hours with an STS token. Fractions of a second are dropped.
    ///
    /// # Errors
    /// As [`sign`](Signer::sign), and `invalid_argument` for `expires_in`, for `addressing` or `endpoint` if
    /// they do not fit the bucket, and for `query` if it contradicts a signed header.
    pub fn presign(
        &self,
        request: &SignRequest,
        endpoint: &Endpoint,
        addressing: Addressing,
        expires_in: Duration,
        time: SystemTime,
    ) -> Result<PresignedRequest> {
        let place = url::Place { endpoint, addressing, expires_in, time };
        match &self.scope {
            Some(scope) => url::presign_v4(&self.credentials, scope, request, &place),
            None => url::presign_v1(&self.credentials, request, &place),
        }
    }

    /// The conditions that a POST policy must hold to be signed by this signer at `time`, as names and
    /// values: those of signature V4, and that of an STS token. V1 demands none.
    ///
    /// # Errors
    /// `invalid_argument` for `time` if it lies outside the years 1970 to 9999.
    pub fn policy_conditions(&self, time: SystemTime) -> Result<Vec<(String, String)>> {
        let Some(scope) = &self.scope else {
            return Ok(Vec::new());
        };
        let date_time = date::iso8601_basic(time)?;
        let credential = [self.credentials.access_key_id(), "/", &scope.text(&date_time)].concat();
        let mut conditions = vec![
            ("x-oss-signature-version".to_owned(), v4::ALGORITHM.to_owned()),
            ("x-oss-credential".to_owned(), credential),
            ("x-oss-date".to_owned(), date_time),
        ];
        conditions.extend(self.token_field());
        Ok(conditions)
    }

    /// The form fields that a signed POST policy adds to a form, in order. They must stand before the
    /// field `file`.
    ///
    /// # Errors
    /// `invalid_argument` for `policy` if it is not JSON, or lacks `expiration`, `conditions` or one of the
    /// [`policy_conditions`](Signer::policy_conditions); for `time` as there.
    pub fn sign_policy(&self, policy_json: &str, time: SystemTime) -> Result<Vec<(String, String)>> {
        let conditions = self.policy_conditions(time)?;
        let required: Vec<(&str, &str)> =
            conditions.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        policy::check(policy_json, &required)?;
        let encoded = policy::encode(policy_json);
        let mut fields = Vec::with_capacity(6);
        match &self.scope {
            Some(scope) => {
                let date_time = date::iso8601_basic(time)?;
                let signature = scope.signature(&self.credentials, &date_time, &encoded);
                fields.push(("policy".to_owned(), encoded));
                fields.extend(conditions);
                fields.push(("x-oss-signature".to_owned(), signature));
            }
            None => {
                let signature = v1::signature(self.credentials.access_key_secret().expose(), &encoded);
                fields.push(("OSSAccessKeyId".to_owned(), self.credentials.access_key_id().to_owned()));
                fields.push(("policy".to_owned(), encoded));
                fields.extend(self.token_field());
                fields.push(("Signature".to_owned(), signature));
            }
        }
        Ok(fields)
    }

    fn token_field(&self) -> Option<(String, String)> {
        let token = self.credentials.security_token()?;
        Some(("x-oss-security-token".to_owned(), token.expose().to_owned()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Signer");
        debug.field("version", &self.version().as_str());
        debug.field("access_key_id", &self.credentials.access_key_id());
        if let Some(scope) = &self.scope {
            debug.field("region", &scope.region).field("product", &scope.product);
        }
        debug.finish_non_exhaustive()
    }
}

// The canonical request, V1's string to sign and the URL hold the STS token, and the signature is as good
// as a password until it expires: none of them is shown.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("headers", &names(&self.headers)).finish_non_exhaustive()
    }
}

impl fmt::Debug for PresignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedRequest")
            .field("method", &self.method)
            .field("url", &self.url.split('?').next().unwrap_or(""))
            .field("headers", &names(&self.headers))
            .finish_non_exhaustive()
    }
}

fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests;

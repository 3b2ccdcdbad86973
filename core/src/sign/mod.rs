//! Request signing, V1 and V4: pure functions, no clock, no I/O.

use std::time::{Duration, SystemTime};

use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::options::Addressing;

/// Signs requests for any HTTP client.
#[derive(Clone, Debug)]
pub struct Signer(());

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
    /// V4: further headers to sign.
    pub additional_headers: Vec<String>,
}

/// A signature and how it came about.
#[derive(Clone)]
pub struct Signed {
    /// Headers to add to the request, `Authorization` among them.
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
    /// Headers that must be sent unchanged.
    pub headers: Vec<(String, String)>,
    /// The signature itself.
    pub signature: String,
    /// V4 only.
    pub canonical_request: Option<String>,
    /// What the signature is computed over.
    pub string_to_sign: String,
}

impl Signer {
    /// Signature version 4, for a region such as `cn-hangzhou`.
    pub fn v4(_credentials: Credentials, _region: impl Into<String>) -> Result<Signer> {
        todo!()
    }
    /// Signature version 1.
    pub fn v1(_credentials: Credentials) -> Signer {
        todo!()
    }
    /// V4: another product than `oss`, such as `oss-cloudbox`.
    pub fn with_product(self, _product: impl Into<String>) -> Result<Signer> {
        todo!()
    }
    /// Signs by headers.
    pub fn sign(&self, _request: &SignRequest, _time: SystemTime) -> Result<Signed> {
        todo!()
    }
    /// Signs by URL.
    pub fn presign(
        &self,
        _request: &SignRequest,
        _endpoint: &Endpoint,
        _addressing: Addressing,
        _expires_in: Duration,
        _time: SystemTime,
    ) -> Result<PresignedRequest> {
        todo!()
    }
    /// The form fields that a signed POST policy adds to a form, in order.
    pub fn sign_policy(&self, _policy_json: &str, _time: SystemTime) -> Result<Vec<(String, String)>> {
        todo!()
    }
}

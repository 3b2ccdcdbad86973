//! Signing requests that others send.

use oss_callback::sign::SignRequest;
use oss_callback::{Addressing, Credentials};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::callback::dict;
use crate::convert::{self, optional_text, text};
use crate::errors::raised;
use crate::handles::Live;

/// Signs requests for any HTTP client. One serves all threads.
///
/// `region`, such as `cn-hangzhou`, is needed by version `v4`; with `v1` it only tells where signed URLs
/// go. `product` is `oss`, or such as `oss-cloudbox`. `security_token` belongs to temporary credentials.
///
/// Raises CredentialsError for credentials that cannot be sent, and InvalidArgumentError for the rest.
#[pyclass(frozen, module = "oss_callback")]
pub(crate) struct Signer {
    inner: oss_callback::Signer,
    _live: Live,
}

#[pymethods]
impl Signer {
    #[new]
    #[pyo3(signature = (
        access_key_id, access_key_secret, *, security_token=None, region=None, product="oss", version="v4"
    ))]
    fn new(
        py: Python<'_>,
        access_key_id: Bound<'_, PyAny>,
        access_key_secret: Bound<'_, PyAny>,
        security_token: Option<Bound<'_, PyAny>>,
        region: Option<Bound<'_, PyAny>>,
        product: &str,
        version: &str,
    ) -> PyResult<Signer> {
        let (id, secret) =
            (text("access_key_id", &access_key_id)?, text("access_key_secret", &access_key_secret)?);
        let token = optional_text("security_token", security_token.as_ref())?;
        let region = optional_text("region", region.as_ref())?;
        let made = || {
            let mut credentials = Credentials::new(id, secret)?;
            if let Some(token) = token {
                credentials = credentials.with_security_token(token)?;
            }
            let version = Some(version.parse()?);
            oss_callback::Signer::from_choices(credentials, version, region.as_deref(), Some(product))
        };
        Ok(Signer { inner: made().map_err(|error| raised(py, &error))?, _live: Live::new() })
    }

    /// Signs by headers, and returns those to send beside your own, `Authorization` among them.
    ///
    /// `headers` are those that will be sent, `query` is pairs with None for a name without a value (or a
    /// mapping), both as they are before encoding. `additional_headers` are further names to sign (V4).
    /// `time` is an aware datetime or Unix seconds; now by default.
    ///
    /// Raises InvalidArgumentError for what OSS would refuse, or what could not be sent as it is signed.
    #[pyo3(signature = (
        method, *, bucket=None, key=None, query=None, headers=None, additional_headers=None, time=None
    ), text_signature = "($self, method, *, bucket=None, key=None, query=(), headers=None, additional_headers=(), time=None)")]
    fn sign<'py>(
        &self,
        py: Python<'py>,
        method: Bound<'py, PyAny>,
        bucket: Option<Bound<'py, PyAny>>,
        key: Option<Bound<'py, PyAny>>,
        query: Option<Bound<'py, PyAny>>,
        headers: Option<Bound<'py, PyAny>>,
        additional_headers: Option<Bound<'py, PyAny>>,
        time: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let request = request(&method, bucket, key, query, headers, additional_headers)?;
        let time = convert::moment("time", time.as_ref())?;
        let signed = self.inner.sign(&request, time).map_err(|error| raised(py, &error))?;
        dict(py, &signed.headers)
    }

    /// Signs by URL: whoever holds it can make the request until it expires.
    ///
    /// `expires_in` is seconds or a timedelta, from `time` on: by V4 at most 7 days, or 12 hours with a
    /// `security_token`. `endpoint` is the region's by default, `addressing` says where the bucket's name
    /// goes: `auto`, `virtual`, `path` or `cname`. The rest is as for `sign`.
    ///
    /// Raises InvalidArgumentError as `sign` does.
    #[pyo3(signature = (
        method, *, endpoint=None, addressing="auto", bucket=None, key=None, expires_in, query=None,
        headers=None, additional_headers=None, time=None
    ), text_signature = "($self, method, *, endpoint=None, addressing='auto', bucket=None, key=None, expires_in, query=(), headers=None, additional_headers=(), time=None)")]
    fn presign<'py>(
        &self,
        py: Python<'py>,
        method: Bound<'py, PyAny>,
        endpoint: Option<Bound<'py, PyAny>>,
        addressing: &str,
        bucket: Option<Bound<'py, PyAny>>,
        key: Option<Bound<'py, PyAny>>,
        expires_in: Bound<'py, PyAny>,
        query: Option<Bound<'py, PyAny>>,
        headers: Option<Bound<'py, PyAny>>,
        additional_headers: Option<Bound<'py, PyAny>>,
        time: Option<Bound<'py, PyAny>>,
    ) -> PyResult<PresignedRequest> {
        let request = request(&method, bucket, key, query, headers, additional_headers)?;
        let endpoint = optional_text("endpoint", endpoint.as_ref())?;
        let expires_in = convert::duration("expires_in", &expires_in)?;
        let time = convert::moment("time", time.as_ref())?;
        let signed = || {
            let endpoint = self.inner.endpoint(endpoint.as_deref())?;
            let addressing: Addressing = addressing.parse()?;
            self.inner.presign(&request, &endpoint, addressing, expires_in, time)
        };
        let signed = signed().map_err(|error| raised(py, &error))?;
        let headers = dict(py, &signed.headers)?.unbind();
        Ok(PresignedRequest { method: signed.method, url: signed.url, headers, _live: Live::new() })
    }

    /// The conditions that a POST policy must hold to be signed at `time`, as names and values. V1 demands
    /// none.
    #[pyo3(signature = (*, time=None))]
    fn policy_conditions<'py>(
        &self,
        py: Python<'py>,
        time: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let time = convert::moment("time", time.as_ref())?;
        dict(py, &self.inner.policy_conditions(time).map_err(|error| raised(py, &error))?)
    }

    /// The form fields that a POST form needs beside its own, in order. They must stand before the field
    /// `file`.
    ///
    /// Raises InvalidArgumentError for a policy that is not JSON, or lacks `expiration`, `conditions` or
    /// one of `policy_conditions`.
    #[pyo3(signature = (policy_json, *, time=None))]
    fn sign_policy<'py>(
        &self,
        py: Python<'py>,
        policy_json: Bound<'py, PyAny>,
        time: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (policy, time) = (text("policy", &policy_json)?, convert::moment("time", time.as_ref())?);
        dict(py, &self.inner.sign_policy(policy, time).map_err(|error| raised(py, &error))?)
    }

    fn __repr__(&self) -> String {
        let region = self.inner.region().map(|region| format!(" {region}")).unwrap_or_default();
        format!("<Signer {}{region}>", self.inner.version().as_str())
    }
}

fn request(
    method: &Bound<'_, PyAny>,
    bucket: Option<Bound<'_, PyAny>>,
    key: Option<Bound<'_, PyAny>>,
    query: Option<Bound<'_, PyAny>>,
    headers: Option<Bound<'_, PyAny>>,
    additional_headers: Option<Bound<'_, PyAny>>,
) -> PyResult<SignRequest> {
    let query = query.map(|query| convert::query("query", &query)).transpose()?;
    let headers = headers.map(|headers| convert::pairs("headers", &headers)).transpose()?;
    let additional = additional_headers.map(|names| convert::texts("additional_headers", &names));
    Ok(SignRequest {
        method: text("method", method)?.to_owned(),
        bucket: optional_text("bucket", bucket.as_ref())?,
        key: optional_text("key", key.as_ref())?,
        query: query.unwrap_or_default(),
        headers: headers.unwrap_or_default(),
        additional_headers: additional.transpose()?.unwrap_or_default(),
    })
}

/// A signed URL, and the headers that must be sent with it.
#[pyclass(frozen, module = "oss_callback")]
pub(crate) struct PresignedRequest {
    method: String,
    url: String,
    headers: Py<PyDict>,
    _live: Live,
}

#[pymethods]
impl PresignedRequest {
    #[new]
    #[pyo3(signature = (method, url, headers))]
    fn new(
        py: Python<'_>,
        method: String,
        url: String,
        headers: Bound<'_, PyAny>,
    ) -> PyResult<PresignedRequest> {
        let headers = convert::pairs("headers", &headers)?;
        Ok(PresignedRequest { method, url, headers: dict(py, &headers)?.unbind(), _live: Live::new() })
    }

    /// Method that was signed.
    #[getter]
    fn method(&self) -> &str {
        &self.method
    }

    /// The URL. Whoever holds it can make the request until it expires.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// Headers that must be sent unchanged: those of the request that the signature covers.
    #[getter]
    fn headers(&self, py: Python<'_>) -> Py<PyDict> {
        self.headers.clone_ref(py)
    }

    fn __repr__(&self) -> String {
        // The query is as good as a password.
        format!("<PresignedRequest {} {}?…>", self.method, self.url.split('?').next().unwrap_or_default())
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (&self.method, &self.url, self.headers.clone_ref(py)).into_pyobject(py)
    }
}

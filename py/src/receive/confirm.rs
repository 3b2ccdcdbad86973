//! Asking OSS whether what a callback tells is so.

use std::time::SystemTime;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::shown;
use crate::convert;

/// What OSS says of an object whose callback it has confirmed.
///
/// It can also be made by hand, to test code that takes one.
#[pyclass(frozen, eq, hash, module = "oss_callback")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Confirmation {
    etag: Option<String>,
    size: Option<u64>,
    crc64: Option<u64>,
    content_type: Option<String>,
    last_modified: Option<SystemTime>,
    version_id: Option<String>,
    request_id: Option<String>,
}

impl From<oss_callback::Confirmation> for Confirmation {
    fn from(found: oss_callback::Confirmation) -> Confirmation {
        Confirmation {
            etag: found.etag,
            size: found.size,
            crc64: found.crc64,
            content_type: found.content_type,
            last_modified: found.last_modified,
            version_id: found.version_id,
            request_id: found.request_id,
        }
    }
}

#[pymethods]
impl Confirmation {
    #[new]
    #[pyo3(signature = (
        *, etag=None, size=None, crc64=None, content_type=None, last_modified=None, version_id=None,
        request_id=None
    ))]
    fn new(
        etag: Option<String>,
        size: Option<u64>,
        crc64: Option<u64>,
        content_type: Option<String>,
        last_modified: Option<Bound<'_, PyAny>>,
        version_id: Option<String>,
        request_id: Option<String>,
    ) -> PyResult<Confirmation> {
        let last_modified =
            last_modified.map(|time| convert::moment("last_modified", Some(&time))).transpose()?;
        Ok(Confirmation { etag, size, crc64, content_type, last_modified, version_id, request_id })
    }

    /// ETag, without quotes.
    #[getter]
    fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// Size in bytes.
    #[getter]
    fn size(&self) -> Option<u64> {
        self.size
    }

    /// CRC-64.
    #[getter]
    fn crc64(&self) -> Option<u64> {
        self.crc64
    }

    /// Content-Type.
    #[getter]
    fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// When it was stored, to the second.
    #[getter]
    fn last_modified(&self) -> Option<SystemTime> {
        self.last_modified
    }

    /// Version, in a versioned bucket.
    #[getter]
    fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }

    /// OSS's id of the question.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut facts = Vec::new();
        for (name, value) in self.facts(py)?.iter() {
            if !value.is_none() {
                facts.push(format!("{name}={}", shown(py, value)?));
            }
        }
        Ok(format!("Confirmation({})", facts.join(", ")))
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        Ok((PyTuple::empty(py), self.facts(py)?))
    }
}

impl Confirmation {
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let facts = PyDict::new(py);
        facts.set_item("etag", &self.etag)?;
        facts.set_item("size", self.size)?;
        facts.set_item("crc64", self.crc64)?;
        facts.set_item("content_type", &self.content_type)?;
        facts.set_item("last_modified", self.last_modified)?;
        facts.set_item("version_id", &self.version_id)?;
        facts.set_item("request_id", &self.request_id)?;
        Ok(facts)
    }
}

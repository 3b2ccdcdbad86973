//! Answers to callbacks, made and checked by the core.

use bytes::Bytes;
use oss_callback::receive::answer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::convert;
use crate::errors::{raised, wrong_type};

/// An HTTP answer to a callback request, for any framework: `status`, `headers`, `body`.
#[pyclass(frozen, eq, module = "oss_callback")]
#[derive(PartialEq)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl From<answer::Reply> for Reply {
    fn from(reply: answer::Reply) -> Reply {
        let headers = reply.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Reply { status: reply.status, headers, body: reply.body }
    }
}

#[pymethods]
impl Reply {
    #[new]
    #[pyo3(signature = (status, headers, body))]
    fn new(status: u16, headers: Bound<'_, PyAny>, body: Bound<'_, PyAny>) -> PyResult<Reply> {
        Ok(Reply {
            status,
            headers: convert::pairs("headers", &headers)?,
            body: convert::bytes("body", &body)?,
        })
    }

    /// HTTP status.
    #[getter]
    fn status(&self) -> u16 {
        self.status
    }

    /// `Content-Type` and `Content-Length`.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        crate::callback::dict(py, &self.headers)
    }

    /// The body, which OSS passes on to the uploader unchanged.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    fn __repr__(&self) -> String {
        format!("<Reply {} body={} bytes>", self.status, self.body.len())
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};

        let mut hasher = DefaultHasher::new();
        (self.status, &self.body).hash(&mut hasher);
        hasher.finish()
    }

    fn __getnewargs__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(u16, Bound<'py, PyDict>, Bound<'py, PyBytes>)> {
        Ok((self.status, self.headers(py)?, self.body(py)))
    }
}

/// The answer that makes the upload succeed. The uploader gets it as it is.
///
/// `answer` is what `json.dumps` takes, such as a dict; str and bytes are taken as JSON text already.
///
/// Raises InvalidArgumentError for what OSS refuses: nothing at all, a byte order mark, invalid JSON, or
/// more than 1 MB.
#[pyfunction]
#[pyo3(signature = (answer))]
pub(crate) fn reply(answer: Bound<'_, PyAny>) -> PyResult<Reply> {
    let py = answer.py();
    let json: Bytes = if answer.is_instance_of::<PyString>() {
        convert::text("answer", &answer)?.to_owned().into()
    } else if let Some(bytes) = convert::bytes_like(&answer)? {
        bytes
    } else {
        let text = py.import("json")?.call_method1("dumps", (&answer,)).map_err(|cause| {
            let error = wrong_type("answer", "something that `json.dumps` takes", &answer, None);
            error.set_cause(py, Some(cause));
            error
        })?;
        convert::text("answer", &text)?.to_owned().into()
    };
    answer::reply(json).map(Reply::from).map_err(|error| raised(py, &error))
}

/// The answer to a request that did not verify: status 403, the same for every reason, so that a forger
/// learns nothing from it.
#[pyfunction]
pub(crate) fn refusal() -> Reply {
    answer::refusal().into()
}

/// The answer to a request that did verify, but could not be acted on: status 500.
#[pyfunction]
pub(crate) fn failure() -> Reply {
    answer::failure().into()
}

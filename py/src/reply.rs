//! What an upload returns.

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyTuple};

use crate::errors::stored;
use crate::handles::Live;

/// The application server's answer to the callback, and what OSS said of the stored object.
///
/// It can also be made by hand, to test code that takes one.
#[pyclass(frozen, module = "oss_callback")]
pub(crate) struct CallbackReply {
    body: Py<PyBytes>,
    content_type: Option<String>,
    etag: Option<String>,
    crc64: Option<u64>,
    version_id: Option<String>,
    request_id: Option<String>,
    server_time: Option<f64>,
    _live: Live,
}

impl CallbackReply {
    pub fn from_core(py: Python<'_>, reply: &oss_callback::CallbackReply) -> CallbackReply {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        CallbackReply {
            body: PyBytes::new(py, reply.body()).unbind(),
            content_type: owned(reply.content_type()),
            etag: owned(reply.etag()),
            crc64: reply.crc64(),
            version_id: owned(reply.version_id()),
            request_id: owned(reply.request_id()),
            server_time: reply.server_time().map(|time| time.as_secs_f64()),
            _live: Live::new(),
        }
    }
}

impl CallbackReply {
    /// Refuses what `json.loads` takes beyond JSON: other encodings than UTF-8, a byte order mark, and numbers
    /// that are none.
    fn parsed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let text = self.body.bind(py).call_method1("decode", ("utf-8",))?;
        let refuse = |given: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
            Err(PyValueError::new_err(format!("{} is no number of JSON", given.get_item(0)?)))
        };
        let keywords = PyDict::new(py);
        keywords.set_item("parse_constant", PyCFunction::new_closure(py, None, None, refuse)?)?;
        py.import("json")?.call_method("loads", (text,), Some(&keywords))
    }
}

fn not_json(py: Python<'_>, cause: PyErr, etag: Option<&str>) -> PyErr {
    let message = format!("the callback body is not JSON: {} (the upload itself succeeded)", cause.value(py));
    let error = stored(py, "invalid_argument", message, etag);
    error.set_cause(py, Some(cause));
    error
}

#[pymethods]
impl CallbackReply {
    #[new]
    #[pyo3(signature = (body, *, content_type=None, etag=None, crc64=None, version_id=None, request_id=None, server_time=None))]
    fn new(
        body: Py<PyBytes>,
        content_type: Option<String>,
        etag: Option<String>,
        crc64: Option<u64>,
        version_id: Option<String>,
        request_id: Option<String>,
        server_time: Option<f64>,
    ) -> CallbackReply {
        let _live = Live::new();
        CallbackReply { body, content_type, etag, crc64, version_id, request_id, server_time, _live }
    }

    /// The callback body: what the application server answered, byte for byte.
    #[getter]
    fn body(&self, py: Python<'_>) -> Py<PyBytes> {
        self.body.clone_ref(py)
    }

    /// The callback body as text, with U+FFFD for what is not UTF-8.
    #[getter]
    fn text(&self, py: Python<'_>) -> String {
        String::from_utf8_lossy(self.body.as_bytes(py)).into_owned()
    }

    /// The callback body as JSON, by `json.loads`.
    ///
    /// Raises InvalidArgumentError if it is not JSON: the upload and the callback succeeded all the same.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.parsed(py).map_err(|cause| match cause.is_instance_of::<PyException>(py) {
            true => not_json(py, cause, self.etag.as_deref()),
            false => cause,
        })
    }

    /// Media type of the callback body.
    #[getter]
    fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// ETag of the object, without quotes.
    #[getter]
    fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// CRC-64 of the object. It was compared with that of the data sent.
    #[getter]
    fn crc64(&self) -> Option<u64> {
        self.crc64
    }

    /// Version of the object, in a versioned bucket.
    #[getter]
    fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }

    /// OSS's id of the request.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// How long OSS worked on the request, callback included, in seconds.
    #[getter]
    fn server_time(&self) -> Option<f64> {
        self.server_time
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        // The body is the application's and may be confidential or large.
        let mut shown = format!("<CallbackReply body={} bytes", self.body.as_bytes(py).len());
        let facts =
            [("content_type", &self.content_type), ("etag", &self.etag), ("request_id", &self.request_id)];
        for (name, value) in facts {
            if let Some(value) = value {
                shown.push_str(&format!(" {name}={value:?}"));
            }
        }
        shown + ">"
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let keywords = PyDict::new(py);
        keywords.set_item("content_type", &self.content_type)?;
        keywords.set_item("etag", &self.etag)?;
        keywords.set_item("crc64", self.crc64)?;
        keywords.set_item("version_id", &self.version_id)?;
        keywords.set_item("request_id", &self.request_id)?;
        keywords.set_item("server_time", self.server_time)?;
        Ok((PyTuple::new(py, [self.body.clone_ref(py)])?, keywords))
    }
}

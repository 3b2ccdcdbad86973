//! The callback, built and checked by the core. Its Python subclass spells out the options.

use std::hash::{DefaultHasher, Hash, Hasher};

use oss_callback::{Callback, CallbackBuilder, PreviewValues};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::errors::{raised, wrong_type};
use crate::handles::Live;
use crate::{convert, options};

/// What a Callback is made of.
#[pyclass(frozen, subclass, module = "oss_callback._native")]
pub(crate) struct CallbackBase {
    pub inner: Callback,
    /// What it was made from, for `pickle` and `copy`: a value given and its default may differ in JSON.
    arguments: (Py<PyAny>, Py<PyDict>),
    _live: Live,
}

#[pymethods]
impl CallbackBase {
    #[new]
    fn new(url: Bound<'_, PyAny>, options: Bound<'_, PyDict>) -> PyResult<CallbackBase> {
        let py = url.py();
        let mut builder = CallbackBuilder::default();
        if url.is_instance_of::<PyString>() {
            builder = builder.url(convert::text("url", &url)?);
        } else if !url.is_none() {
            for each in convert::texts("url", &url)? {
                builder = builder.url(each);
            }
        }
        options::apply(&options, CallbackBuilder::OPTIONS, |name, value| builder.set(name, value))?;
        let inner = builder.build().map_err(|error| raised(py, &error))?;
        Ok(CallbackBase { inner, arguments: (url.unbind(), options.unbind()), _live: Live::new() })
    }

    /// Base64 of the callback's JSON: the value of `x-oss-callback` or of the query's `callback`.
    #[getter]
    fn encoded(&self) -> &str {
        self.inner.encoded()
    }

    /// Base64 of the variables' JSON: `x-oss-callback-var` or `callback-var`; None without variables.
    #[getter]
    fn encoded_vars(&self) -> Option<&str> {
        self.inner.encoded_vars()
    }

    /// The JSON text that `encoded` holds.
    #[getter]
    fn json(&self) -> &str {
        self.inner.json()
    }

    /// The JSON text that `encoded_vars` holds; None without variables.
    #[getter]
    fn vars_json(&self) -> Option<&str> {
        self.inner.vars_json()
    }

    /// The URLs, in the order in which OSS tries them. None with a policy.
    #[getter]
    fn urls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.urls())
    }

    /// The body's template. None with a policy.
    #[getter]
    fn body(&self) -> Option<&str> {
        self.inner.body()
    }

    /// Media type of the body: `form` or `json`.
    #[getter]
    fn body_type(&self) -> &'static str {
        self.inner.body_type().as_str()
    }

    /// The `Host` header, where it is not that of the URL.
    #[getter]
    fn host(&self) -> Option<&str> {
        self.inner.host()
    }

    /// Whether OSS names the server in the TLS handshake.
    #[getter]
    fn sni(&self) -> bool {
        self.inner.sni()
    }

    /// Additional headers of the callback request.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, self.inner.headers())
    }

    /// Custom variables, names with `x:`. A form upload sends them as fields of these names.
    #[getter]
    fn vars<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, self.inner.vars())
    }

    /// Name of the policy that is stored with the bucket.
    #[getter]
    fn policy(&self) -> Option<&str> {
        self.inner.policy()
    }

    /// What was noticed when the callback was built: legal, but seldom meant, such as a variable that the
    /// body never uses.
    #[getter]
    fn warnings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.warnings())
    }

    /// The exact body that OSS would send for an upload with these values.
    ///
    /// What is not given is as OSS has it for an upload without it: size 0, text empty, and the image's
    /// values nothing at all. `values` takes OSS's own names: `preview(**{"imageInfo.width": 4})`.
    ///
    /// Raises InvalidArgumentError for a policy, whose body lies with the bucket, and for a malformed
    /// template that was built unchecked.
    #[pyo3(signature = (
        *, bucket=None, object=None, etag=None, size=None, mime_type=None, image_width=None,
        image_height=None, image_format=None, crc64=None, content_md5=None, vpc_id=None, client_ip=None,
        request_id=None, operation=None, **values
    ))]
    fn preview(
        &self,
        py: Python<'_>,
        bucket: Option<Bound<'_, PyAny>>,
        object: Option<Bound<'_, PyAny>>,
        etag: Option<Bound<'_, PyAny>>,
        size: Option<Bound<'_, PyAny>>,
        mime_type: Option<Bound<'_, PyAny>>,
        image_width: Option<Bound<'_, PyAny>>,
        image_height: Option<Bound<'_, PyAny>>,
        image_format: Option<Bound<'_, PyAny>>,
        crc64: Option<Bound<'_, PyAny>>,
        content_md5: Option<Bound<'_, PyAny>>,
        vpc_id: Option<Bound<'_, PyAny>>,
        client_ip: Option<Bound<'_, PyAny>>,
        request_id: Option<Bound<'_, PyAny>>,
        operation: Option<Bound<'_, PyAny>>,
        values: Option<Bound<'_, PyDict>>,
    ) -> PyResult<String> {
        let named = [
            ("bucket", bucket),
            ("object", object),
            ("etag", etag),
            ("size", size),
            ("mimeType", mime_type),
            ("imageInfo.width", image_width),
            ("imageInfo.height", image_height),
            ("imageInfo.format", image_format),
            ("crc64", crc64),
            ("contentMd5", content_md5),
            ("vpcId", vpc_id),
            ("clientIp", client_ip),
            ("reqId", request_id),
            ("operation", operation),
        ];
        let mut known = PreviewValues::new();
        let mut set = |name: &str, value: &Bound<'_, PyAny>| {
            let text = value.str()?;
            known.set(name, convert::text(name, &text)?).map_err(|error| raised(py, &error))
        };
        for (name, value) in &named {
            if let Some(value) = value {
                set(name, value)?;
            }
        }
        for (name, value) in values.iter().flatten() {
            set(convert::text("values", &name)?, &value)?;
        }
        self.inner.preview(&known).map_err(|error| raised(py, &error))
    }

    fn __repr__(&self) -> String {
        let shown = format!("{:?}", self.inner);
        let members = shown.strip_prefix("Callback { ").and_then(|rest| rest.strip_suffix(" }"));
        format!("<Callback {}>", members.unwrap_or(&shown))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<CallbackBase>().is_ok_and(|other| self.identity() == other.get().identity())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.identity().hash(&mut hasher);
        hasher.finish()
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, &Py<PyDict>)> {
        let (url, options) = &self.arguments;
        Ok((PyTuple::new(py, [url])?, options))
    }
}

impl CallbackBase {
    fn identity(&self) -> (&str, Option<&str>) {
        (self.inner.json(), self.inner.vars_json())
    }
}

/// The callback of a call.
pub(crate) fn given<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a Callback> {
    let hint = value.is_instance_of::<PyString>().then_some("Wrap the URL: `Callback(url)`.");
    match value.cast::<CallbackBase>() {
        Ok(callback) => Ok(&callback.get().inner),
        Err(_) => Err(wrong_type("callback", "oss_callback.Callback", value, hint)),
    }
}

pub(crate) fn dict<'py>(py: Python<'py>, pairs: &[(String, String)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in pairs {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

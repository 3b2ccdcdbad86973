//! The callback, built and checked by the core. Its Python subclass spells out the options.

use std::hash::{DefaultHasher, Hash, Hasher};

use oss_callback::{Callback, CallbackBuilder, PreviewValues};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::errors::{raised, unpicklable, wrong_type};
use crate::handles::Live;
use crate::{convert, options};

/// What a Callback is made of.
#[pyclass(frozen, subclass, module = "oss_callback._native")]
pub(crate) struct CallbackBase {
    pub inner: Callback,
    /// What it was made from, for `pickle` and to seal it: a value given and its default may differ in JSON.
    arguments: (Py<PyAny>, Py<PyDict>),
    /// Whether it is, or will be, sealed.
    sealed: bool,
    _live: Live,
}

/// A callback that was made from another one, on its way into an object of the other one's class.
#[pyclass(frozen, module = "oss_callback._native")]
struct Derived {
    inner: Callback,
    origin: Py<CallbackBase>,
}

#[pymethods]
impl CallbackBase {
    #[new]
    #[pyo3(signature = (url, options, seal=None))]
    fn new(
        url: Bound<'_, PyAny>,
        options: Bound<'_, PyDict>,
        seal: Option<Bound<'_, PyAny>>,
    ) -> PyResult<CallbackBase> {
        let py = url.py();
        let (inner, arguments, sealed) = match url.cast::<Derived>() {
            Ok(derived) => {
                let Derived { inner, origin } = derived.get();
                let (url, options) = &origin.get().arguments;
                (inner.clone(), (url.clone_ref(py), options.clone_ref(py)), true)
            }
            Err(_) => {
                let mut builder = builder(&url, &options)?;
                if let Some(seal) = &seal {
                    let wanted = "a pair of a secret and a duration";
                    let (secret, expires_in): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
                        seal.extract().map_err(|_| wrong_type(SEAL, wanted, seal, None))?;
                    builder = sealing(builder, &secret, &expires_in)?;
                }
                let inner = builder.build().map_err(|error| raised(py, &error))?;
                (inner, (url.unbind(), options.unbind()), seal.is_some())
            }
        };
        Ok(CallbackBase { inner, arguments, sealed, _live: Live::new() })
    }

    /// The same callback, but every upload with it is sealed by a secret that your application server
    /// shares, so that a CallbackVerifier with this `seal_secret` can tell your uploads from a forger's.
    ///
    /// `secret` has at least 16 bytes. `expires_in` is seconds or a timedelta, 1 s to 365 days, from the
    /// upload's start (or the signing of a URL or form) to the arrival of the callback. A client makes a
    /// seal for each upload; for presigned URLs and forms, use `sealed_for`. The seal travels as the
    /// variable `x:seal`, which the default body and one built from `fields` carry by themselves. A `body`
    /// that is written out needs the seal from the start: `Callback(…, seal=(secret, expires_in))`.
    ///
    /// Raises InvalidArgumentError for a weak secret, an odd expiry, or a body that cannot carry a seal.
    #[pyo3(signature = (secret, expires_in))]
    fn seal<'py>(
        slf: &Bound<'py, Self>,
        secret: Bound<'py, PyAny>,
        expires_in: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (url, options) = &slf.get().arguments;
        let builder = sealing(builder(url.bind(py), options.bind(py))?, &secret, &expires_in)?;
        derived(slf, builder.build().map_err(|error| raised(py, &error))?)
    }

    /// The callback for one upload, with a new seal among its variables: for presigned URLs and forms,
    /// whose signature fixes bucket and key. Without `seal` it is the callback itself.
    ///
    /// `time` is an aware datetime or Unix seconds, from which on the expiry counts; now by default. The
    /// expiry must cover the time until the upload ends.
    ///
    /// Raises InvalidArgumentError for an empty bucket or key.
    #[pyo3(signature = (bucket, key, *, time=None))]
    fn sealed_for<'py>(
        slf: &Bound<'py, Self>,
        bucket: Bound<'py, PyAny>,
        key: Bound<'py, PyAny>,
        time: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (bucket, key) = (convert::text("bucket", &bucket)?, convert::text("key", &key)?);
        let time = convert::moment("time", time.as_ref())?;
        if !slf.get().to_be_sealed() {
            return Ok(slf.clone().into_any());
        }
        let sealed = slf.get().inner.sealed_for(bucket, key, time);
        derived(slf, sealed.map_err(|error| raised(slf.py(), &error))?)
    }

    /// Whether each upload gets a seal; false for a callback that is sealed already.
    #[getter]
    fn to_be_sealed(&self) -> bool {
        self.inner.is_to_be_sealed()
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

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<CallbackBase>() else { return false };
        let (this, that) = (slf.get(), other.get());
        // Whether two secrets are the same is not told.
        let secret = this.to_be_sealed() || that.to_be_sealed();
        slf.is(other) || !secret && this.identity() == that.identity()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.identity().hash(&mut hasher);
        hasher.finish()
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, &Py<PyDict>)> {
        if self.sealed {
            let hint = "Pickle the callback that it was made from, and seal that where it is used.";
            let what = "cannot be pickled, for the secret would be in it";
            return Err(unpicklable(py, "callback", what, hint));
        }
        let (url, options) = &self.arguments;
        Ok((PyTuple::new(py, [url])?, options))
    }
}

const SEAL: &str = "callback.seal";

fn sealing(
    builder: CallbackBuilder,
    secret: &Bound<'_, PyAny>,
    expires_in: &Bound<'_, PyAny>,
) -> PyResult<CallbackBuilder> {
    Ok(builder.seal(convert::text(SEAL, secret)?, convert::duration(SEAL, expires_in)?))
}

/// The options of a callback, not yet checked.
fn builder(url: &Bound<'_, PyAny>, options: &Bound<'_, PyDict>) -> PyResult<CallbackBuilder> {
    let mut builder = CallbackBuilder::default();
    if convert::is_one_text(url) {
        builder = builder.url(convert::text("url", url)?);
    } else if !url.is_none() {
        for each in convert::texts("url", url)? {
            builder = builder.url(each);
        }
    }
    options::apply(options, CallbackBuilder::OPTIONS, |name, value| builder.set(name, value))?;
    Ok(builder)
}

/// An object of the class of `origin`. The class's own constructor takes options, not this.
fn derived<'py>(origin: &Bound<'py, CallbackBase>, inner: Callback) -> PyResult<Bound<'py, PyAny>> {
    let py = origin.py();
    let derived = Derived { inner, origin: origin.clone().unbind() };
    let arguments = (origin.get_type(), derived, PyDict::new(py));
    py.get_type::<CallbackBase>().call_method1("__new__", arguments)
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

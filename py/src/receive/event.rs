//! What a verified callback says.

use std::time::SystemTime;

use oss_callback::BodyType;
use oss_callback::receive::{self, FieldKind};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::shown;
use crate::convert::{self, optional_text, text};
use crate::errors::{raised, unpicklable, wrong_type};
use crate::handles::Live;

/// What a verified callback says of the upload.
///
/// A property is None if the body does not name it at all, and an empty text if OSS had no value for it,
/// such as `vpc_id` outside of a VPC. Numbers are None, too, where the body has something else:
/// `field("size")` tells what.
///
/// How far each of these can be believed depends on the checks that were made: docs/verifying.md.
#[pyclass(frozen, module = "oss_callback")]
pub(crate) struct CallbackEvent {
    pub inner: receive::CallbackEvent,
    _live: Live,
}

impl CallbackEvent {
    pub fn new(inner: receive::CallbackEvent) -> CallbackEvent {
        CallbackEvent { inner, _live: Live::new() }
    }
}

#[pymethods]
impl CallbackEvent {
    /// Understands a body, without verifying anything: for a body that was verified elsewhere, and for
    /// tests.
    ///
    /// `template` is the callback body as it was given to OSS, with its `${…}`. Without it, fields go by
    /// OSS's own names (`bucket`, `object`, …), and all others are custom variables, as in this library's
    /// default callback body.
    ///
    /// Raises VerificationError with reason `malformed_body` for a body that is not of that type, does not
    /// fit the template or contradicts itself, and InvalidArgumentError for a template that cannot be read
    /// backwards.
    #[staticmethod]
    #[pyo3(signature = (body, body_type, template=None))]
    fn parse(
        body: Bound<'_, PyAny>,
        body_type: Bound<'_, PyAny>,
        template: Option<Bound<'_, PyAny>>,
    ) -> PyResult<CallbackEvent> {
        let py = body.py();
        let body = convert::bytes("body", &body)?;
        let body_type = text("body_type", &body_type)?;
        let template = optional_text("template", template.as_ref())?;
        let parsed = body_type
            .parse::<BodyType>()
            .and_then(|body_type| receive::CallbackEvent::parse(&body, body_type, template.as_deref()));
        parsed.map(CallbackEvent::new).map_err(|error| raised(py, &error))
    }

    /// Name of the bucket.
    #[getter]
    fn bucket(&self) -> Option<&str> {
        self.inner.bucket()
    }

    /// The object's key, decoded.
    #[getter]
    fn key(&self) -> Option<&str> {
        self.inner.key()
    }

    /// The object's ETag, without quotes.
    #[getter]
    fn etag(&self) -> Option<&str> {
        self.inner.etag()
    }

    /// The object's size in bytes; of a multipart upload the whole.
    #[getter]
    fn size(&self) -> Option<u64> {
        self.inner.size().value()
    }

    /// The object's Content-Type.
    #[getter]
    fn mime_type(&self) -> Option<&str> {
        self.inner.mime_type()
    }

    /// The object's CRC-64.
    #[getter]
    fn crc64(&self) -> Option<u64> {
        self.inner.crc64().value()
    }

    /// Base64 of the object's MD5. OSS fills it in for PutObject and PostObject only.
    #[getter]
    fn content_md5(&self) -> Option<&str> {
        self.inner.content_md5()
    }

    /// Size and format of an image.
    #[getter]
    fn image(&self) -> ImageInfo {
        let image = self.inner.image();
        let format = image.format.map(str::to_owned);
        ImageInfo { width: image.width.value(), height: image.height.value(), format }
    }

    /// Address that the upload came from.
    #[getter]
    fn client_ip(&self) -> Option<&str> {
        self.inner.client_ip()
    }

    /// VPC that the upload came from; empty if it came from none.
    #[getter]
    fn vpc_id(&self) -> Option<&str> {
        self.inner.vpc_id()
    }

    /// OSS's id of the upload request.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.inner.request_id()
    }

    /// Name of the upload's API, such as `PutObject`.
    #[getter]
    fn operation(&self) -> Option<&str> {
        self.inner.operation()
    }

    /// All custom variables by their name without `x:`, sorted. The seal is not among them.
    #[getter]
    fn variables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in self.inner.variables() {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// A custom variable, by its name with or without `x:`; None if the body does not name it.
    #[pyo3(signature = (name))]
    fn variable(&self, name: Bound<'_, PyAny>) -> PyResult<Option<&str>> {
        Ok(self.inner.variable(text("name", &name)?))
    }

    /// All fields, as they stood in the body and in its order.
    #[getter]
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.fields().iter().map(Field::from))
    }

    /// The first field of that name, as it stood in the body; None if there is none.
    #[pyo3(signature = (name))]
    fn field(&self, name: Bound<'_, PyAny>) -> PyResult<Option<Field>> {
        Ok(self.inner.field(text("name", &name)?).map(Field::from))
    }

    /// The seal, if the verifier was given secrets and so has checked it.
    #[getter]
    fn seal(&self) -> Option<Seal> {
        let seal = self.inner.seal()?;
        Some(Seal { nonce: seal.nonce.clone(), expires_at: seal.expires_at })
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<()> {
        let hint = "Take what you need of it, such as `event.key` and `event.variables`.";
        Err(unpicklable(py, "event", "cannot be pickled: what was verified must not come from a file", hint))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        // Variables are the application's and may be confidential; so is what a field of its own holds.
        let event = &self.inner;
        let mut out = "<CallbackEvent".to_owned();
        let texts = [
            ("bucket", event.bucket()),
            ("key", event.key()),
            ("etag", event.etag()),
            ("operation", event.operation()),
            ("request_id", event.request_id()),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                out.push_str(&format!(" {name}={}", shown(py, value)?));
            }
        }
        if let Some(size) = event.size().value() {
            out.push_str(&format!(" size={size}"));
        }
        let names: Vec<&str> = event.variables().map(|(name, _)| name).collect();
        if !names.is_empty() {
            out.push_str(&format!(" variables={}", shown(py, names)?));
        }
        out.push_str(if event.seal().is_some() { " sealed>" } else { ">" });
        Ok(out)
    }
}

/// The event of a call.
pub(crate) fn given<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a receive::CallbackEvent> {
    match value.cast::<CallbackEvent>() {
        Ok(event) => Ok(&event.get().inner),
        Err(_) => Err(wrong_type("event", "oss_callback.CallbackEvent", value, None)),
    }
}

/// One value of a callback body, as it stood there.
#[pyclass(frozen, eq, hash, module = "oss_callback")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Field {
    name: String,
    text: String,
    kind: String,
}

impl From<&receive::Field> for Field {
    fn from(field: &receive::Field) -> Field {
        let kind = match field.kind() {
            FieldKind::Number => "number",
            FieldKind::Bool => "bool",
            FieldKind::Null => "null",
            _ => "text",
        };
        Field { name: field.name().to_owned(), text: field.text().to_owned(), kind: kind.to_owned() }
    }
}

#[pymethods]
impl Field {
    #[new]
    #[pyo3(signature = (name, text, kind))]
    fn new(name: String, text: String, kind: String) -> Field {
        Field { name, text, kind }
    }

    /// Name, decoded. Within JSON objects and arrays a path: `file.name`, `tags.0`.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Value, decoded, with U+FFFD for what is not UTF-8.
    #[getter]
    fn text(&self) -> &str {
        &self.text
    }

    /// What it was in the body: `text` (every value of a form, and JSON strings), `number`, `bool`, or
    /// `null` (the text is empty).
    #[getter]
    fn kind(&self) -> &str {
        &self.kind
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Field { name, text, kind } = self;
        Ok(format!("Field({}, {}, {})", shown(py, name)?, shown(py, text)?, shown(py, kind)?))
    }

    fn __getnewargs__(&self) -> (&str, &str, &str) {
        (&self.name, &self.text, &self.kind)
    }
}

/// What a callback says of an image; for what is not an image, the numbers are None.
#[pyclass(frozen, eq, hash, module = "oss_callback")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct ImageInfo {
    width: Option<u64>,
    height: Option<u64>,
    format: Option<String>,
}

#[pymethods]
impl ImageInfo {
    #[new]
    #[pyo3(signature = (width=None, height=None, format=None))]
    fn new(width: Option<u64>, height: Option<u64>, format: Option<String>) -> ImageInfo {
        ImageInfo { width, height, format }
    }

    /// Width in pixels.
    #[getter]
    fn width(&self) -> Option<u64> {
        self.width
    }

    /// Height in pixels.
    #[getter]
    fn height(&self) -> Option<u64> {
        self.height
    }

    /// Format, such as `jpg`; empty for what is not an image.
    #[getter]
    fn format(&self) -> Option<&str> {
        self.format.as_deref()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let format = shown(py, &self.format)?;
        Ok(format!(
            "ImageInfo(width={}, height={}, format={format})",
            shown(py, self.width)?,
            shown(py, self.height)?
        ))
    }

    fn __getnewargs__(&self) -> (Option<u64>, Option<u64>, Option<&str>) {
        (self.width, self.height, self.format.as_deref())
    }
}

/// What a seal that was checked says.
#[pyclass(frozen, eq, hash, module = "oss_callback")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Seal {
    nonce: String,
    expires_at: SystemTime,
}

#[pymethods]
impl Seal {
    #[new]
    #[pyo3(signature = (nonce, expires_at))]
    fn new(nonce: String, expires_at: Bound<'_, PyAny>) -> PyResult<Seal> {
        Ok(Seal { nonce, expires_at: convert::moment("expires_at", Some(&expires_at))? })
    }

    /// Made for one upload; a second callback with it is a replay.
    #[getter]
    fn nonce(&self) -> &str {
        &self.nonce
    }

    /// From then on the seal is refused.
    #[getter]
    fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Seal({}, {})", shown(py, &self.nonce)?, shown(py, self.expires_at)?))
    }

    fn __getnewargs__(&self) -> (&str, SystemTime) {
        (&self.nonce, self.expires_at)
    }
}

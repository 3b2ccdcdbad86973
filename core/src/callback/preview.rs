//! Values for the system variables, to see the body that OSS would send.

use super::template::{SYSTEM_VARIABLES, SystemVariable, Value, ValueKind, system_variable};
use crate::error::{Error, Result};

/// Values of an upload, for [`Callback::preview`](crate::Callback::preview). What is not set is as OSS
/// has it for an upload without it: size 0, text empty, and `imageInfo.*` nothing at all.
///
/// ```
/// use oss_callback::{Callback, PreviewValues};
///
/// let callback = Callback::builder("https://a.example/cb").body("key=${object}&size=${size}").build()?;
/// let body = callback.preview(&PreviewValues::new().object("a/ü.txt").size(9))?;
/// assert_eq!(body, "key=a%2F%C3%BC.txt&size=9");
/// # Ok::<(), oss_callback::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PreviewValues {
    /// In the order of `SYSTEM_VARIABLES`.
    values: Vec<Value<'static>>,
}

impl Default for PreviewValues {
    fn default() -> PreviewValues {
        PreviewValues::new()
    }
}

impl PreviewValues {
    /// Values of an empty upload.
    pub fn new() -> PreviewValues {
        let absent = |variable: &SystemVariable| match variable.kind {
            _ if variable.image => Value::Empty,
            ValueKind::Number => Value::Number(0),
            ValueKind::Text => Value::text(""),
        };
        PreviewValues { values: SYSTEM_VARIABLES.iter().map(absent).collect() }
    }

    /// `${bucket}`
    pub fn bucket(self, value: impl Into<String>) -> Self {
        self.with("bucket", Value::text(value.into()))
    }

    /// `${object}`: the full key.
    pub fn object(self, value: impl Into<String>) -> Self {
        self.with("object", Value::text(value.into()))
    }

    /// `${etag}`, without quotes.
    pub fn etag(self, value: impl Into<String>) -> Self {
        self.with("etag", Value::text(value.into()))
    }

    /// `${size}`, in bytes.
    pub fn size(self, value: u64) -> Self {
        self.with("size", Value::Number(value))
    }

    /// `${mimeType}`
    pub fn mime_type(self, value: impl Into<String>) -> Self {
        self.with("mimeType", Value::text(value.into()))
    }

    /// `${imageInfo.width}` and `${imageInfo.height}` in pixels, and `${imageInfo.format}`, such as `jpg`.
    pub fn image(self, width: u64, height: u64, format: impl Into<String>) -> Self {
        self.with("imageInfo.width", Value::Number(width))
            .with("imageInfo.height", Value::Number(height))
            .with("imageInfo.format", Value::text(format.into()))
    }

    /// `${crc64}`
    pub fn crc64(self, value: u64) -> Self {
        self.with("crc64", Value::text(value.to_string()))
    }

    /// `${contentMd5}`, as Base64.
    pub fn content_md5(self, value: impl Into<String>) -> Self {
        self.with("contentMd5", Value::text(value.into()))
    }

    /// `${vpcId}`
    pub fn vpc_id(self, value: impl Into<String>) -> Self {
        self.with("vpcId", Value::text(value.into()))
    }

    /// `${clientIp}`: the uploader's address.
    pub fn client_ip(self, value: impl Into<String>) -> Self {
        self.with("clientIp", Value::text(value.into()))
    }

    /// `${reqId}`: the request id.
    pub fn request_id(self, value: impl Into<String>) -> Self {
        self.with("reqId", Value::text(value.into()))
    }

    /// `${operation}`, such as `PutObject`.
    pub fn operation(self, value: impl Into<String>) -> Self {
        self.with("operation", Value::text(value.into()))
    }

    /// Sets a value by its variable's name, such as `mimeType` or `imageInfo.width`.
    ///
    /// # Errors
    /// `invalid_argument` for a name that is no system variable, and for a number that is none.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<()> {
        let value = value.into();
        let Some(variable) = system_variable(name) else {
            let known: Vec<&str> = SYSTEM_VARIABLES.iter().map(|variable| variable.name).collect();
            let message = format!("is no variable that OSS fills in; those are {}", known.join(", "));
            return Err(Error::invalid_argument(name.to_owned(), message));
        };
        let value = match variable.kind {
            ValueKind::Text => Value::text(value),
            ValueKind::Number => Value::Number(value.parse().map_err(|_| {
                Error::invalid_argument(
                    name.to_owned(),
                    format!("must be a whole number from 0, not `{value}`"),
                )
            })?),
        };
        self.put(name, value);
        Ok(())
    }

    /// The value of a system variable; `None` where there is no such variable.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        let index = SYSTEM_VARIABLES.iter().position(|variable| variable.name == name)?;
        self.values.get(index).map(|value| match value {
            Value::Text(text) => Value::text(text.as_ref()),
            other => other.clone(),
        })
    }

    fn with(mut self, name: &'static str, value: Value<'static>) -> Self {
        self.put(name, value);
        self
    }

    fn put(&mut self, name: &str, value: Value<'static>) {
        let index = SYSTEM_VARIABLES.iter().position(|variable| variable.name == name);
        if let Some(slot) = index.and_then(|index| self.values.get_mut(index)) {
            *slot = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_set_every_system_variable() {
        let values = PreviewValues::new()
            .bucket("v")
            .object("v")
            .etag("v")
            .size(1)
            .mime_type("v")
            .image(1, 1, "v")
            .crc64(1)
            .content_md5("v")
            .vpc_id("v")
            .client_ip("v")
            .request_id("v")
            .operation("v");
        for variable in SYSTEM_VARIABLES {
            let expected = match (variable.name, variable.kind) {
                ("crc64", _) => Value::text("1"),
                (_, ValueKind::Text) => Value::text("v"),
                (_, ValueKind::Number) => Value::Number(1),
            };
            assert_eq!(values.get(variable.name), Some(expected), "{}", variable.name);
        }
    }

    #[test]
    fn values_are_set_by_name_and_wrong_ones_are_refused() {
        let mut values = PreviewValues::new();
        for variable in SYSTEM_VARIABLES {
            values.set(variable.name, "42").unwrap();
            assert_ne!(
                values.get(variable.name),
                PreviewValues::new().get(variable.name),
                "{}",
                variable.name
            );
        }
        assert_eq!(values.set("mimetype", "a/b").unwrap_err().field(), Some("mimetype"));
        for wrong in ["", "-1", "1.5", "99999999999999999999"] {
            assert!(values.set("size", wrong).unwrap_err().message().contains("whole number"), "{wrong}");
        }
        assert!(values.get("x:a").is_none());
    }
}

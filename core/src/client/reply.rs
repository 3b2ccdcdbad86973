//! What a successful upload returns.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result, StoredObject};

/// The application server's answer to the callback, and what OSS said of the stored object.
#[derive(Clone)]
pub struct CallbackReply {
    pub(super) body: Bytes,
    pub(super) content_type: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) crc64: Option<u64>,
    pub(super) version_id: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) server_time: Option<Duration>,
}

impl CallbackReply {
    /// The callback body: what the application server answered, byte for byte.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Takes the callback body out.
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// The callback body as text, with U+FFFD for what is not UTF-8.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The callback body as JSON.
    ///
    /// # Errors
    /// `invalid_argument` if it is not JSON: the upload and the callback succeeded all the same, and the error's
    /// [`stored`](Error::stored) is true.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = format!("the callback body is not JSON: {error} (the upload itself succeeded)");
            Error::new(ErrorKind::InvalidArgument, message).with_stored(StoredObject {
                etag: self.etag.clone(),
                crc64: self.crc64,
                version_id: self.version_id.clone(),
            })
        })
    }

    /// Media type of the callback body.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// ETag of the object, without quotes.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// CRC-64 of the object. It was compared with that of the data sent.
    pub fn crc64(&self) -> Option<u64> {
        self.crc64
    }

    /// Version of the object, in a versioned bucket.
    pub fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }

    /// OSS's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// How long OSS worked on the request, callback included.
    pub fn server_time(&self) -> Option<Duration> {
        self.server_time
    }
}

impl fmt::Debug for CallbackReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body is the application's and may be confidential or large.
        f.debug_struct("CallbackReply")
            .field("body_bytes", &self.body.len())
            .field("content_type", &self.content_type)
            .field("etag", &self.etag)
            .field("crc64", &self.crc64)
            .field("version_id", &self.version_id)
            .field("request_id", &self.request_id)
            .field("server_time", &self.server_time)
            .finish()
    }
}

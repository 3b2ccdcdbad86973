//! The client: uploads with a callback.

use bytes::Bytes;

use crate::callback::Callback;
use crate::error::Result;
use crate::options::{ClientBuilder, PutOptions};

/// Uploads objects with callbacks. Cheap to clone; one serves all threads.
#[derive(Clone)]
pub struct Client(());

/// The application server's answer, and what OSS said of the object.
#[derive(Clone, Debug)]
pub struct CallbackReply(());

impl Client {
    /// A client to be filled in.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
    /// Uploads and returns the callback's reply.
    pub fn put_object_with_callback(
        &self,
        _bucket: &str,
        _key: &str,
        _data: impl Into<Bytes>,
        _callback: &Callback,
    ) -> Result<CallbackReply> {
        todo!()
    }
    /// The same with options.
    pub fn put_object_with_callback_opts(
        &self,
        _bucket: &str,
        _key: &str,
        _data: impl Into<Bytes>,
        _callback: &Callback,
        _options: &PutOptions,
    ) -> Result<CallbackReply> {
        todo!()
    }
}

impl CallbackReply {
    /// The body that the application server answered.
    pub fn body(&self) -> &Bytes {
        todo!()
    }
    /// The body as text, with U+FFFD for what is not UTF-8.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        todo!()
    }
    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        todo!()
    }
    /// The body's media type.
    pub fn content_type(&self) -> Option<&str> {
        todo!()
    }
    /// The object's ETag, without quotes.
    pub fn etag(&self) -> Option<&str> {
        todo!()
    }
    /// The object's CRC-64.
    pub fn crc64(&self) -> Option<u64> {
        todo!()
    }
    /// The object's version, in a versioned bucket.
    pub fn version_id(&self) -> Option<&str> {
        todo!()
    }
    /// OSS's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        todo!()
    }
}

impl ClientBuilder {
    /// Checks the options.
    pub fn build(self) -> Result<Client> {
        todo!()
    }
}

//! OSS's side of a callback: its parameters are checked before anything is stored, and after the upload
//! the template is filled, signed and sent, and the application server's answer is judged.
//!
//! Parameter rules and template expansion are the core's (`oss_callback::callback`): one home for each
//! rule. What only OSS does is here: addresses, signing with the private key, delivery, the verdict.

mod answer;
mod config;
mod exchange;
mod failure;
mod fire;
mod image;
mod key;
mod observer;
mod prepare;
mod request;
mod resolve;
#[cfg(test)]
mod tests;
mod tls;

use std::net::IpAddr;

use bytes::Bytes;

pub use config::CallbackConfig;
pub(crate) use failure::Failure;
pub(crate) use fire::fire;
pub use key::{SigningKey, SigningKeyError};
pub use observer::{CallbackAttempt, CallbackObserver};
pub(crate) use prepare::{Prepared, prepare, refusal};

/// What is known of a finished upload.
#[derive(Clone, Debug)]
pub(crate) struct UploadFacts {
    pub bucket: String,
    /// The whole key.
    pub key: String,
    /// Without quotes.
    pub etag: String,
    /// Of the whole object, in bytes.
    pub size: u64,
    pub mime_type: String,
    pub crc64: u64,
    /// Base64, for PutObject and PostObject.
    pub content_md5: Option<String>,
    /// The uploader's address.
    pub client_ip: IpAddr,
    pub request_id: String,
    /// `PutObject`, `CompleteMultipartUpload` or `PostObject`.
    pub operation: &'static str,
    /// Who uploaded: the value of `x-oss-requester`.
    pub requester: String,
    /// The first bytes of the object, at most 1 MiB, from which imageInfo is read.
    pub image_head: Option<Bytes>,
}

/// How a callback ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The application server's answer, to be handed to the uploader with status 200.
    Answered { content_type: Option<String>, body: Bytes },
    /// `203 CallbackFailed`; the object stays stored.
    Failed(crate::OssError),
}

/// An error in the shape of the emulator's other answers.
fn oss_error(status: u16, code: &'static str, message: String, ec: Option<&str>) -> crate::OssError {
    crate::OssError { status, code: code.into(), message, ec: ec.map(str::to_owned), members: Vec::new() }
}

//! OSS's side of a callback (placeholder with the agreed interface).
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

#[derive(Clone, Debug)]
pub(crate) struct UploadFacts {
    pub bucket: String,
    pub key: String,
    pub etag: String,
    pub size: u64,
    pub mime_type: String,
    pub crc64: u64,
    pub content_md5: Option<String>,
    pub client_ip: IpAddr,
    pub request_id: String,
    pub operation: &'static str,
    pub requester: String,
    pub image_head: Option<Bytes>,
}

pub(crate) struct Prepared {}

pub(crate) enum Outcome {
    Answered { content_type: Option<String>, body: Bytes },
    Failed(crate::OssError),
}

pub(crate) async fn prepare(
    _config: &CallbackConfig,
    _callback: Option<&str>,
    _callback_var: Option<&str>,
) -> Result<Option<Prepared>, crate::OssError> {
    Ok(None)
}

pub(crate) async fn fire(_config: &CallbackConfig, _prepared: &Prepared, _facts: &UploadFacts) -> Outcome {
    Outcome::Answered { content_type: None, body: Bytes::new() }
}

/// Settings of the callback side.
#[derive(Clone, Debug)]
pub struct CallbackConfig {
    /// Strict.
    pub strict: bool,
    /// Key URL.
    pub key_url: String,
    /// Key.
    pub signing_key: SigningKey,
    /// Roots.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// Timeout.
    pub timeout: Duration,
    /// Observer.
    pub observer: Option<CallbackObserver>,
}

impl Default for CallbackConfig {
    fn default() -> CallbackConfig {
        CallbackConfig {
            strict: false,
            key_url: String::new(),
            signing_key: SigningKey {},
            extra_roots_pem: Vec::new(),
            timeout: Duration::from_secs(5),
            observer: None,
        }
    }
}

/// Key.
#[derive(Clone, Debug)]
pub struct SigningKey {}

impl SigningKey {
    /// PEM.
    pub fn public_key_pem(&self) -> &str {
        ""
    }
}

/// Key error.
#[derive(Clone, Debug)]
pub struct SigningKeyError {}

/// One attempt.
#[derive(Clone, Debug)]
pub struct CallbackAttempt {
    /// Upload.
    pub request_id: String,
}

/// Observer.
#[derive(Clone)]
pub struct CallbackObserver(Arc<dyn Fn(&CallbackAttempt) + Send + Sync>);

impl CallbackObserver {
    /// New.
    pub fn new(tell: impl Fn(&CallbackAttempt) + Send + Sync + 'static) -> CallbackObserver {
        CallbackObserver(Arc::new(tell))
    }
    pub(crate) fn tell(&self, attempt: &CallbackAttempt) {
        (self.0)(attempt);
    }
}

impl std::fmt::Debug for CallbackObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallbackObserver")
    }
}

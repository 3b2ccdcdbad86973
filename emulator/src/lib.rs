//! A loopback Alibaba Cloud OSS that really fires upload callbacks.
mod callback;
mod error;

pub use callback::{CallbackAttempt, CallbackConfig, CallbackObserver, SigningKey, SigningKeyError};
pub(crate) use error::OssError;

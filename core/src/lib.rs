//! Upload to Alibaba Cloud OSS with a callback: OSS stores the object, asks your application server,
//! and hands its answer back to the uploader.
#![forbid(unsafe_code)]

mod bell;
mod body;
pub mod callback;
pub mod checksum;
mod client;
mod clock;
mod credentials;
mod encode;
mod endpoint;
mod engine;
mod error;
mod log_lines;
mod options;
mod per_process;
pub mod receive;
mod retry;
pub mod sign;
mod transport;
#[cfg(target_os = "linux")]
mod watch;

pub use bell::Bell;
pub use body::Body;
pub use callback::{Callback, PreviewValues};
pub use client::{
    AnswerPoll, AnswerSocket, CallbackReply, Client, Confirmation, InFlight, Progress, PutRequest, Step,
    UploadRequest,
};
pub use credentials::{AssumeRole, Credentials, CredentialsProvider, Secret};
pub use endpoint::{Endpoint, Target};
pub use engine::Cancel;
pub use error::{CallbackCause, ERROR_FACTS, Error, ErrorKind, FactValue, Result, VerificationReason};
pub use log_lines::{log_by_environment, log_by_environment_to};
pub use options::{
    Addressing, BodyType, CallbackBuilder, CallbackPlacement, CallbackRetry, ClientBuilder,
    CredentialsSource, Network, ObjectAcl, OptionInfo, OptionType, OptionValue, PutOptions,
    ServerSideDataEncryption, ServerSideEncryption, SignatureVersion, StorageClass, UploadOptions,
    unknown_option,
};
pub use sign::Signer;

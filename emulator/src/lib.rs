//! An Alibaba Cloud OSS that runs on loopback, verifies every signature, and really fires upload callbacks.
//!
//! ```no_run
//! use oss_callback_emulator::Emulator;
//!
//! let emulator = Emulator::builder().start()?;
//! println!("OSS_ENDPOINT={}", emulator.endpoint());
//! // … uploads …
//! let stored = emulator.object("examplebucket", "a.txt").expect("it was uploaded");
//! assert_eq!(stored.data, "hello");
//! emulator.stop();
//! # Ok::<(), oss_callback_emulator::StartError>(())
//! ```
//! It runs on threads of its own, so that blocking and async callers, and those in other languages, use it
//! alike. Dropping the handle stops it.
#![forbid(unsafe_code)]

mod address;
mod auth;
mod builder;
mod callback;
mod clock;
mod control;
mod error;
mod event;
mod fault;
mod line;
mod operation;
mod ops;
mod query;
mod reply;
mod request;
mod server;
mod service;
mod store;
mod xml;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::watch;

pub use auth::AccessKey;
pub use builder::{Builder, StartError};
pub use callback::{CallbackAttempt, CallbackConfig, CallbackObserver, SigningKey, SigningKeyError};
pub(crate) use error::OssError;
pub use event::{Event, RequestHead, RequestRecord};
pub use fault::{CallbackCause, Cut, Fault, FaultAction, FaultError, FaultState};
pub use operation::Operation;

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What all requests share.
pub(crate) struct Shared {
    pub address: SocketAddr,
    pub control_address: Option<SocketAddr>,
    pub region: String,
    pub owner_id: String,
    pub keys: Vec<AccessKey>,
    pub strict: bool,
    pub cnames: Vec<(String, String)>,
    pub clock: clock::Clock,
    pub callback: CallbackConfig,
    pub journal: Arc<event::Journal>,
    pub store: store::Store,
    pub faults: fault::Faults,
}

/// An object as the emulator holds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredObject {
    /// Its bytes.
    pub data: Bytes,
    /// Without quotes.
    pub etag: String,
    /// CRC-64 (ECMA-182) of the bytes.
    pub crc64: u64,
    /// As sent, or `application/octet-stream`.
    pub content_type: String,
    /// Further headers that were kept (such as `x-oss-meta-…`, `cache-control`), names in lower case.
    pub headers: Vec<(String, String)>,
    /// `default`, `private`, `public-read` or `public-read-write`.
    pub acl: String,
    /// Such as `Standard`.
    pub storage_class: String,
    /// Tags: key and value.
    pub tags: Vec<(String, String)>,
    /// Whether it was put together from parts.
    pub multipart: bool,
}

impl Emulator {
    /// Settings to start one with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// What clients take as their endpoint, such as `http://127.0.0.1:54321`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Where the control API answers, if [`Builder::control`] opened it. `POST /faults` takes [`Fault`]s.
    ///
    #[doc = include_str!("../control.md")]
    pub fn control_url(&self) -> Option<String> {
        self.shared.control_address.map(|address| format!("http://{address}"))
    }

    /// Region that V4 signatures must name.
    pub fn region(&self) -> &str {
        &self.shared.region
    }

    /// The first credentials that are accepted.
    pub fn access_key(&self) -> &AccessKey {
        // The builder sees to it that there is one.
        &self.shared.keys[0]
    }

    /// AccessKey ID of [`Emulator::access_key`].
    pub fn access_key_id(&self) -> &str {
        self.access_key().id()
    }

    /// AccessKey secret of [`Emulator::access_key`].
    pub fn access_key_secret(&self) -> &str {
        self.access_key().secret()
    }

    /// Where the key that verifies callbacks can be fetched, without a signature. What callbacks announce is
    /// [`CallbackConfig::key_url`].
    pub fn public_key_url(&self) -> String {
        format!("{}{}", self.endpoint(), service::KEY_PATH)
    }

    /// The key that verifies callbacks, as PEM.
    pub fn public_key_pem(&self) -> &str {
        self.shared.callback.signing_key.public_key_pem()
    }

    /// An object, if it is there and can be read.
    pub fn object(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        let (meta, blob) = self.shared.store.get(bucket, key).ok()??;
        Some(StoredObject {
            data: blob.read_all().ok()?,
            etag: meta.etag.clone(),
            crc64: meta.crc64,
            content_type: meta.properties.content_type.clone(),
            headers: meta.properties.headers.clone(),
            acl: meta.properties.acl.clone(),
            storage_class: meta.properties.storage_class.clone(),
            tags: meta.properties.tags.clone(),
            multipart: meta.multipart,
        })
    }

    /// Keys of the objects of a bucket, sorted; none if there is no such bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let all = store::ListQuery { limit: usize::MAX, ..Default::default() };
        let listing = self.shared.store.list(bucket, &all).unwrap_or_default();
        listing.objects.into_iter().map(|(key, _)| key).collect()
    }

    /// Multipart uploads of a bucket that are under way: key and upload id.
    pub fn uploads(&self, bucket: &str) -> Vec<(String, String)> {
        let uploads = self.shared.store.uploads(bucket).unwrap_or_default();
        uploads.iter().map(|upload| (upload.key.clone(), upload.id.clone())).collect()
    }

    /// Aborts all multipart uploads of a bucket, as a lifecycle rule of OSS does after some days.
    pub fn abort_uploads(&self, bucket: &str) {
        for (key, id) in self.uploads(bucket) {
            // One that ends by itself in this moment is as good.
            let _ = self.shared.store.abort_upload(bucket, &key, &id);
        }
    }

    /// The requests that were answered, the oldest first; at most the last 10,000.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.journal.requests()
    }

    /// The callback attempts that were made, the oldest first; at most the last 10,000.
    pub fn callbacks(&self) -> Vec<CallbackAttempt> {
        self.shared.journal.callbacks()
    }

    /// Orders faults, behind those that are there.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.add(faults);
    }

    /// Orders the faults of a script; see [`Fault`].
    ///
    /// # Errors
    /// Which line is wrong, and why; no fault has been ordered then.
    pub fn inject_script(&self, script: &str) -> Result<(), FaultError> {
        self.inject(Fault::parse_script(script)?);
        Ok(())
    }

    /// The faults that were ordered, and how often each was committed.
    pub fn faults(&self) -> Vec<FaultState> {
        self.shared.faults.states()
    }

    /// Takes all orders for faults back.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Forgets all requests and callback attempts so far.
    pub fn clear_log(&self) {
        self.shared.journal.clear();
    }

    /// Sets the emulator's clock this far from the machine's, in seconds; negative is back.
    pub fn set_clock_offset_seconds(&self, seconds: i64) {
        self.shared.clock.set_offset(seconds);
    }

    /// Stops it: requests under way get two seconds to finish. When this returns, its socket, connections and
    /// threads are gone.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

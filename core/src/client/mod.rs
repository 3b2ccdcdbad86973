//! The client: uploads with a callback.

mod answer;
mod answer_poll;
#[cfg(target_os = "linux")]
mod answers;
mod builder;
mod careful;
mod confirm;
mod exchange;
mod headers;
mod in_flight;
mod look;
mod opening;
mod put;
mod reply;
mod upload;

use std::fmt;
use std::sync::Arc;

use crate::body::{Body, Lease};
use crate::callback::Callback;
use crate::clock::Clock;
use crate::credentials::Signers;
use crate::endpoint::Endpoint;
use crate::engine::{Cancel, Engines, Interrupt, Load, until_cancelled};
use crate::error::Result;
use crate::options::{Addressing, ClientBuilder, PutOptions, SignatureVersion};
use crate::sign::Signer;

pub use answer_poll::AnswerPoll;
pub use confirm::Confirmation;
pub use in_flight::{AnswerSocket, InFlight, Step};
pub use put::PutRequest;
pub use reply::CallbackReply;
pub use upload::{Progress, UploadRequest};

use builder::Timeouts;
use exchange::known_to;

/// Uploads objects with callbacks.
///
/// Cheap to clone; one client serves all threads at once and keeps its connections alive between
/// calls. After `fork()` it can be used in the child, which opens connections of its own.
///
/// ```no_run
/// use oss_callback::{Callback, Client};
///
/// let client = Client::builder().region("cn-hangzhou").build()?;
/// let callback = Callback::builder("https://app.example.com/cb").var("order", "42").build()?;
/// let reply = client.put_object_with_callback("examplebucket", "a.txt", b"Hello OSS", &callback)?;
/// println!("{}", reply.text());
/// # Ok::<(), oss_callback::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    addressing: Addressing,
    signature_version: SignatureVersion,
    region: Option<String>,
    signers: Signers,
    timeouts: Timeouts,
    clock: Clock,
    retries: u32,
    engines: Engines,
}

impl Client {
    /// A client to be filled in: region or endpoint, credentials, and what else
    /// [`ClientBuilder`] offers.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Uploads an object, has OSS call the application server, and returns its answer.
    ///
    /// `data` is taken over without a copy from `Vec<u8>`, `String` and `Bytes`; a borrowed slice is
    /// copied; a path, a file and a stream ([`Body`]) are read while they are sent.
    ///
    /// What fails is tried again where that is safe (`retries`, `callback_retry`).
    ///
    /// # Errors
    /// Any [kind](crate::ErrorKind). With `callback_failed` the object *is* stored, and the error
    /// carries its ETag; with `outcome_unknown` too, but what the callback came to is not known; with
    /// `invalid_argument` and `credentials` nothing was stored.
    pub fn put_object_with_callback(
        &self,
        bucket: &str,
        key: &str,
        data: impl Into<Body>,
        callback: &Callback,
    ) -> Result<CallbackReply> {
        self.send(PutRequest::new(bucket, key, data, callback))
    }

    /// [`put_object_with_callback`](Client::put_object_with_callback) with options.
    ///
    /// # Errors
    /// As without options; `invalid_argument` also for an option out of range.
    pub fn put_object_with_callback_opts(
        &self,
        bucket: &str,
        key: &str,
        data: impl Into<Body>,
        callback: &Callback,
        options: &PutOptions,
    ) -> Result<CallbackReply> {
        self.send(PutRequest::new(bucket, key, data, callback).options(options.clone()))
    }

    /// Makes a prepared upload and waits for it.
    ///
    /// # Errors
    /// As [`put_object_with_callback`](Client::put_object_with_callback); `cancelled` once the
    /// request's token is.
    pub fn send(&self, request: PutRequest) -> Result<CallbackReply> {
        self.send_interruptibly(request, None)
    }

    /// [`send`](Client::send) that calls `interrupt` on this thread every 50 ms while it waits, and
    /// ends with kind `cancelled` once it returns true. For languages whose signals must be looked
    /// for, such as Ctrl-C in Python. Within an asynchronous runtime, which this blocks, `interrupt` is not
    /// called.
    ///
    /// # Errors
    /// As [`send`](Client::send).
    pub fn send_while(
        &self,
        request: PutRequest,
        mut interrupt: impl FnMut() -> bool,
    ) -> Result<CallbackReply> {
        self.send_interruptibly(request, Some(&mut interrupt))
    }

    fn send_interruptibly(
        &self,
        request: PutRequest,
        interrupt: Option<Interrupt<'_>>,
    ) -> Result<CallbackReply> {
        let cancel = request.cancel.clone();
        let (plan, lease) = put::Plan::new(&self.inner, request)?;
        let gauge = plan.parcel.gauge();
        let outcome =
            self.inner.engines.block_on(cancel.as_ref(), interrupt, &lease, |transport| async move {
                put::run(&self.inner, transport, &plan).await
            });
        known_to(&gauge, outcome)
    }

    /// Starts an upload and returns at once; `done` is called with its outcome on a thread of the
    /// library's, and should be quick. What is refused at once, `done` hears at once, on this thread. A path is
    /// opened, and the digest of much data computed, on a thread of its own. Any number of uploads can be under
    /// way. For languages with an event loop of their own.
    pub fn start(&self, request: PutRequest, done: impl FnOnce(Result<CallbackReply>) + Send + 'static) {
        let cancel = request.cancel.clone();
        if request.takes_long() {
            return self.start_aside(request, cancel, done);
        }
        let (plan, lease) = match put::Plan::new(&self.inner, request) {
            Ok(planned) => planned,
            Err(error) => return done(Err(error)),
        };
        let (inner, gauge) = (Arc::clone(&self.inner), plan.parcel.gauge());
        self.inner.engines.start(
            plan.parcel.load(),
            cancel,
            lease,
            |transport| async move { put::run(&inner, transport, &plan).await },
            move |outcome| done(known_to(&gauge, outcome)),
        );
    }

    fn start_aside(
        &self,
        request: PutRequest,
        cancel: Option<Cancel>,
        done: impl FnOnce(Result<CallbackReply>) + Send + 'static,
    ) {
        let (inner, opener) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        let ending = cancel.clone();
        let call = |transport| async move {
            let opened = opening::aside(ending.clone(), move || put::Plan::new(&opener, request)).await;
            let (plan, _lease) = opened?;
            known_to(
                &plan.parcel.gauge(),
                until_cancelled(ending.as_ref(), put::run(&inner, transport, &plan)).await,
            )
        };
        // Whose data is lent is told by its own means when the last of it is let go.
        self.inner.engines.start(Load::Large, None, Lease::default(), call, done);
    }

    /// Takes up an upload that the caller moves on by [`InFlight::advance`], and that leaves it to the
    /// caller to wait for the server's answer: for languages whose own scheduler waits for sockets. Nothing
    /// is sent yet.
    ///
    /// # Errors
    /// `invalid_argument`; `source` if there is none to be read; `network` if the system has no descriptors
    /// left. What else can go wrong comes by `advance`.
    pub fn begin(&self, request: PutRequest) -> Result<InFlight> {
        InFlight::new(&self.inner, request)
    }

    /// A signer with the client's present credentials, which are asked for if there are none: for
    /// presigned URLs, POST policies, and other HTTP clients. It does not change when the client's
    /// credentials do, so get a new one each time.
    ///
    /// # Errors
    /// `credentials` if there are none.
    pub fn signer(&self) -> Result<Signer> {
        let current =
            self.inner.engines.block_on(None, None, &Lease::default(), |_| self.inner.signers.current())?;
        Ok(Signer::clone(&current))
    }

    /// The region that requests are signed for, if one is known.
    pub fn region(&self) -> Option<&str> {
        self.inner.region.as_deref()
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.inner.endpoint)
            .field("region", &self.inner.region)
            .field("addressing", &self.inner.addressing)
            .field("signature_version", &self.inner.signature_version)
            .finish_non_exhaustive()
    }
}

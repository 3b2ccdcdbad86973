//! The client: an upload is started on the event loop's thread, runs on a thread of the core's, and tells
//! its outcome back on the event loop. Neither the loop nor libuv's pool ever waits for it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::{Array, Either3, Either6, External, ExternalRef, Uint8ArraySlice};
use napi_derive::napi;
use oss_callback::{
    Body, CallbackReply, Cancel, Client, ClientBuilder, PutOptions, PutRequest, Result, UploadOptions,
    UploadRequest,
};

use crate::callback::NativeCallback;
use crate::channel::{Call, Channel, Event};
use crate::convert::{self, text};
use crate::handles::Live;
use crate::options::Group;
use crate::outcome::{Failure, Outcome, guard};
use crate::pipe::NativePipe;
use crate::provider::Provider;

static CLIENT_OPTIONS: Group = Group::new(ClientBuilder::OPTIONS);
static PUT_OPTIONS: Group = Group::new(PutOptions::OPTIONS);
static UPLOAD_OPTIONS: Group = Group::new(UploadOptions::OPTIONS);

/// What JavaScript's Client is made of.
pub struct NativeClient {
    inner: Mutex<Option<Client>>,
    facts: ClientFacts,
    _live: Live,
}

impl NativeClient {
    pub fn open(&self) -> std::result::Result<Client, Failure> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or_else(|| Failure::invalid("client", "is closed", Some("Make a new one.")))
    }
}

/// Makes a client from a flat list of options. With a number of a provider, that is asked for credentials.
#[napi(catch_unwind)]
pub fn client_new(
    channel: &External<Channel>,
    options: Array<'_>,
    provider: Option<f64>,
) -> Outcome<External<NativeClient>> {
    guard(|| {
        oss_callback::log_by_environment();
        let mut builder = ClientBuilder::default();
        if let Some(number) = provider {
            builder = builder.credentials_provider(Provider(channel.listener(number)));
        }
        CLIENT_OPTIONS.apply(&options, |name, value| builder.set(name, value))?;
        let client = builder.build()?;
        let facts = ClientFacts {
            region: client.region().map(str::to_owned),
            endpoint: client.endpoint().to_string(),
        };
        Ok(External::new(NativeClient { inner: Mutex::new(Some(client)), facts, _live: Live::new() }))
    })
}

/// Lets the client go. Calls under way end as they would have.
#[napi(catch_unwind)]
pub fn client_close(client: &External<NativeClient>) {
    let closed = client.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(closed);
}

/// What the client tells of itself, closed or not.
#[derive(Clone)]
#[napi(object, object_from_js = false)]
pub struct ClientFacts {
    pub region: Option<String>,
    pub endpoint: String,
}

/// Tells region and endpoint.
#[napi(catch_unwind)]
pub fn client_facts(client: &External<NativeClient>) -> ClientFacts {
    client.facts.clone()
}

/// Ends the calls that were started with it.
pub struct NativeCancel {
    pub inner: Cancel,
    _live: Live,
}

/// Makes a token for calls that may be cancelled.
#[napi(catch_unwind)]
pub fn cancel_new() -> External<NativeCancel> {
    External::new(NativeCancel { inner: Cancel::new(), _live: Live::new() })
}

/// Cancels the calls that hold the token.
#[napi(catch_unwind)]
pub fn cancel(cancel: &External<NativeCancel>) {
    cancel.inner.cancel();
}

/// The bytes themselves, the path of a file, or a pipe.
pub type Source<'a> = Either3<Uint8ArraySlice<'a>, String, ExternalRef<NativePipe>>;

fn body(source: &Source<'_>, length: Option<f64>) -> std::result::Result<Body, Failure> {
    Ok(match source {
        // The one copy: JavaScript may change the bytes once this call has returned.
        Either3::A(bytes) => Body::from(&**bytes),
        Either3::B(path) => PathBuf::from(path).into(),
        Either3::C(pipe) => pipe.body(length.map(|length| length as u64))?,
    })
}

/// What every upload takes.
#[napi(object, object_to_js = false)]
pub struct Upload<'env> {
    /// Bucket and key.
    pub object: Array<'env>,
    pub options: Array<'env>,
    /// Of a pipe, where it is known.
    pub length: Option<f64>,
}

impl Upload<'_> {
    fn object(&self) -> std::result::Result<(String, String), Failure> {
        match convert::elements(&self.object)?.as_slice() {
            [bucket, key] => Ok((text("bucket", bucket)?, text("key", key)?)),
            _ => Err(Failure::bug("an object has a bucket and a key")),
        }
    }
}

/// Starts an upload in one request, whose outcome `number` is told. Or gives a failure, when the arguments
/// do not fit: then nothing was started.
#[napi(catch_unwind)]
pub fn client_put(
    channel: &External<Channel>,
    number: f64,
    client: &External<NativeClient>,
    upload: Upload<'_>,
    source: Source<'_>,
    callback: &External<NativeCallback>,
    cancel: Option<ExternalRef<NativeCancel>>,
) -> Outcome<()> {
    guard(|| {
        let client = client.open()?;
        let mut options = PutOptions::default();
        PUT_OPTIONS.apply(&upload.options, |name, value| options.set(name, value))?;
        let (bucket, key) = upload.object()?;
        let body = body(&source, upload.length)?;
        let mut request = PutRequest::new(bucket, key, body, &callback.inner).options(options);
        if let Some(cancel) = cancel {
            request = request.cancel(&cancel.inner);
        }
        let call = Call::new(channel.listener(number));
        channel.start(&client, request, move |outcome| call.ends(reply(outcome)));
        Ok(())
    })
}

/// Starts an upload of any size, as [`client_put`]. `progress` is told how far it is.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn client_upload(
    channel: &External<Channel>,
    number: f64,
    client: &External<NativeClient>,
    upload: Upload<'_>,
    source: Source<'_>,
    callback: &External<NativeCallback>,
    cancel: ExternalRef<NativeCancel>,
    progress: Option<f64>,
) -> Outcome<()> {
    guard(|| {
        let client = client.open()?;
        let mut options = UploadOptions::default();
        UPLOAD_OPTIONS.apply(&upload.options, |name, value| options.set(name, value))?;
        let (bucket, key) = upload.object()?;
        let body = body(&source, upload.length)?;
        let mut request =
            UploadRequest::new(bucket, key, body, &callback.inner).options(options).cancel(&cancel.inner);
        if let Some(progress) = progress {
            let listener = channel.listener(progress);
            request = request.progress(move |progress| listener.tell(Either6::C(progress.into())));
        }
        let call = Call::new(channel.listener(number));
        client.start_upload(request, move |outcome| call.ends(reply(outcome)));
        Ok(())
    })
}

fn reply(outcome: Result<CallbackReply>) -> Result<Event> {
    outcome.map(|reply| Either6::A(reply.into()))
}

//! The client: an upload is started on the event loop's thread, runs on a thread of the core's, and tells
//! its outcome back on the event loop. Neither the loop nor libuv's pool ever waits for it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use napi::bindgen_prelude::{
    Array, Buffer, Either, External, ExternalRef, FnArgs, Function, Uint8ArraySlice,
};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Status, Unknown};
use napi_derive::napi;
use oss_callback::{CallbackReply, Cancel, Client, ClientBuilder, PutOptions, PutRequest, Result};

use crate::callback::NativeCallback;
use crate::convert::text;
use crate::handles::Live;
use crate::options::Group;
use crate::outcome::{Failure, Outcome, guard};

static CLIENT_OPTIONS: Group = Group::new(ClientBuilder::OPTIONS);
static PUT_OPTIONS: Group = Group::new(PutOptions::OPTIONS);

/// What JavaScript's Client is made of.
pub struct NativeClient {
    inner: Mutex<Option<Client>>,
    _live: Live,
}

impl NativeClient {
    pub fn open(&self) -> std::result::Result<Client, Failure> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or_else(|| Failure::invalid("client", "is closed", Some("Make a new one.")))
    }
}

/// Makes a client from a flat list of options.
#[napi(catch_unwind)]
pub fn client_new(options: Array<'_>) -> Outcome<External<NativeClient>> {
    guard(|| {
        let mut builder = ClientBuilder::default();
        CLIENT_OPTIONS.apply(&options, |name, value| builder.set(name, value))?;
        let inner = Mutex::new(Some(builder.build()?));
        Ok(External::new(NativeClient { inner, _live: Live::new() }))
    })
}

/// Lets the client go. Calls under way end as they would have.
#[napi(catch_unwind)]
pub fn client_close(client: &External<NativeClient>) {
    let closed = client.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(closed);
}

/// What the client tells of itself.
#[napi(object, object_from_js = false)]
pub struct ClientFacts {
    pub region: Option<String>,
    pub endpoint: String,
}

/// Tells region and endpoint.
#[napi(catch_unwind)]
pub fn client_facts(client: &External<NativeClient>) -> Outcome<ClientFacts> {
    guard(|| {
        let client = client.open()?;
        Ok(ClientFacts {
            region: client.region().map(str::to_owned),
            endpoint: client.endpoint().to_string(),
        })
    })
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

type Arguments = FnArgs<(f64, Outcome<Reply>)>;
type Settle = ThreadsafeFunction<Arguments, (), Arguments, Status, false, true>;

/// The way back to one event loop, for all calls that were started there. One for each call would cost more
/// than the rest of the call does in this module.
pub struct Channel(Arc<Settle>);

/// Makes a channel: `settle(number, outcome)` is called for each call that ends. It does not keep the event
/// loop alive.
#[napi(catch_unwind)]
pub fn channel_new(settle: Function<'_, Arguments, ()>) -> napi::Result<External<Channel>> {
    let settle = settle.build_threadsafe_function::<Arguments>().weak::<true>().build()?;
    Ok(External::new(Channel(Arc::new(settle))))
}

/// Starts an upload, whose outcome the channel tells under `number`. Or gives a failure, when the arguments
/// do not fit: then nothing was started.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn client_put(
    channel: &External<Channel>,
    number: f64,
    client: &External<NativeClient>,
    bucket: Unknown<'_>,
    key: Unknown<'_>,
    data: Uint8ArraySlice<'_>,
    callback: &External<NativeCallback>,
    options: Array<'_>,
    cancel: Option<ExternalRef<NativeCancel>>,
) -> Outcome<()> {
    guard(|| {
        let client = client.open()?;
        let mut put_options = PutOptions::default();
        PUT_OPTIONS.apply(&options, |name, value| put_options.set(name, value))?;
        let (bucket, key) = (text("bucket", &bucket)?, text("key", &key)?);
        // The one copy: JavaScript may change the bytes once this call has returned.
        let data: &[u8] = &data;
        let mut request = PutRequest::new(bucket, key, data, &callback.inner).options(put_options);
        if let Some(cancel) = cancel {
            request = request.cancel(&cancel.inner);
        }
        let call = Call(Some((Arc::clone(&channel.0), number, Live::new())));
        client.start(request, move |outcome| call.ends(outcome));
        Ok(())
    })
}

/// What an upload returns.
#[napi(object, object_from_js = false)]
pub struct Reply {
    pub body: Buffer,
    pub content_type: Option<String>,
    pub etag: Option<String>,
    /// Decimal: a number of JavaScript holds 53 bits.
    pub crc64: Option<String>,
    pub version_id: Option<String>,
    pub request_id: Option<String>,
    pub server_time_ms: Option<f64>,
}

impl From<CallbackReply> for Reply {
    fn from(reply: CallbackReply) -> Reply {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Reply {
            content_type: owned(reply.content_type()),
            etag: owned(reply.etag()),
            crc64: reply.crc64().map(|crc| crc.to_string()),
            version_id: owned(reply.version_id()),
            request_id: owned(reply.request_id()),
            server_time_ms: reply.server_time().map(|time| time.as_secs_f64() * 1000.0),
            body: exactly(reply.into_body()).into(),
        }
    }
}

/// The bytes in memory of just their size. They come as a part of what was read from the connection: V8,
/// which sees the part alone, would let kilobytes lie about for each small reply. Large ones are not copied.
fn exactly(body: Bytes) -> Vec<u8> {
    const LARGE: usize = 64 * 1024;
    if body.len() < LARGE { body.to_vec() } else { Vec::from(body) }
}

/// A call under way. Its outcome is told exactly once: a call that is lost, because its code panicked, is
/// told as a bug and leaves nobody waiting.
struct Call(Option<(Arc<Settle>, f64, Live)>);

impl Call {
    fn ends(mut self, outcome: Result<CallbackReply>) {
        self.tell(match outcome {
            Ok(reply) => Either::A(reply.into()),
            Err(error) => Either::B(Failure::from(error).told()),
        });
    }

    fn tell(&mut self, outcome: Outcome<Reply>) {
        if let Some((settle, number, live)) = self.0.take() {
            drop(live);
            // Where the event loop is gone, so is whoever waited.
            let _ = settle.call((number, outcome).into(), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.tell(Either::B(Failure::bug("the call was lost").told()));
    }
}

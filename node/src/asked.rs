//! Questions to OSS on behalf of the receiving side: whether an object is there, and which key is meant.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use napi::Status;
use napi::bindgen_prelude::{Either, External, ExternalRef, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use oss_callback::receive::CallbackEvent;
use oss_callback::{BodyType, Confirmation, Result};

use crate::client::{NativeCancel, NativeClient};
use crate::handles::Live;
use crate::outcome::{Failure, Outcome, guard};

type Arguments = FnArgs<(f64, Outcome<Option<Confirmed>>)>;
type Settle = ThreadsafeFunction<Arguments, (), Arguments, Status, false, true>;

/// The way back to one event loop, for all questions that were asked there.
pub struct Channel(Arc<Settle>);

/// Makes a channel: `settle(number, outcome)` is called for each question that is answered. It does not keep
/// the event loop alive.
#[napi(catch_unwind)]
pub fn asked_channel_new(settle: Function<'_, Arguments, ()>) -> napi::Result<External<Channel>> {
    let settle = settle.build_threadsafe_function::<Arguments>().weak::<true>().build()?;
    Ok(External::new(Channel(Arc::new(settle))))
}

/// What OSS says of an object.
#[napi(object, object_from_js = false)]
pub struct Confirmed {
    pub etag: Option<String>,
    pub size: Option<f64>,
    /// Decimal: a number of JavaScript holds 53 bits.
    pub crc64: Option<String>,
    pub content_type: Option<String>,
    /// In Unix milliseconds.
    pub last_modified: Option<f64>,
    pub version_id: Option<String>,
    pub request_id: Option<String>,
}

impl From<Confirmation> for Confirmed {
    fn from(found: Confirmation) -> Confirmed {
        let millis = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).ok();
        Confirmed {
            etag: found.etag,
            size: found.size.map(|size| size as f64),
            crc64: found.crc64.map(|crc| crc.to_string()),
            content_type: found.content_type,
            last_modified: found.last_modified.and_then(millis).map(|since| since.as_secs_f64() * 1000.0),
            version_id: found.version_id,
            request_id: found.request_id,
        }
    }
}

/// Asks whether OSS holds what a callback claims. `claims` is JSON with OSS's names, of a callback that was
/// verified already.
#[napi(catch_unwind)]
pub fn client_confirm(
    channel: &External<Channel>,
    number: f64,
    client: &External<NativeClient>,
    claims: String,
    cancel: Option<ExternalRef<NativeCancel>>,
) -> Outcome<()> {
    guard(|| {
        let client = client.open()?;
        let event = CallbackEvent::parse(claims.as_bytes(), BodyType::Json, None)?;
        let asked = Asked::new(channel, number);
        let cancel = cancel.as_ref().map(|cancel| &cancel.inner);
        client.start_confirm_until(&event, cancel, move |outcome| {
            asked.ends(outcome.map(|found| Some(found.into())));
        });
        Ok(())
    })
}

/// A question under way. Its outcome is told exactly once, as that of an upload.
pub struct Asked(Option<(Arc<Settle>, f64, Live)>);

impl Asked {
    pub fn new(channel: &Channel, number: f64) -> Asked {
        Asked(Some((Arc::clone(&channel.0), number, Live::new())))
    }

    pub fn ends(mut self, outcome: Result<Option<Confirmed>>) {
        self.tell(match outcome {
            Ok(found) => Either::A(found),
            Err(error) => Either::B(Failure::from(error).told()),
        });
    }

    fn tell(&mut self, outcome: Outcome<Option<Confirmed>>) {
        if let Some((settle, number, live)) = self.0.take() {
            drop(live);
            // Where the event loop is gone, so is whoever waited.
            let _ = settle.call((number, outcome).into(), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.tell(Either::B(Failure::bug("a question was lost").told()));
    }
}

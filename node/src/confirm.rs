//! Asking OSS whether it holds what a callback tells of.

use std::time::{SystemTime, UNIX_EPOCH};

use napi::bindgen_prelude::{Array, Either6, External, ExternalRef};
use napi_derive::napi;
use oss_callback::Confirmation;
use oss_callback::receive::CallbackEvent;

use crate::channel::{Call, Channel};
use crate::client::{NativeCancel, NativeClient};
use crate::convert;
use crate::outcome::{Outcome, guard};

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
        let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
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

/// Asks whether OSS holds what a callback claims, which was verified already. `claims` is a flat list of OSS's
/// names and texts.
#[napi(catch_unwind)]
pub fn client_confirm(
    channel: &External<Channel>,
    number: f64,
    client: &External<NativeClient>,
    claims: Array<'_>,
    cancel: Option<ExternalRef<NativeCancel>>,
) -> Outcome<()> {
    guard(|| {
        let client = client.open()?;
        let mut fields = Vec::new();
        for (name, value) in convert::entries(&claims)? {
            fields.push((name, convert::text("event", &value)?));
        }
        let event = CallbackEvent::from_fields(fields)?;
        let call = Call::new(channel.listener(number));
        let done = move |outcome: oss_callback::Result<Confirmation>| {
            call.ends(outcome.map(|found| Either6::F(found.into())));
        };
        match cancel {
            Some(cancel) => client.start_confirm_until(&event, &cancel.inner, done),
            None => client.start_confirm(&event, done),
        }
        Ok(())
    })
}

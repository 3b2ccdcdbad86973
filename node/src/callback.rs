//! The callback, built and checked by the core.

use napi::Unknown;
use napi::bindgen_prelude::{Array, External};
use napi_derive::napi;
use oss_callback::{Callback, CallbackBuilder, PreviewValues};

use crate::convert;
use crate::handles::Live;
use crate::options::{Group, parameters};
use crate::outcome::{Failure, Outcome, guard};

static OPTIONS: Group = Group::new(CallbackBuilder::OPTIONS);

/// What JavaScript's Callback is made of.
pub struct NativeCallback {
    pub inner: Callback,
    _live: Live,
}

/// Makes a callback from its URLs and a flat list of options; sealed as another such list says.
#[napi(catch_unwind)]
pub fn callback_new(
    urls: Array<'_>,
    options: Array<'_>,
    seal: Option<Array<'_>>,
) -> Outcome<External<NativeCallback>> {
    guard(|| {
        let mut builder = CallbackBuilder::default();
        for url in convert::elements(&urls)? {
            builder = builder.url(convert::text("callback.url", &url)?);
        }
        OPTIONS.apply(&options, |name, value| builder.set(name, value))?;
        if let Some(seal) = seal {
            let [secret, expires_in] = parameters(&seal, ["secret", "expiresInMs"])?;
            let (Some(secret), Some(expires_in)) = (secret, expires_in) else {
                let hint = "Give both; a missing environment variable is `undefined`.";
                return Err(Failure::invalid("callback.seal", "needs secret and expiresInMs", Some(hint)));
            };
            let expires_in = convert::duration("callback.seal.expiresInMs", &expires_in)?;
            builder = builder.seal(convert::text("callback.seal.secret", &secret)?, expires_in);
        }
        Ok(NativeCallback::new(builder.build()?))
    })
}

impl NativeCallback {
    fn new(inner: Callback) -> External<NativeCallback> {
        External::new(NativeCallback { inner, _live: Live::new() })
    }
}

/// The callback for one upload, with a seal of its own.
#[napi(catch_unwind)]
pub fn callback_sealed_for(
    callback: &External<NativeCallback>,
    bucket: Unknown<'_>,
    key: Unknown<'_>,
    options: Array<'_>,
) -> Outcome<External<NativeCallback>> {
    guard(|| {
        let [time] = parameters(&options, ["time"])?;
        let (bucket, key) = (convert::text("bucket", &bucket)?, convert::text("key", &key)?);
        let sealed = callback.inner.sealed_for(&bucket, &key, convert::moment("time", time)?)?;
        Ok(NativeCallback::new(sealed))
    })
}

/// All that a callback tells of itself. Pairs are flat lists.
#[napi(object, object_from_js = false)]
pub struct CallbackFacts {
    pub encoded: String,
    pub encoded_vars: Option<String>,
    pub json: String,
    pub vars_json: Option<String>,
    pub urls: Vec<String>,
    pub body: Option<String>,
    pub body_type: String,
    pub host: Option<String>,
    pub sni: bool,
    pub headers: Vec<String>,
    pub vars: Vec<String>,
    pub policy: Option<String>,
    pub to_be_sealed: bool,
    pub warnings: Vec<String>,
}

/// Tells what a callback says.
#[napi(catch_unwind)]
pub fn callback_facts(callback: &External<NativeCallback>) -> Outcome<CallbackFacts> {
    guard(|| {
        let callback = &callback.inner;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(CallbackFacts {
            encoded: callback.encoded().to_owned(),
            encoded_vars: owned(callback.encoded_vars()),
            json: callback.json().to_owned(),
            vars_json: owned(callback.vars_json()),
            urls: callback.urls().to_vec(),
            body: owned(callback.body()),
            body_type: callback.body_type().as_str().to_owned(),
            host: owned(callback.host()),
            sni: callback.sni(),
            headers: flat(callback.headers()),
            vars: flat(callback.vars()),
            policy: owned(callback.policy()),
            to_be_sealed: callback.is_to_be_sealed(),
            warnings: callback.warnings().to_vec(),
        })
    })
}

/// The body that OSS would send for an upload with these values: pairs of a variable's name and a text.
#[napi(catch_unwind)]
pub fn callback_preview(callback: &External<NativeCallback>, values: Unknown<'_>) -> Outcome<String> {
    guard(|| {
        let mut known = PreviewValues::new();
        for (name, value) in convert::pairs("values", &values)? {
            known.set(&name, value).map_err(|error| Failure::verbatim(&error))?;
        }
        Ok(callback.inner.preview(&known)?)
    })
}

/// Pairs as JavaScript takes them.
pub fn flat(pairs: &[(String, String)]) -> Vec<String> {
    pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect()
}

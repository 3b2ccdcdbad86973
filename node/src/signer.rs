//! Signing requests that others send.

use std::time::SystemTime;

use napi::Unknown;
use napi::bindgen_prelude::{Array, Either, Either3, External};
use napi_derive::napi;
use oss_callback::sign::SignRequest;
use oss_callback::{Addressing, Credentials, Signer};

use crate::callback::flat;
use crate::convert::{self, optional_text, text};
use crate::handles::Live;
use crate::options::parameters;
use crate::outcome::{Failure, Outcome, Told, guard};

/// What JavaScript's Signer is made of.
pub struct NativeSigner {
    inner: Signer,
    _live: Live,
}

/// Makes a signer.
#[napi(catch_unwind)]
pub fn signer_new(
    access_key_id: Unknown<'_>,
    access_key_secret: Unknown<'_>,
    options: Array<'_>,
) -> Outcome<External<NativeSigner>> {
    guard(|| {
        let names = ["securityToken", "region", "product", "version"];
        let [token, region, product, version] = parameters(&options, names)?;
        let id = text("accessKeyId", &access_key_id)?;
        let mut credentials = Credentials::new(id, text("accessKeySecret", &access_key_secret)?)?;
        if let Some(token) = optional_text("securityToken", token)? {
            credentials = credentials.with_security_token(token)?;
        }
        let region = optional_text("region", region)?;
        let version = optional_text("version", version)?.map(|version| version.parse()).transpose()?;
        let product = optional_text("product", product)?;
        let inner = Signer::from_choices(credentials, version, region.as_deref(), product.as_deref())?;
        Ok(External::new(NativeSigner { inner, _live: Live::new() }))
    })
}

/// Signs by headers, and gives those to add as a flat list.
#[napi(catch_unwind)]
pub fn signer_sign(
    signer: &External<NativeSigner>,
    method: Unknown<'_>,
    request: Array<'_>,
) -> Outcome<Vec<String>> {
    guard(|| {
        let names = ["bucket", "key", "query", "headers", "additionalHeaders", "time"];
        let [bucket, key, query, headers, additional, time] = parameters(&request, names)?;
        let request = asked_for(&method, [bucket, key, query, headers, additional])?;
        Ok(flat(&signer.inner.sign(&request, convert::moment("time", time)?)?.headers))
    })
}

/// The same for a request of texts alone, which come in one: each question to Node costs more than what it
/// asks for. `lines` are the method, the bucket, the key, and the headers' names and values, one on each line.
/// Gives the headers to add likewise, and nothing where it takes the other way to say what is wrong.
#[napi(catch_unwind)]
pub fn signer_sign_lines(
    signer: &External<NativeSigner>,
    lines: String,
    time: Option<f64>,
) -> Either3<String, Told, ()> {
    let signed = || {
        let all: Vec<&str> = lines.split('\n').collect();
        let [method, bucket, key, headers @ ..] = &all[..] else { return Ok(None) };
        // What was a lone surrogate has no name here by which it could be told.
        if headers.len() % 2 != 0 || lines.contains('\u{fffd}') {
            return Ok(None);
        }
        let owned = |text: &&str| (*text).to_owned();
        let request = SignRequest {
            method: owned(method),
            bucket: Some(owned(bucket)),
            key: Some(owned(key)),
            headers: headers.chunks_exact(2).map(|pair| (owned(&pair[0]), owned(&pair[1]))).collect(),
            ..SignRequest::default()
        };
        let time = match time {
            None => SystemTime::now(),
            Some(seconds) => convert::unix_seconds("time", seconds)?,
        };
        let signed = signer.inner.sign(&request, time)?;
        let mut out = String::with_capacity(512);
        for text in signed.headers.iter().flat_map(|(name, value)| [name, value]) {
            out.push_str(text);
            out.push('\n');
        }
        out.pop();
        Ok(Some(out))
    };
    match guard(signed) {
        Either::A(Some(signed)) => Either3::A(signed),
        Either::A(None) => Either3::C(()),
        Either::B(told) => Either3::B(told),
    }
}

/// A signed URL, and the headers that must be sent with it, as a flat list.
#[napi(object, object_from_js = false)]
pub struct Presigned {
    pub method: String,
    pub url: String,
    pub headers: Vec<String>,
}

/// Signs by URL.
#[napi(catch_unwind)]
pub fn signer_presign(
    signer: &External<NativeSigner>,
    method: Unknown<'_>,
    request: Array<'_>,
) -> Outcome<Presigned> {
    guard(|| {
        let names = [
            "endpoint",
            "addressing",
            "bucket",
            "key",
            "expiresInMs",
            "query",
            "headers",
            "additionalHeaders",
            "time",
        ];
        let [endpoint, addressing, bucket, key, expires, query, headers, additional, time] =
            parameters(&request, names)?;
        let request = asked_for(&method, [bucket, key, query, headers, additional])?;
        let endpoint = signer.inner.endpoint(optional_text("endpoint", endpoint)?.as_deref())?;
        let addressing = match optional_text("addressing", addressing)? {
            Some(addressing) => addressing.parse()?,
            None => Addressing::Auto,
        };
        let Some(expires) = expires else {
            let hint = "Give the URL's life in milliseconds.";
            return Err(Failure::invalid("expiresInMs", "is missing", Some(hint)));
        };
        let expires = convert::duration("expiresInMs", &expires)?;
        let time = convert::moment("time", time)?;
        let signed = signer.inner.presign(&request, &endpoint, addressing, expires, time)?;
        Ok(Presigned { method: signed.method, url: signed.url, headers: flat(&signed.headers) })
    })
}

/// The conditions that a POST policy must hold, as a flat list.
#[napi(catch_unwind)]
pub fn signer_policy_conditions(signer: &External<NativeSigner>, options: Array<'_>) -> Outcome<Vec<String>> {
    guard(|| {
        let [time] = parameters(&options, ["time"])?;
        Ok(flat(&signer.inner.policy_conditions(convert::moment("time", time)?)?))
    })
}

/// The form fields that a POST form needs beside its own, in order, as a flat list.
#[napi(catch_unwind)]
pub fn signer_sign_policy(
    signer: &External<NativeSigner>,
    policy: Unknown<'_>,
    options: Array<'_>,
) -> Outcome<Vec<String>> {
    guard(|| {
        let [time] = parameters(&options, ["time"])?;
        let policy = text("policy", &policy)?;
        Ok(flat(&signer.inner.sign_policy(&policy, convert::moment("time", time)?)?))
    })
}

/// What the signer tells of itself.
#[napi(object, object_from_js = false)]
pub struct SignerFacts {
    pub version: String,
    pub region: Option<String>,
}

/// Tells version and region.
#[napi(catch_unwind)]
pub fn signer_facts(signer: &External<NativeSigner>) -> Outcome<SignerFacts> {
    guard(|| {
        Ok(SignerFacts {
            version: signer.inner.version().as_str().to_owned(),
            region: signer.inner.region().map(str::to_owned),
        })
    })
}

fn asked_for(
    method: &Unknown<'_>,
    [bucket, key, query, headers, additional]: [Option<Unknown<'_>>; 5],
) -> Result<SignRequest, Failure> {
    let query = query.map(|query| convert::query("query", &query)).transpose()?;
    let headers = headers.map(|headers| convert::pairs("headers", &headers)).transpose()?;
    let additional = additional.map(|names| convert::texts("additionalHeaders", &names)).transpose()?;
    Ok(SignRequest {
        method: text("method", method)?,
        bucket: optional_text("bucket", bucket)?,
        key: optional_text("key", key)?,
        query: query.unwrap_or_default(),
        headers: headers.unwrap_or_default(),
        additional_headers: additional.unwrap_or_default(),
    })
}

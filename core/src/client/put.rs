//! One PutObject with a callback: checked, signed, sent, judged.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::reply::CallbackReply;
use super::{Inner, answer, builder, headers};
use crate::body::{Body, Lease};
use crate::callback::Callback;
use crate::encode::push_query;
use crate::endpoint::Target;
use crate::engine::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{CallbackPlacement, PutOptions};
use crate::sign::SignRequest;
use crate::transport::{Failure, FailureCause, Outgoing, Request, Transport};

/// PutObject takes at most 5 GB (OSS, PutObject).
const OBJECT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// An upload to be made by [`Client::send`](crate::Client::send) or
/// [`Client::start`](crate::Client::start).
#[derive(Clone, Debug)]
#[must_use]
pub struct PutRequest {
    bucket: String,
    key: String,
    data: Body,
    callback: Callback,
    options: PutOptions,
    pub(super) cancel: Option<Cancel>,
}

impl PutRequest {
    /// An upload without options.
    pub fn new(
        bucket: impl Into<String>,
        key: impl Into<String>,
        data: impl Into<Body>,
        callback: &Callback,
    ) -> PutRequest {
        PutRequest {
            bucket: bucket.into(),
            key: key.into(),
            data: data.into(),
            callback: callback.clone(),
            options: PutOptions::default(),
            cancel: None,
        }
    }

    /// Sets the options.
    pub fn options(mut self, options: PutOptions) -> PutRequest {
        self.options = options;
        self
    }

    /// Has `cancel` end the upload.
    pub fn cancel(mut self, cancel: &Cancel) -> PutRequest {
        self.cancel = Some(cancel.clone());
        self
    }
}

/// A checked upload: all that can be refused without sending anything has been.
pub(super) struct Plan {
    target: Target,
    sign: SignRequest,
    data: Body,
    timeout: Duration,
}

impl Plan {
    pub fn new(client: &Inner, request: PutRequest) -> Result<Plan> {
        let PutRequest { bucket, key, data, callback, options, cancel: _ } = request;
        let length = data.len() as u64;
        if length > OBJECT_BYTES_MAX {
            return Err(Error::invalid_argument(
                "data",
                format!("is {length} bytes long, but one PutObject takes at most {OBJECT_BYTES_MAX}"),
            ));
        }
        let target = client.endpoint.target(client.addressing, Some(&bucket), Some(&key))?;
        let mut headers = headers::of_put(&key, &data, &options)?;
        let mut query = Vec::new();
        let vars = callback.encoded_vars().map(str::to_owned);
        match options.callback_in.unwrap_or(CallbackPlacement::Header) {
            CallbackPlacement::Header => {
                headers.push(("x-oss-callback".to_owned(), callback.encoded().to_owned()));
                headers.extend(vars.map(|vars| ("x-oss-callback-var".to_owned(), vars)));
            }
            CallbackPlacement::Query => {
                query.push(("callback".to_owned(), Some(callback.encoded().to_owned())));
                query.extend(vars.map(|vars| ("callback-var".to_owned(), Some(vars))));
            }
        }
        let own_timeout = builder::positive("timeout", options.timeout)?;
        Ok(Plan {
            target,
            sign: SignRequest {
                method: "PUT".to_owned(),
                bucket: Some(bucket),
                key: Some(key),
                query,
                headers,
                additional_headers: Vec::new(),
            },
            timeout: client.timeouts.call(own_timeout, length),
            data,
        })
    }

    /// The same plan, and a lease on its data.
    pub fn leased(mut self) -> (Plan, Lease) {
        let (data, lease) = std::mem::take(&mut self.data).leased();
        (Plan { data, ..self }, lease)
    }
}

pub(super) async fn run(client: &Inner, transport: Arc<dyn Transport>, plan: Plan) -> Result<CallbackReply> {
    let timeout = plan.timeout;
    match tokio::time::timeout(timeout, attempt(client, &*transport, plan)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            format!("the upload took longer than its timeout of {timeout:?}"),
        )
        .with_hint("The object may or may not be stored, and the callback may have been made.")),
    }
}

async fn attempt(client: &Inner, transport: &dyn Transport, plan: Plan) -> Result<CallbackReply> {
    let Plan { target, sign, data, .. } = plan;
    let signed = client.signer.sign(&sign, SystemTime::now())?;
    let outgoing = Outgoing::new(data.0);
    let request = Request {
        method: Method::PUT,
        url: address(&target, &sign.query),
        headers: header_map(sign.headers.into_iter().chain(signed.headers))?,
        body: Arc::clone(&outgoing),
        idle_timeout: client.timeouts.read,
    };
    let response = transport.send(request).await.map_err(|f| unanswered(f, &target, &outgoing))?;
    let outcome = answer::judge_put(response, outgoing.crc64());
    let (bucket, key) = (sign.bucket.as_deref(), sign.key.as_deref());
    match &outcome {
        Ok(reply) => tracing::debug!(bucket, key, request_id = reply.request_id(), "uploaded"),
        Err(error) => tracing::debug!(bucket, key, kind = error.kind().name(), %error, "not uploaded"),
    }
    outcome
}

fn address(target: &Target, query: &[(String, Option<String>)]) -> String {
    let mut address = format!("{}://{}{}", target.scheme, target.authority, target.path);
    if !query.is_empty() {
        address.push('?');
        push_query(&mut address, query.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
    }
    address
}

fn header_map(headers: impl Iterator<Item = (String, String)>) -> Result<HeaderMap> {
    let mut map = HeaderMap::with_capacity(16);
    for (name, value) in headers {
        let bad = || Error::invalid_argument("headers", format!("`{name}` is not a header that can be sent"));
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| bad())?;
        // Keeps them out of the HTTP client's own debug output.
        value.set_sensitive(matches!(parsed.as_str(), "authorization" | "x-oss-security-token"));
        map.append(parsed, value);
    }
    Ok(map)
}

fn unanswered(failure: Failure, target: &Target, outgoing: &Outgoing) -> Error {
    let host = &target.authority;
    let Failure { cause, message } = failure;
    let handed_over = outgoing.is_handed_over();
    let unsure = "The object may or may not be stored, and the callback may have been made.";
    let safe = "Nothing was stored.";
    match cause {
        FailureCause::Connect => {
            Error::new(ErrorKind::Network, format!("cannot connect to {host}: {message}"))
        }
        FailureCause::ConnectTimeout => {
            Error::new(ErrorKind::Timeout, format!("connecting to {host} took too long: {message}"))
        }
        FailureCause::Idle => Error::new(ErrorKind::Timeout, format!("{host} does not respond: {message}"))
            .with_hint(if handed_over { unsure } else { safe }),
        FailureCause::Broken | FailureCause::TooLong => {
            Error::new(ErrorKind::Network, format!("the exchange with {host} broke: {message}"))
                .with_hint(if handed_over { unsure } else { safe })
        }
        FailureCause::Malformed => Error::new(ErrorKind::InvalidArgument, message),
    }
}

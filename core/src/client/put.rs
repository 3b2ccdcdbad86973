//! One PutObject with a callback: checked, signed, sent, judged.

use std::sync::Arc;
use std::time::SystemTime;

use http::Method;

use super::careful::{self, Terms, Trail};
use super::exchange::{Budget, Call, Deadline, Parcel, REQUEST_BYTES_MAX};
use super::reply::CallbackReply;
use super::{Inner, headers};
use crate::body::{Body, Lease, Source};
use crate::callback::Callback;
use crate::engine::Cancel;
use crate::error::{Error, Result};
use crate::options::{CallbackPlacement, CallbackRetry, PutOptions, positive};
use crate::transport::Transport;

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

    pub(super) fn takes_long(&self) -> bool {
        self.data.takes_long(self.options.content_md5.as_deref() == Some("auto"))
    }

    /// Its length, if the data is in memory.
    #[cfg(target_os = "linux")]
    pub(super) fn in_memory(&self) -> Option<u64> {
        self.data.in_memory()
    }

    /// Has `cancel` end the upload.
    pub fn cancel(mut self, cancel: &Cancel) -> PutRequest {
        self.cancel = Some(cancel.clone());
        self
    }
}

/// A checked upload: all that can be refused without sending anything has been.
pub(super) struct Plan {
    call: Call,
    pub parcel: Parcel,
    pub deadline: Deadline,
    callback_retry: CallbackRetry,
}

impl Plan {
    /// The plan, and a lease on its data.
    pub fn new(client: &Inner, request: PutRequest) -> Result<(Plan, Lease)> {
        let PutRequest { bucket, key, data, callback, options, cancel: _ } = request;
        // Names first: a typing error there must not cost a stream.
        client.endpoint.target(client.addressing, Some(&bucket), Some(&key))?;
        let (source, lease) = data.open()?.leased();
        let own_timeout = positive("timeout", options.timeout)?;
        let bytes = source.length().unwrap_or(REQUEST_BYTES_MAX);
        let deadline = Deadline::within(client.timeouts.call(own_timeout, bytes));
        Ok((Plan::of_source(client, (&bucket, &key), source, &callback, &options, deadline)?, lease))
    }

    pub fn of_source(
        client: &Inner,
        object: (&str, &str),
        source: Source,
        callback: &Callback,
        options: &PutOptions,
        deadline: Deadline,
    ) -> Result<Plan> {
        let length = source.length();
        if let Some(length) = length.filter(|length| *length > REQUEST_BYTES_MAX) {
            return Err(Error::invalid_argument(
                "data",
                format!("is {length} bytes long, but one PutObject takes at most {REQUEST_BYTES_MAX}"),
            )
            .with_hint("Upload it in parts, with upload_file_with_callback."));
        }
        // Once for the upload: sent again, it carries the same nonce, and the receiver can tell.
        let callback = &callback.sealed_for(object.0, object.1, SystemTime::now())?;
        let mut headers = headers::of_put(object.1, &source, options)?;
        let mut query = Vec::new();
        attach(callback, options, &mut headers, &mut query);
        Ok(Plan {
            call: Call::new(client, Method::PUT, object, query, headers)?,
            deadline,
            parcel: Parcel::whole(source)?,
            callback_retry: options.callback_retry.unwrap_or(CallbackRetry::IfNotStored),
        })
    }
}

/// Puts the callback where it shall travel.
pub(super) fn attach(
    callback: &Callback,
    options: &PutOptions,
    headers: &mut Vec<(String, String)>,
    query: &mut Vec<(String, Option<String>)>,
) {
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
}

pub(super) async fn run(client: &Inner, transport: Arc<dyn Transport>, plan: &Plan) -> Result<CallbackReply> {
    let Plan { call, parcel, deadline, callback_retry } = plan;
    let mut budget = Budget::new(*deadline, client.retries);
    let terms = Terms { crc64: None, mode: *callback_retry, trail: &mut Trail::new() };
    careful::send(client, &*transport, call, parcel, terms, &mut budget).await
}

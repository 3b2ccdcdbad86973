//! From a request to its answer: address, signature, operation, log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::{Method, Request as HttpRequest, Response};

use crate::Shared;
use crate::address::readings;
use crate::auth::{Judge, Reading};
use crate::error::OssError;
use crate::event::{Event, RequestHead, RequestRecord};
use crate::line::Line;
use crate::operation::Operation;
use crate::ops::Exchange;
use crate::query::Query;
use crate::reply::{Reply, ReplyBody};
use crate::request::{Request, RequestBody};

/// Where the key that verifies callbacks can be had. No bucket can have this name.
pub(crate) const KEY_PATH: &str = "/oss-callback-emulator.pem";

/// Answers one request, whatever happens on the way.
pub(crate) async fn respond(
    shared: Arc<Shared>,
    client: SocketAddr,
    request: HttpRequest<Incoming>,
    line: Line,
) -> Response<ReplyBody> {
    let started = Instant::now();
    let (parts, incoming) = request.into_parts();
    let request = Request::new(parts, client, shared.clock.now());
    let head = request.head_for_show();
    let mut exchange = Exchange {
        shared: Arc::clone(&shared),
        request,
        body: RequestBody::new(incoming),
        operation: "",
        callback_cause: None,
        is_cut: false,
    };
    shared.journal.record(Event::Arrived(head.clone()));
    line.restore();
    let reply = match exchange.fault() {
        Some(fault) => exchange.answer_with(fault, &line).await,
        None => exchange.answer().await,
    };
    if !exchange.is_cut {
        exchange.take_leave().await;
    }
    exchange.record(head, &reply, started);
    reply.into_response(&exchange.request, started.elapsed().as_millis())
}

impl Exchange {
    pub(crate) async fn answer(&mut self) -> Reply {
        let outcome = self.judge_and_run().await;
        outcome.unwrap_or_else(|error| Reply::of_error(error, &self.request))
    }

    async fn judge_and_run(&mut self) -> Result<Reply, OssError> {
        if self.request.method == Method::CONNECT {
            return Err(OssError::not_implemented("CONNECT; as a proxy it takes http requests only"));
        }
        if self.request.raw_path == KEY_PATH && self.request.method == Method::GET {
            let mut reply = Reply::new(200);
            reply.set_body(
                "application/x-pem-file",
                self.shared.callback.signing_key.public_key_pem().to_owned(),
            );
            return Ok(reply);
        }
        let readings = self.readings()?;
        if let Some(first) = readings.first() {
            // What the log names should the signature fit no reading.
            self.request.target.clone_from(&first.target);
        }
        if let Some(form) = self.form(&readings) {
            // Its signature is in the form; one in headers or URL is ignored (OSS, PostObject).
            (self.request.target, self.request.query) = (form.target.clone(), form.query.clone());
            return self.run().await;
        }
        let judge = Judge { keys: &self.shared.keys, region: &self.shared.region };
        let Reading { target, query } = judge.check(&self.request, &readings)?;
        (self.request.target, self.request.query) = (target, query);
        self.run().await
    }

    /// Every way to read the request, the likeliest first.
    pub(crate) fn readings(&self) -> Result<Vec<Reading>, OssError> {
        let request = &self.request;
        let targets = readings(&request.host, &request.raw_path, &self.shared.cnames)?;
        let blanks: &[bool] = if request.raw_query.contains('+') { &[true, false] } else { &[false] };
        let mut all = Vec::with_capacity(targets.len() * blanks.len());
        for target in &targets {
            for plus_is_blank in blanks {
                let query = Query::parse(&request.raw_query, *plus_is_blank)
                    .ok_or_else(|| OssError::invalid_argument("The query string is not UTF-8."))?;
                all.push(Reading { target: target.clone(), query });
            }
        }
        Ok(all)
    }

    /// The reading that makes the request a form. No signature tells whether a name with a dot, such as
    /// `host.docker.internal`, is the emulator's own, so that the path names the bucket. It is taken for that
    /// if the path's bucket exists, or the host's does not.
    fn form<'r>(&self, readings: &'r [Reading]) -> Option<&'r Reading> {
        let exists = |reading: &Reading| {
            reading.target.bucket.as_deref().is_some_and(|name| self.shared.store.bucket(name).is_some())
        };
        let first = readings.first()?;
        readings.iter().find(|reading| {
            Operation::of(&self.request, &reading.target, &reading.query) == Some(Operation::PostObject)
                && (reading.target == first.target || exists(reading) || !exists(first))
        })
    }

    /// Takes in what the client still sends, so that it gets to read the answer. A client that waits for
    /// `100 Continue` sends nothing once it is answered otherwise.
    async fn take_leave(&mut self) {
        let waits = self.request.header("expect").is_some() && self.body.received == 0;
        if !waits {
            self.body.discard().await;
        }
    }

    fn record(&self, head: RequestHead, reply: &Reply, started: Instant) {
        let error = reply.error.as_ref();
        let record = RequestRecord {
            head,
            operation: self.operation,
            bucket: self.request.target.bucket.clone(),
            key: self.request.target.key.clone(),
            received: self.body.received,
            status: reply.status,
            error: error.map(|error| (error.code.clone(), error.message.clone())),
            ec: error.and_then(|error| error.ec.clone()),
            elapsed: started.elapsed(),
        };
        tracing::info!(
            request_id = record.head.request_id,
            method = record.head.method,
            target = record.head.target,
            operation = record.operation,
            status = record.status,
            code = error.map(|error| error.code.as_str()),
            elapsed = ?record.elapsed,
            "request"
        );
        self.shared.journal.record(Event::Answered(record));
    }
}

//! Requests that carry a callback: PutObject and CompleteMultipartUpload. They are sent again only when
//! they cannot have been carried out, or when the caller wants it all the same.

use std::pin::pin;

use super::exchange::{Budget, Call, Failed, ONCE_ONLY, Parcel};
use super::look::{Begun, Found, Sought, look};
use super::reply::CallbackReply;
use super::{Inner, answer};
use crate::error::{Error, ErrorKind, Result, ServiceFacts, StoredObject};
use crate::options::CallbackRetry;
use crate::retry::{self, Fate, Step};
use crate::transport::Transport;

/// What has come of a request so far: of all its attempts, those of earlier runs included.
pub(super) struct Trail {
    /// Before the first of them. What is older is another's object.
    pub since: Begun,
    /// One of them may have been carried out, whatever was seen since: a look proves little against what happens
    /// after it, or has been undone by the application server.
    pub maybe_sent: bool,
}

impl Trail {
    pub fn new() -> Trail {
        Trail { since: Begun::now(), maybe_sent: false }
    }
}

/// What there is to know of a request with a callback.
pub(super) struct Terms<'a> {
    /// CRC-64 of the whole object, where the request's own data is not the object's.
    pub crc64: Option<u64>,
    pub mode: CallbackRetry,
    pub trail: &'a mut Trail,
}

/// Sends a request with a callback.
pub(super) async fn send(
    client: &Inner,
    transport: &dyn Transport,
    call: &Call,
    parcel: &Parcel,
    terms: Terms<'_>,
    budget: &mut Budget,
) -> Result<CallbackReply> {
    let Terms { crc64, mode, trail } = terms;
    let (bucket, key) = (call.sign.bucket.as_deref(), call.sign.key.as_deref());
    let mut before: Option<Failed> = None;
    // An attempt may have been carried out, and nobody has looked since.
    let mut unclear = trail.maybe_sent;
    loop {
        let outgoing = match (parcel.outgoing()?, before.take()) {
            (Some(outgoing), _) => outgoing,
            (None, Some(failed)) => return Err(last_word(failed.error, unclear).and_hint(ONCE_ONLY)),
            (None, None) => return Err(Error::new(ErrorKind::Source, "the stream was used up")),
        };
        let sent = |taken: Option<u64>| crc64.or(taken);
        let attempt =
            call.attempt(client, transport, &outgoing, client.timeouts.read, |response, outgoing| {
                answer::check_speaker(&response, outgoing.is_handed_over())?;
                answer::judge_put(response, sent(outgoing.crc64()))
            });
        // Before it is wrapped, which would move it: it is large.
        let attempt = pin!(attempt);
        let mut failed = match tokio::time::timeout_at(budget.deadline.at, attempt).await {
            Ok(Ok(reply)) => {
                tracing::debug!(bucket, key, request_id = reply.request_id(), "uploaded");
                return Ok(reply);
            }
            Ok(Err(failed)) => failed,
            Err(_) => {
                trail.maybe_sent |= outgoing.is_handed_over();
                let unclear = unclear || outgoing.is_handed_over();
                return Err(last_word(budget.deadline.missed(), unclear));
            }
        };
        tracing::debug!(bucket, key, kind = failed.error.kind().name(), error = %failed.error, "not uploaded");
        let mut mode = mode;
        let is_trace = trail.maybe_sent && is_trace_of_success(&failed.error);
        if is_trace {
            // To send it again would give the same answer.
            (failed.fate, mode) = (Fate::Unclear, CallbackRetry::IfNotStored);
        }
        unclear |= failed.fate == Fate::Unclear;
        trail.maybe_sent |= unclear;
        match retry::step(failed.fate, Some(mode)) {
            Step::GiveUp => return Err(last_word(failed.error, unclear)),
            Step::Again => {}
            Step::Look => {
                let (bucket, key) = (bucket.unwrap_or_default(), key.unwrap_or_default());
                let mut headers = call.sign.headers.clone();
                headers.retain(|(name, _)| name == "x-oss-request-payer");
                let (crc64, since) = (sent(outgoing.crc64()), trail.since);
                let sought = Sought { bucket, key, crc64, since, headers };
                // Rare, and large.
                let looking = Box::pin(look(client, transport, &sought));
                match tokio::time::timeout_at(budget.deadline.at, looking).await {
                    Ok(Found::Stored(object)) => return Err(outcome_unknown(object, failed.error)),
                    // What bars the way was there before.
                    Ok(Found::Older) if failed.error.code() == Some(FILE_EXISTS) => {
                        return Err(last_word(failed.error, false));
                    }
                    Ok(Found::Absent | Found::Older) if is_trace => {
                        return Err(last_word(failed.error, true));
                    }
                    Ok(Found::Absent | Found::Older) => unclear = false,
                    Ok(Found::CannotTell) | Err(_) => return Err(last_word(failed.error, true)),
                }
            }
        }
        if !budget.pause().await {
            return Err(last_word(failed.error, unclear));
        }
        before = Some(failed);
    }
}

const FILE_EXISTS: &str = "FileAlreadyExists";

/// Errors that, after an attempt whose answer was lost, hint that it succeeded after all.
fn is_trace_of_success(error: &Error) -> bool {
    matches!(error.code(), Some("NoSuchUpload" | FILE_EXISTS))
}

/// The error that a call ends with, and what it means for the object.
fn last_word(error: Error, unclear: bool) -> Error {
    match error.kind() {
        // These say themselves what is stored.
        _ if error.stored() => error,
        ErrorKind::Integrity => error,
        _ if unclear => error.undecided(),
        ErrorKind::Network | ErrorKind::Timeout => error.not_stored(),
        _ => error,
    }
}

/// The object is there, and nobody knows what the callback came to.
pub(super) fn outcome_unknown(object: StoredObject, lost: Error) -> Error {
    let facts = ServiceFacts {
        status: lost.status(),
        request_id: lost.request_id().map(str::to_owned),
        ..ServiceFacts::default()
    };
    Error::new(
        ErrorKind::OutcomeUnknown,
        format!("the object is stored, but what the callback came to is not known: {}", lost.message()),
    )
    .with_stored(object)
    .with_service(facts)
    .with_hint(
        "Ask the application server whether it has been called for this object; do not upload it again.",
    )
    .with_source(lost)
}

//! An upload that its caller moves on.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::Inner;
use super::exchange::{as_far_as, known_to};
use super::put::{self, PutRequest};
use super::reply::CallbackReply;
use crate::engine::{self, Manner, Stepped};
use crate::error::{Error, Result};
use crate::transport::{Gauge, Socket};

/// An upload in flight, which moves only in [`advance`](InFlight::advance). Made by
/// [`Client::begin`](crate::Client::begin).
///
/// Each has a connection of its own, and three descriptors beside it: for some dozens at a time, where
/// [`Client::start`](crate::Client::start) takes thousands. Dropping it gives the upload up; the object may
/// or may not be stored. After a fork it is the parent's alone.
#[must_use]
pub struct InFlight {
    call: Stepped<CallbackReply>,
    gauge: Gauge,
    client: Arc<Inner>,
}

/// How far an upload in flight is.
#[derive(Debug)]
pub enum Step {
    /// It is over.
    Ended(Result<CallbackReply>),
    /// All is sent. Come back when [`InFlight::socket`] can be read from, at this moment if it cannot, or
    /// once the upload is cancelled.
    AwaitsAnswer(Instant),
}

/// The socket by which the server's answer will come.
#[derive(Clone, Copy)]
pub struct AnswerSocket<'a>(&'a Socket);

impl InFlight {
    pub(super) fn new(client: &Arc<Inner>, request: PutRequest) -> Result<InFlight> {
        let cancel = request.cancel.clone();
        let (plan, lease) = put::Plan::new(client, request)?;
        let (inner, deadline) = (Arc::clone(client), plan.deadline.at.into_std());
        let gauge = plan.parcel.gauge();
        let call = client.engines.stepped(cancel, lease, deadline, |transport| async move {
            put::run(&inner, transport, &plan).await
        })?;
        Ok(InFlight { call, gauge, client: Arc::clone(client) })
    }

    /// Goes on until the upload has ended, or nothing is left but to wait for the server's answer. Blocks
    /// while it connects, sends, pauses before another attempt, or talks by a proxy.
    ///
    /// Coming back early is fine: it costs a look at the socket. Once it has ended, it says so with an error
    /// of kind `invalid_argument`.
    pub fn advance(&mut self) -> Step {
        match self.client.engines.advance(&mut self.call, Manner::Blocking) {
            Some(engine::Step::Ended(outcome)) => Step::Ended(known_to(&self.gauge, outcome)),
            Some(engine::Step::AwaitsAnswer(until)) => Step::AwaitsAnswer(until),
            Some(engine::Step::Busy) => Step::Ended(self.finish()),
            None => Step::Ended(Err(has_ended())),
        }
    }

    /// [`advance`](InFlight::advance) that never blocks; it may come back without any progress.
    #[cfg(target_os = "linux")]
    pub(super) fn advance_promptly(&mut self) -> engine::Step<CallbackReply> {
        match self.client.engines.advance(&mut self.call, Manner::Prompt) {
            Some(engine::Step::Ended(outcome)) => engine::Step::Ended(known_to(&self.gauge, outcome)),
            Some(step) => step,
            None => engine::Step::Ended(Err(has_ended())),
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn awaited(&self) -> Option<&crate::transport::Awaited> {
        self.call.awaits()
    }

    /// Goes on until the upload has ended, and blocks until then.
    ///
    /// # Errors
    /// As [`Client::send`](crate::Client::send); `invalid_argument` if it has ended before.
    pub fn finish(&mut self) -> Result<CallbackReply> {
        let outcome = self.client.engines.finish(&mut self.call).unwrap_or_else(|| Err(has_ended()));
        known_to(&self.gauge, outcome)
    }

    /// The error that it ends with when it cannot go on.
    #[cfg(target_os = "linux")]
    pub(super) fn give_up(self, error: Error) -> Error {
        as_far_as(&self.gauge, error)
    }

    /// What to wait for after [`Step::AwaitsAnswer`]; nothing else has one.
    pub fn socket(&self) -> Option<AnswerSocket<'_>> {
        self.call.awaits().map(|awaited| AnswerSocket(&awaited.socket))
    }
}

fn has_ended() -> Error {
    Error::invalid_argument("call", "has ended").with_hint("Begin another upload.")
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").finish_non_exhaustive()
    }
}

impl AnswerSocket<'_> {
    /// What to wait for by `poll`, `epoll` or a scheduler. It is the connection's: neither to be read from
    /// nor to be closed.
    #[cfg(unix)]
    pub fn descriptor(self) -> i32 {
        self.0.descriptor()
    }

    /// Keeps `value` until the connection closes, in place of what was kept before: for what a scheduler
    /// has made for the descriptor. Connections serve one upload after the other.
    pub fn attach(self, value: impl Any + Send) {
        self.0.attach(Box::new(value));
    }

    /// Shows what is kept, if it is of this type.
    pub fn attached<T: Any, R>(self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.attached(look)
    }
}

impl fmt::Debug for AnswerSocket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerSocket").finish_non_exhaustive()
    }
}

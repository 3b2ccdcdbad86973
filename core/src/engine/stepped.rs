//! Calls that their caller moves on, and that leave it to the caller to wait for the server's answer: for
//! languages whose scheduler waits for sockets better than a thread of ours would.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{Cancel, Engine, Engines, aside, is_asynchronous, until_cancelled};
use crate::body::Lease;
use crate::error::Result;
use crate::transport::{Awaited, Transport};

/// A runtime's timers fire up to a millisecond late; whoever comes back for one shall find that it has.
const TIMER_SLACK: Duration = Duration::from_millis(2);

type Work<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A call under way, and the engine that is its own for as long. In this order: what comes later holds
/// what comes first.
pub(crate) struct Stepped<T> {
    awaits: Option<Awaited>,
    /// Somebody has come back while it awaits, and too early.
    looked: bool,
    work: Option<Work<T>>,
    engine: Option<Engine>,
    lease: Lease,
    cancel: Option<Cancel>,
    deadline: Instant,
}

/// How far a call is.
pub(crate) enum Step<T> {
    Ended(Result<T>),
    /// All is sent. There is nothing to do before the server says something, or this moment has come.
    AwaitsAnswer(Instant),
}

/// How far to move a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Until there is nothing to do but to wait for the answer.
    Awaits(Since),
    Ended,
}

/// What has been since a call was moved last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    Begun,
    /// The server has said something.
    Heard,
    /// It has not: a time is over, or the call was cancelled.
    Silent,
}

impl Engines {
    /// A call that nobody has moved yet, and that ends by itself at its deadline.
    pub fn stepped<T, F>(
        &self,
        cancel: Option<Cancel>,
        lease: Lease,
        deadline: Instant,
        call: impl FnOnce(Arc<dyn Transport>) -> F,
    ) -> Result<Stepped<T>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let engine = self.engine()?;
        let work: Work<T> = Box::pin(call(Arc::clone(&engine.transport)));
        Ok(Stepped {
            awaits: None,
            looked: false,
            work: Some(work),
            engine: Some(engine),
            lease,
            cancel,
            deadline,
        })
    }

    /// Moves a call of this client's on until it has ended, or has nothing left to do but to wait for the
    /// answer. Blocks while it connects, sends, or pauses before another attempt. `None` if it has ended
    /// before.
    pub fn advance<T: Send>(&self, call: &mut Stepped<T>) -> Option<Step<T>> {
        let since = match call.awaits.take() {
            None => Since::Begun,
            Some(awaited) if call.is_due(&awaited) => Since::Silent,
            // The first look may come before the wait, the second comes behind it.
            Some(awaited) if !call.looked && awaited.socket.is_quiet() => {
                let due = call.due(&awaited);
                (call.awaits, call.looked) = (Some(awaited), true);
                return Some(Step::AwaitsAnswer(due));
            }
            Some(awaited) => {
                awaited.socket.expect_bytes();
                Since::Heard
            }
        };
        Some(match self.drive(call, Until::Awaits(since))? {
            Some(outcome) => Step::Ended(outcome),
            None => {
                let awaited = call.engine.as_ref()?.transport.awaits()?;
                let due = call.due(&awaited);
                call.awaits = Some(awaited);
                Step::AwaitsAnswer(due)
            }
        })
    }

    /// Moves a call of this client's on to its end. `None` if it has ended before.
    pub fn finish<T: Send>(&self, call: &mut Stepped<T>) -> Option<Result<T>> {
        call.awaits = None;
        self.drive(call, Until::Ended)?
    }

    /// The outcome, if it has one; `None` if it has ended before.
    fn drive<T: Send>(&self, call: &mut Stepped<T>, until: Until) -> Option<Option<Result<T>>> {
        let (work, engine) = (call.work.as_mut()?, call.engine.as_ref()?);
        let work = until_cancelled(call.cancel.as_ref(), work.as_mut());
        let outcome = match is_asynchronous() {
            true => aside(|| engine.drive(pin!(work), until)),
            false => engine.drive(pin!(work), until),
        };
        if let Some(outcome) = &outcome {
            call.work = None;
            if let Some(engine) = call.engine.take() {
                self.settle(engine, &call.lease, outcome);
            }
        }
        Some(outcome)
    }
}

impl<T> Stepped<T> {
    /// What it waits for, while it does.
    pub fn awaits(&self) -> Option<&Awaited> {
        self.awaits.as_ref()
    }

    /// Whether there is something to do though the server is silent.
    fn is_due(&self, awaited: &Awaited) -> bool {
        self.cancel.as_ref().is_some_and(Cancel::is_cancelled) || Instant::now() >= self.due(awaited)
    }

    fn due(&self, awaited: &Awaited) -> Instant {
        awaited.patience_ends().min(self.deadline) + TIMER_SLACK
    }
}

impl Engine {
    fn drive<T>(
        &self,
        mut work: Pin<&mut impl Future<Output = Result<T>>>,
        until: Until,
    ) -> Option<Result<T>> {
        // Who is told to wait for bytes that have come before would wait for long, if it is told of changes
        // only.
        let is_reached =
            || until != Until::Ended && self.transport.awaits().is_some_and(|it| it.socket.is_quiet());
        let runtime = self.runtime.as_ref().expect("present until dropped");
        runtime.block_on(async {
            if until == Until::Awaits(Since::Silent) {
                // The runtime looks at its timers when there is nothing else to do.
                tokio::task::yield_now().await;
            }
            let mut polled = false;
            poll_fn(|context| {
                loop {
                    match work.as_mut().poll(context) {
                        Poll::Ready(outcome) => return Poll::Ready(Some(outcome)),
                        Poll::Pending if is_reached() => return Poll::Ready(None),
                        // Servers that are near answer before the request's last system call is over.
                        Poll::Pending if !polled => polled = true,
                        Poll::Pending => return Poll::Pending,
                    }
                }
            })
            .await
        })
    }
}

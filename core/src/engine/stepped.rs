//! Calls that their caller moves on, and that leave it to the caller to wait for the server's answer: for
//! languages whose scheduler waits for sockets better than a thread of ours would.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{Cancel, Engine, Engines, aside, caught, is_asynchronous, until_cancelled};
use crate::body::Lease;
use crate::error::Result;
use crate::transport::{Awaited, Transport};

/// A runtime's timers fire up to a millisecond late; whoever comes back for one shall find that it has.
const TIMER_SLACK: Duration = Duration::from_millis(2);

/// How many reads in a row one call may take before another has its turn.
const LOOKS_MAX: u32 = 16;

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
    /// It connects, sends, or pauses before another attempt, and must not block.
    Busy,
}

/// What moving a call has come to.
enum Moved<T> {
    Ended(Result<T>),
    Awaits(Awaited),
    Busy,
}

/// Whether moving a call may take its time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Blocking,
    /// It comes back at once, however far it has come.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for the poll that only Linux has"))]
    Prompt,
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
    /// answer. Blocks while it connects, sends, or pauses before another attempt, or else is `Busy`. `None`
    /// if it has ended before.
    pub fn advance<T: Send>(&self, call: &mut Stepped<T>, manner: Manner) -> Option<Step<T>> {
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
        let moved = self.drive(call, |engine, work| engine.move_on(work, since, manner))?;
        Some(match moved.unwrap_or_else(|bug| Moved::Ended(Err(bug))) {
            Moved::Ended(outcome) => {
                self.end(call, &outcome);
                Step::Ended(outcome)
            }
            Moved::Awaits(awaited) => {
                let due = call.due(&awaited);
                (call.awaits, call.looked) = (Some(awaited), false);
                Step::AwaitsAnswer(due)
            }
            Moved::Busy => Step::Busy,
        })
    }

    /// Moves a call of this client's on to its end. `None` if it has ended before.
    pub fn finish<T: Send>(&self, call: &mut Stepped<T>) -> Option<Result<T>> {
        call.awaits = None;
        let outcome =
            self.drive(call, |engine, work| engine.runtime().block_on(work))?.and_then(|outcome| outcome);
        self.end(call, &outcome);
        Some(outcome)
    }

    /// Has a call's engine work at it. `None` if it has ended before.
    fn drive<T: Send, R: Send>(
        &self,
        call: &mut Stepped<T>,
        how: impl FnOnce(&Engine, Pin<&mut (dyn Future<Output = Result<T>> + Send)>) -> R + Send,
    ) -> Option<Result<R>> {
        let (work, engine) = (call.work.as_mut()?, call.engine.as_ref()?);
        let work = until_cancelled(call.cancel.as_ref(), caught(work.as_mut()));
        Some(match is_asynchronous() {
            true => aside(|| how(engine, pin!(work))),
            false => Ok(how(engine, pin!(work))),
        })
    }

    fn end<T>(&self, call: &mut Stepped<T>, outcome: &Result<T>) {
        call.work = None;
        if let Some(engine) = call.engine.take() {
            self.settle(engine, &call.lease, outcome);
        }
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
    fn move_on<T>(
        &self,
        mut work: Pin<&mut (dyn Future<Output = Result<T>> + Send)>,
        since: Since,
        manner: Manner,
    ) -> Moved<T> {
        self.runtime().block_on(async {
            if since == Since::Silent {
                // The runtime looks at its timers when there is nothing else to do.
                tokio::task::yield_now().await;
            }
            let mut looks = 0;
            poll_fn(|context| {
                loop {
                    if let Poll::Ready(outcome) = work.as_mut().poll(context) {
                        return Poll::Ready(Moved::Ended(outcome));
                    }
                    // Who is told to wait for bytes that have come before would wait for long, if it is told
                    // of changes only.
                    let awaited = self.transport.awaits();
                    if let Some(awaited) = awaited.as_ref().filter(|it| it.socket.is_quiet()) {
                        return Poll::Ready(Moved::Awaits(awaited.clone()));
                    }
                    // Servers that are near answer before the request's last system call is over; and what
                    // is longer than one read comes in several.
                    looks += 1;
                    if awaited.is_some() && looks < LOOKS_MAX {
                        continue;
                    }
                    return match manner {
                        Manner::Blocking => Poll::Pending,
                        Manner::Prompt => Poll::Ready(Moved::Busy),
                    };
                }
            })
            .await
        })
    }
}

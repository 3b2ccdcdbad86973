//! What an [`AnswerPoll`](super::AnswerPoll) has inside.

use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use super::in_flight::InFlight;
use super::{CallbackReply, Client, PutRequest};
use crate::engine::{Cancel, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::watch::Watch;

/// Each call has an engine with descriptors of its own; the background threads need none for a call.
const CALLS_MAX: usize = 64;

/// How many are connecting, or trying again, on threads of their own when no more are taken up.
const ASIDE_MAX: usize = 4;

/// What the system takes at once on a fresh connection, headers included.
const DATA_BYTES_MAX: u64 = 16 * 1024;

type Done = Box<dyn FnOnce(Result<CallbackReply>) + Send>;

pub(super) struct Answers {
    watch: Watch,
    process: u32,
    /// By their numbers.
    calls: Vec<Option<Waiting>>,
    /// Held by each call that a thread of its own finishes.
    aside: Arc<()>,
    pace: Pace,
}

/// A call that waits for its answer.
struct Waiting {
    call: InFlight,
    done: Done,
    due: Instant,
    /// Rings the bell.
    _cancelled: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Whether calls come faster than one thread should serve them beside what else it has to do: half of its time
/// would go into them. It is so once that many have come within [`Pace::TIME`], and no longer than they do.
struct Pace {
    since: Instant,
    calls: u32,
    is_fast: bool,
}

impl Pace {
    const CALLS: u32 = 64;
    const TIME: Duration = Duration::from_micros(6_400);

    fn new(now: Instant) -> Pace {
        Pace { since: now, calls: 0, is_fast: false }
    }

    fn another(&mut self, now: Instant) {
        if now - self.since >= Pace::TIME {
            *self = Pace::new(now);
        }
        self.calls += 1;
        if self.calls == Pace::CALLS {
            *self = Pace { is_fast: true, ..Pace::new(now) };
        }
    }
}

impl Answers {
    pub fn new() -> io::Result<Answers> {
        Ok(Answers {
            watch: Watch::new()?,
            process: std::process::id(),
            calls: Vec::new(),
            aside: Arc::default(),
            pace: Pace::new(Instant::now()),
        })
    }

    pub fn descriptor(&self) -> i32 {
        self.watch.descriptor()
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    pub fn start(
        &mut self,
        client: &Client,
        request: PutRequest,
        done: impl FnOnce(Result<CallbackReply>) + Send + 'static,
    ) {
        self.pace.another(Instant::now());
        let Some(number) = self.free_number().filter(|_| self.takes(client, &request)) else {
            return client.start(request, done);
        };
        let cancel = request.cancel.clone();
        let mut call = match client.begin(request) {
            Ok(call) => call,
            Err(error) => return done(Err(error)),
        };
        match call.advance_promptly() {
            Step::Ended(outcome) => done(outcome),
            Step::Busy => self.set_aside(call, Box::new(done)),
            Step::AwaitsAnswer(due) => {
                let cancelled = cancel.map(|cancel| self.call_when(cancel));
                if number == self.calls.len() {
                    self.calls.push(None);
                }
                self.keep(number, Waiting { call, done: Box::new(done), due, _cancelled: cancelled });
            }
        }
    }

    /// For one more call, if there may be one.
    fn free_number(&self) -> Option<usize> {
        let free = self.calls.iter().position(Option::is_none).unwrap_or(self.calls.len());
        (free < CALLS_MAX).then_some(free)
    }

    fn takes(&self, client: &Client, request: &PutRequest) -> bool {
        !self.pace.is_fast
            // One is ours.
            && Arc::strong_count(&self.aside) <= ASIDE_MAX
            && request.in_memory().is_some_and(|length| length <= DATA_BYTES_MAX)
            && client.inner.engines.keeps_connections()
            && self.process == std::process::id()
    }

    /// Has the bell rung at a cancellation.
    fn call_when(&self, cancel: Cancel) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut cancelled = Box::pin(async move { cancel.cancelled().await });
        let waker = self.watch.waker();
        if cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            waker.wake();
            return Box::pin(std::future::pending());
        }
        cancelled
    }

    pub fn turn(&mut self) {
        if self.process != std::process::id() {
            return;
        }
        // It fails if a signal comes; then there is another turn.
        let Ok(seen) = self.watch.seen() else { return };
        let numbers = if seen.called { (0..self.calls.len()).collect() } else { seen.sockets };
        for number in numbers {
            // A call that panics ends by itself. The others are not told of their bytes a second time.
            let _ = catch_unwind(AssertUnwindSafe(|| self.go_on(number)));
        }
    }

    fn go_on(&mut self, number: usize) {
        let Some(mut waiting) = self.calls.get_mut(number).and_then(Option::take) else { return };
        match waiting.call.advance_promptly() {
            Step::Ended(outcome) => (waiting.done)(outcome),
            Step::Busy => self.set_aside(waiting.call, waiting.done),
            Step::AwaitsAnswer(due) => self.keep(number, Waiting { due, ..waiting }),
        }
    }

    fn keep(&mut self, number: usize, waiting: Waiting) {
        let awaited = waiting.call.awaited();
        let is_watched = awaited
            .is_some_and(|awaited| awaited.socket.shown(|socket| self.watch.watch(socket, number)).is_ok())
            && self.watch.call_by(waiting.due).is_ok();
        if is_watched {
            self.calls[number] = Some(waiting);
        } else {
            self.set_aside(waiting.call, waiting.done);
        }
    }

    /// Has a thread of its own finish a call: there is something to do that takes a while.
    fn set_aside(&self, call: InFlight, done: Done) {
        let aside = Arc::clone(&self.aside);
        let (hand_over, taken) = std::sync::mpsc::sync_channel::<(InFlight, Done)>(1);
        let thread = std::thread::Builder::new().name("oss-callback-call".to_owned());
        let started = thread.spawn(move || {
            let Ok((mut call, done)) = taken.recv() else { return };
            let outcome = call.finish();
            drop((aside, call));
            done(outcome);
        });
        match started {
            // It is there, and has room.
            Ok(_) => drop(hand_over.send((call, done))),
            Err(error) => {
                let message = format!("no thread could be started: {error}");
                done(Err(call.give_up(Error::new(ErrorKind::Network, message))));
            }
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // The parent's, whose sockets and engines must not be touched.
            std::mem::forget(std::mem::take(&mut self.calls));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_fast_while_they_come_fast() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut take = |count: u32, from: Duration, apart: Duration| {
            for number in 0..count {
                pace.another(start + from + apart * number);
            }
            pace.is_fast
        };
        let micros = Duration::from_micros;
        assert!(!take(63, micros(0), micros(1)), "too few to tell");
        assert!(!take(200, micros(100_000), micros(110)), "9,000 in a second");
        assert!(take(64, micros(200_000), micros(50)), "20,000 in a second");
        assert!(take(200, micros(203_200), micros(50)), "as fast as before");
        assert!(!take(1, micros(300_000), micros(0)), "a burst is over when no more come");
    }
}

//! The completion queue: calls that were started end here, and one thread, or a few, fetches the ends of
//! any number of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oss_callback_core::{Bell, CallbackReply, ErrorKind};

use crate::error::osscb_error;
use crate::generated::osscb_status;
use crate::guard::{Failure, Out, free, handle, new_handle, read, status};
use crate::library::Live;
use crate::reply::osscb_reply;

/// Where calls that were started end. One queue serves any number of calls, clients and threads.
#[derive(Debug)]
pub struct osscb_completions {
    pub(crate) queue: Arc<Queue>,
    _live: Live,
}

/// The end of a call. `reply` and `error` are yours.
#[repr(C)]
pub struct osscb_completion {
    /// What the call was started with.
    pub tag: u64,
    /// The answer, freed by `osscb_reply_free`; NULL unless `status` is `OSSCB_STATUS_OK`.
    pub reply: *mut osscb_reply,
    /// What went wrong, freed by `osscb_error_free`; NULL if `status` is `OSSCB_STATUS_OK`.
    pub error: *mut osscb_error,
    /// What the call came to.
    pub status: osscb_status,
}

type Outcome = Result<CallbackReply, Failure>;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ended: VecDeque<(u64, Outcome)>,
    under_way: usize,
    waiting: usize,
    closed: bool,
    bell: Option<Bell>,
}

/// A call under way. Whatever is lent to it holds it too; when the last holder lets go, the call is over
/// and its end is told.
pub(crate) struct Pending {
    queue: Arc<Queue>,
    tag: u64,
    told: Mutex<Told>,
}

enum Told {
    /// Nobody waits for it.
    NotStarted,
    Started,
    Ended(Outcome),
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed() -> Failure {
        Failure::of(ErrorKind::Cancelled, "the completion queue is closed")
    }

    /// Ends, as many as there are but at most `room`; none when the time is over.
    fn wait(&self, room: usize, timeout: Option<Duration>) -> Result<VecDeque<(u64, Outcome)>, Failure> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state();
        loop {
            if !state.ended.is_empty() {
                let taken = match state.ended.len() <= room {
                    true => std::mem::take(&mut state.ended),
                    false => state.ended.drain(..room).collect(),
                };
                // That no more will come is to be told, too.
                if state.ended.is_empty()
                    && !(state.closed && state.under_way == 0)
                    && let Some(bell) = &mut state.bell
                {
                    bell.hush();
                }
                if !state.ended.is_empty() && state.waiting > 0 {
                    self.changed.notify_one();
                }
                return Ok(taken);
            }
            if state.closed && state.under_way == 0 {
                return Err(Queue::closed());
            }
            state.waiting += 1;
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        state.waiting -= 1;
                        return Ok(VecDeque::new());
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.waiting -= 1;
        }
    }

    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        if state.under_way == 0 {
            state.ring();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A descriptor that can be read from while there is something to fetch.
    fn descriptor(&self) -> std::io::Result<i32> {
        let mut state = self.state();
        if state.bell.is_none() {
            state.bell = Some(Bell::new()?);
            if !state.ended.is_empty() || state.closed && state.under_way == 0 {
                state.ring();
            }
        }
        Ok(state.bell.as_ref().map_or(-1, Bell::descriptor))
    }

    fn end(&self, end: Option<(u64, Outcome)>) {
        let mut state = self.state();
        state.under_way -= 1;
        let told = end.is_some();
        state.ended.extend(end);
        if told || state.closed && state.under_way == 0 {
            state.ring();
        }
        // The last end of a closed queue concerns everyone who waits.
        let (waiting, last) = (state.waiting > 0, state.closed && state.under_way == 0);
        drop(state);
        match (waiting, last) {
            (false, _) => {}
            (true, false) => self.changed.notify_one(),
            (true, true) => self.changed.notify_all(),
        }
    }
}

impl State {
    fn ring(&mut self) {
        if let Some(bell) = &mut self.bell {
            bell.ring();
        }
    }
}

impl Pending {
    /// # Errors
    /// If the queue is closed.
    pub fn new(queue: &Arc<Queue>, tag: u64) -> Result<Arc<Pending>, Failure> {
        let mut state = queue.state();
        if state.closed {
            return Err(Failure::argument("completions", "is closed"));
        }
        state.under_way += 1;
        drop(state);
        Ok(Arc::new(Pending { queue: Arc::clone(queue), tag, told: Mutex::new(Told::NotStarted) }))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on, an end is told whatever happens. The result takes the outcome.
    pub fn started(
        self: Arc<Self>,
    ) -> impl FnOnce(oss_callback_core::Result<CallbackReply>) + Send + 'static {
        *self.told() = Told::Started;
        move |outcome| *self.told() = Told::Ended(outcome.map_err(Failure::Core))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let told = self.told.get_mut().unwrap_or_else(PoisonError::into_inner);
        let outcome = match std::mem::replace(told, Told::NotStarted) {
            Told::NotStarted => None,
            Told::Ended(outcome) => Some(outcome),
            Told::Started => {
                Some(Err(Failure::of(ErrorKind::Bug, "the call was dropped before it had ended")))
            }
        };
        self.queue.end(outcome.map(|outcome| (self.tag, outcome)));
    }
}

impl osscb_completion {
    fn new((tag, outcome): (u64, Outcome)) -> osscb_completion {
        match outcome {
            Ok(reply) => osscb_completion {
                tag,
                status: osscb_status::OSSCB_STATUS_OK,
                reply: Box::into_raw(Box::new(osscb_reply::new(reply))),
                error: std::ptr::null_mut(),
            },
            Err(failure) => {
                let error = osscb_error::new(failure);
                osscb_completion {
                    tag,
                    status: error.status(),
                    reply: std::ptr::null_mut(),
                    error: Box::into_raw(Box::new(error)),
                }
            }
        }
    }
}

/// An empty queue. Freed by `osscb_completions_free`.
#[unsafe(no_mangle)]
pub extern "C" fn osscb_completions_new() -> *mut osscb_completions {
    new_handle(|| osscb_completions { queue: Arc::default(), _live: Live::new() })
}

/// Waits until a call has ended, and fetches all that have, up to `capacity`, in the order in which they
/// ended. Any number of threads may wait at once; each end is fetched once.
///
/// `completions`: room for `capacity` ends, at least 1; `*count` of them are filled.
/// `timeout_ms`: how long to wait at most, in milliseconds: 0 looks and does not wait, `OSSCB_FOREVER`
/// waits until there is something to tell. When the time is over `*count` is 0, which is no failure.
///
/// Fails with `OSSCB_STATUS_CANCELLED` once the queue is closed and the ends of all its calls have been
/// fetched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_completions_wait(
    queue: *const osscb_completions,
    completions: *mut osscb_completion,
    capacity: usize,
    timeout_ms: u64,
    count: *mut usize,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(count, "count")?;
        if completions.is_null() {
            return Err(Failure::argument("completions", "is NULL: there is no place for the ends"));
        }
        if capacity == 0 {
            return Err(Failure::argument("capacity", "is 0, but must be at least 1"));
        }
        // SAFETY: NULL or a live handle.
        let queue = unsafe { handle(queue, "queue") }?;
        let timeout = (timeout_ms != u64::MAX).then(|| Duration::from_millis(timeout_ms));
        let ended = queue.queue.wait(capacity, timeout)?;
        let count = ended.len();
        for (index, end) in ended.into_iter().enumerate() {
            // SAFETY: not NULL, and the caller has room for `capacity` of them, which are no fewer.
            unsafe { completions.add(index).write(osscb_completion::new(end)) };
        }
        // SAFETY: the caller lets us write there.
        unsafe { out.put(count) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// A file descriptor that can be read from while there are ends to fetch, for programs that wait for many
/// things at once, by `poll`, `epoll` or an event loop of theirs. Wait for it to be readable, then fetch by
/// `osscb_completions_wait` with a `timeout_ms` of 0 until `*count` is 0. Neither read from it nor close
/// it: it is the queue's, and goes with it. After a fork it is the parent's alone.
///
/// Fails with `OSSCB_STATUS_INVALID_ARGUMENT` where there are no such descriptors (Windows), and with
/// `OSSCB_STATUS_NETWORK` if the system has none left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_completions_descriptor(
    queue: *const osscb_completions,
    descriptor: *mut i32,
    error: *mut *mut osscb_error,
) -> osscb_status {
    let body = || {
        let out = Out::new(descriptor, "descriptor")?;
        // SAFETY: NULL or a live handle.
        let queue = unsafe { handle(queue, "queue") }?;
        let found = queue.queue.descriptor().map_err(|error| match error.kind() {
            std::io::ErrorKind::Unsupported => Failure::argument("queue", error.to_string()),
            _ => Failure::of(ErrorKind::Network, format!("no descriptor: {error}")),
        })?;
        // SAFETY: the caller lets us write there.
        unsafe { out.put(found) };
        Ok(())
    };
    // SAFETY: NULL, or the caller lets us write there.
    unsafe { status(error, body) }
}

/// How many calls have been started and their ends not been fetched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_completions_pending(queue: *const osscb_completions) -> usize {
    let look = |queue: &osscb_completions| {
        let state = queue.queue.state();
        state.under_way + state.ended.len()
    };
    // SAFETY: NULL or a live handle.
    unsafe { read(queue, 0, look) }
}

/// Lets no more calls begin with the queue. Those under way go on (cancel them if you like), and
/// `osscb_completions_wait` goes on to give their ends; after the last of them it fails with
/// `OSSCB_STATUS_CANCELLED`, in every thread that waits. May be called from any thread, and more than once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_completions_close(queue: *const osscb_completions) {
    // SAFETY: NULL or a live handle.
    unsafe { read(queue, (), |queue| queue.queue.close()) };
}

/// Frees a queue in which no thread waits. Calls under way go on, and nobody learns how they end: what
/// was lent to them must stay until its release function is called. To end in order, close the queue and
/// wait until it fails with `OSSCB_STATUS_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn osscb_completions_free(queue: *mut osscb_completions) {
    // SAFETY: NULL or a live handle.
    unsafe { free(queue) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> oss_callback_core::Result<CallbackReply> {
        Err(oss_callback_core::Error::credentials("gone"))
    }

    fn tags(queue: &Queue, room: usize) -> Vec<u64> {
        let ended = queue.wait(room, Some(Duration::ZERO)).unwrap();
        ended.iter().map(|(tag, _)| *tag).collect()
    }

    #[test]
    fn a_call_ends_when_it_has_an_outcome_and_nothing_holds_what_was_lent() {
        let queue = Arc::new(Queue::default());
        let pending = Pending::new(&queue, 7).unwrap();
        let lent = Arc::clone(&pending);
        pending.started()(failed());
        assert_eq!(tags(&queue, 8), [0; 0]);
        drop(lent);
        assert_eq!(tags(&queue, 8), [7]);
    }

    #[test]
    fn a_call_that_was_refused_leaves_no_end_and_one_that_was_dropped_does() {
        let queue = Arc::new(Queue::default());
        drop(Pending::new(&queue, 1).unwrap());
        assert_eq!(tags(&queue, 8), [0; 0]);
        drop(Pending::new(&queue, 2).unwrap().started());
        let (tag, outcome) = queue.wait(8, None).unwrap().pop_front().unwrap();
        assert_eq!(tag, 2);
        assert!(matches!(outcome, Err(Failure::Own(own)) if own.kind == ErrorKind::Bug));
    }

    #[test]
    fn ends_are_fetched_in_batches_and_each_once() {
        let queue = Arc::new(Queue::default());
        (0..5).for_each(|tag| Pending::new(&queue, tag).unwrap().started()(failed()));
        assert_eq!((tags(&queue, 3), tags(&queue, 3), tags(&queue, 3)), (vec![0, 1, 2], vec![3, 4], vec![]));
    }

    #[cfg(unix)]
    #[test]
    fn the_descriptor_can_be_read_from_while_there_is_something_to_fetch() {
        let queue = Arc::new(Queue::default());
        let rings = |queue: &Queue| queue.state().bell.as_ref().unwrap().rings();
        Pending::new(&queue, 1).unwrap().started()(failed());
        let descriptor = queue.descriptor().unwrap();
        assert!(rings(&queue), "what had ended before is told");
        (2..5).for_each(|tag| Pending::new(&queue, tag).unwrap().started()(failed()));
        assert_eq!((tags(&queue, 3), rings(&queue)), (vec![1, 2, 3], true));
        assert_eq!((tags(&queue, 3), rings(&queue)), (vec![4], false));
        drop(Pending::new(&queue, 5).unwrap());
        assert!(!rings(&queue), "a call that was not started has no end");
        queue.close();
        assert!(rings(&queue), "that no end will come is told, too");
        assert_eq!(queue.descriptor().unwrap(), descriptor);
    }

    #[test]
    fn a_closed_queue_takes_no_calls_and_gives_the_ends_of_those_under_way() {
        let queue = Arc::new(Queue::default());
        let pending = Pending::new(&queue, 1).unwrap();
        queue.close();
        assert!(Pending::new(&queue, 2).is_err());
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || {
                    let mut ends = 0;
                    while let Ok(ended) = queue.wait(8, None) {
                        ends += ended.len();
                    }
                    ends
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        pending.started()(failed());
        let ends: usize = waiters.into_iter().map(|waiter| waiter.join().unwrap()).sum();
        assert_eq!(ends, 1);
    }
}

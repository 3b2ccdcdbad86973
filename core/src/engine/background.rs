//! The threads that drive calls for callers with an event loop of their own: how many, which call goes to
//! which, and how it gets there.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::runtime;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Transport;

/// Two background threads serve thousands of calls in flight: they only shovel bytes.
const THREADS_MAX: usize = 2;

/// What one background thread takes before another is used. Kept together, a few small calls share its
/// connections and its turns at the poll; more of them keep a processor busy, and so does one call that
/// moves much.
const LOAD_OF_A_THREAD: usize = 8;

/// How much a call asks of the thread that drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// A request whose body fits into one write.
    Small,
    Large,
}

impl Load {
    fn amount(self) -> usize {
        match self {
            Load::Small => 1,
            Load::Large => LOAD_OF_A_THREAD,
        }
    }
}

/// How many there may be.
pub(super) fn most() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    // Asked once: on Linux the answer is read from half a dozen files.
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX))
}

/// A thread that drives calls for callers with an event loop of their own.
pub(super) struct Background {
    pub transport: Arc<dyn Transport>,
    queue: Arc<Queue>,
    load: Arc<AtomicUsize>,
}

/// A call's share of its thread's load, until it ends, however it ends.
struct Loaded(Arc<AtomicUsize>, Load);

impl Loaded {
    fn new(load: &Arc<AtomicUsize>, amount: Load) -> Loaded {
        load.fetch_add(amount.amount(), Ordering::Relaxed);
        Loaded(Arc::clone(load), amount)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1.amount(), Ordering::Relaxed);
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Calls on their way to a background thread. Waking it is a system call and a change of threads, which
/// cost more than much of an upload: so a thread that has been woken takes all that has come by then, and
/// is not woken again before.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    calls: Vec<Work>,
    stop: bool,
}

impl Background {
    pub fn new(transport: Arc<dyn Transport>) -> Result<Background> {
        let runtime = runtime()?;
        let queue = Arc::new(Queue::default());
        let taken = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("oss-callback".to_owned())
            .spawn(move || {
                runtime.block_on(taken.serve());
                runtime.shutdown_background();
            })
            .map_err(|e| Error::new(ErrorKind::Network, format!("no thread could be started: {e}")))?;
        Ok(Background { transport, queue, load: Arc::default() })
    }

    /// How often its load is more than one thread should have.
    pub fn fullness(&self) -> usize {
        self.load.load(Ordering::Relaxed) / LOAD_OF_A_THREAD
    }

    /// Starts a call; `done` is called on the thread with its outcome, and `afterwards` comes behind that.
    pub fn start<T: Send + 'static>(
        &self,
        load: Load,
        call: impl Future<Output = T> + Send + 'static,
        done: impl FnOnce(T) + Send + 'static,
        afterwards: impl Future<Output = ()> + Send + 'static,
    ) {
        let loaded = Loaded::new(&self.load, load);
        self.queue.push(Box::pin(async move {
            let outcome = call.await;
            // Before the caller knows, who may start the next at once.
            drop(loaded);
            done(outcome);
            afterwards.await;
        }));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.queue.locked().stop = true;
        self.queue.changed.notify_one();
    }
}

impl Queue {
    fn locked(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, work: Work) {
        let mut waiting = self.locked();
        waiting.calls.push(work);
        let first = waiting.calls.len() == 1;
        drop(waiting);
        if first {
            self.changed.notify_one();
        }
    }

    /// Starts what comes, until it is told to stop.
    async fn serve(&self) {
        let mut calls = Vec::new();
        loop {
            self.changed.notified().await;
            {
                let mut waiting = self.locked();
                if waiting.stop {
                    return;
                }
                std::mem::swap(&mut waiting.calls, &mut calls);
            }
            calls.drain(..).for_each(|work| drop(tokio::spawn(work)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::{Engines, cancelled, testing};
    use super::*;
    use crate::body::Lease;

    #[test]
    fn all_that_came_before_a_background_thread_looked_is_started() {
        let (engines, made) = testing::engines();
        let (sender, ended) = std::sync::mpsc::channel();
        for i in 0..1000 {
            let sender = sender.clone();
            engines.start(
                Load::Small,
                None,
                Lease::default(),
                move |_| async move { Ok(i) },
                move |outcome| sender.send(outcome).unwrap(),
            );
        }
        let mut all: Vec<i32> = (0..1000).map(|_| ended.recv().unwrap().unwrap()).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
        assert!(made.load(Ordering::Relaxed) <= THREADS_MAX);
    }

    #[test]
    fn small_calls_share_a_thread_and_large_ones_have_their_own() {
        let (engines, _) = testing::engines();
        let loads = |engines: &Engines| -> Vec<usize> {
            let all = engines.generation().background.lock().unwrap();
            all.iter().map(|one| one.load.load(Ordering::Relaxed)).collect()
        };
        let started = |load| {
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            let call = move |_| async move { ended.await.map_err(|_| cancelled()) };
            engines.start(load, None, Lease::default(), call, |_| ());
            end
        };
        let few = LOAD_OF_A_THREAD - 1;
        let small: Vec<_> = (0..few).map(|_| started(Load::Small)).collect();
        assert_eq!(loads(&engines), [few]);
        let large = started(Load::Large);
        assert_eq!(loads(&engines), [few + LOAD_OF_A_THREAD]);
        let another = started(Load::Large);
        let all = few + 2 * LOAD_OF_A_THREAD;
        let expected = if most() > 1 { vec![few + LOAD_OF_A_THREAD, LOAD_OF_A_THREAD] } else { vec![all] };
        assert_eq!(loads(&engines), expected);
        drop((small, large, another));
        let start = Instant::now();
        while loads(&engines).iter().any(|load| *load > 0) {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", loads(&engines));
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_background_thread_ends_with_its_client() {
        let (engines, _) = testing::engines();
        let (sender, ended) = std::sync::mpsc::channel::<()>();
        engines.start(Load::Small, None, Lease::default(), |_| async { Ok(()) }, move |_| drop(sender));
        assert!(ended.recv().is_err(), "the call has ended");
        let background = Arc::clone(&engines.generation().background.lock().unwrap()[0]);
        let queue = Arc::downgrade(&background.queue);
        drop((background, engines));
        let start = Instant::now();
        while queue.strong_count() > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "the thread goes on");
            std::thread::yield_now();
        }
    }
}

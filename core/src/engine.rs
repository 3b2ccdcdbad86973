//! Who drives a call: the calling thread, from its beginning to its end or step by step, or a few background
//! threads.
//!
//! A blocking call takes an engine (a current-thread runtime with its own kept-alive connections)
//! from a stack, runs the call on it without a single change of thread, and puts it back. So the
//! number of engines follows the number of calls that run at once, and the hot ones stay hot.
//! Reasons and figures: docs/decisions/0005-transport.md.

mod background;
mod stepped;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;

use self::background::Background;
use crate::body::Lease;
use crate::error::{Error, ErrorKind, Result};
use crate::per_process::PerProcess;
use crate::transport::Transport;

pub(crate) use self::background::Load;
pub(crate) use self::stepped::{Manner, Step, Stepped};

/// How often a blocking call asks its caller whether to go on.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(50);

/// Engines that lay idle for longer are dropped, and their connections with them.
const IDLE_ENGINE_MAX: Duration = Duration::from_secs(50);

/// How long the connections of a call that has ended in the background may take to let go of its data.
const LET_GO: Duration = Duration::from_millis(20);

const PANICKED: &str = "the call panicked";

/// Makes the transport of a new engine.
pub(crate) type MakeTransport = dyn Fn(Driven) -> Result<Arc<dyn Transport>> + Send + Sync;

/// When a runtime looks at its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    /// While a call is under way, and not in between.
    ByCalls,
    /// All the time.
    Always,
}

/// Asks the caller of a blocking call, on its own thread, whether to stop.
pub(crate) type Interrupt<'a> = &'a mut dyn FnMut() -> bool;

/// Cancels the calls that hold it. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    changed: Notify,
}

impl Cancel {
    /// A token that is not cancelled yet.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Ends the calls that hold the token, now and later, with an error of kind `cancelled`.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }

    /// Whether [`cancel`](Cancel::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    pub(crate) async fn cancelled(&self) {
        let changed = self.0.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if !self.is_cancelled() {
            changed.await;
        }
    }
}

/// All engines of one client.
pub(crate) struct Engines {
    make: Box<MakeTransport>,
    generations: PerProcess<Generation>,
}

/// The engines of one process. A forked child shares sockets and polling descriptors with its parent: it must
/// neither use nor drop the parent's engines.
#[derive(Default)]
struct Generation {
    idle: Mutex<Vec<Idle>>,
    background: Arc<Mutex<Vec<Arc<Background>>>>,
}

struct Idle {
    engine: Engine,
    since: Instant,
}

struct Engine {
    runtime: Option<Runtime>,
    transport: Arc<dyn Transport>,
}

impl Engines {
    pub fn new(make: Box<MakeTransport>) -> Engines {
        Engines { make, generations: PerProcess::new(Generation::default()) }
    }

    fn generation(&self) -> &Generation {
        self.generations.current(|_| Generation::default())
    }

    /// Runs a call to its end on the calling thread.
    pub fn block_on<T, F>(
        &self,
        cancel: Option<&Cancel>,
        interrupt: Option<Interrupt<'_>>,
        lease: &Lease,
        call: impl FnOnce(Arc<dyn Transport>) -> F + Send,
    ) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        if is_asynchronous() {
            return aside(|| self.block_here(cancel, None, lease, call))?;
        }
        self.block_here(cancel, interrupt, lease, call)
    }

    fn block_here<T, F>(
        &self,
        cancel: Option<&Cancel>,
        interrupt: Option<Interrupt<'_>>,
        lease: &Lease,
        call: impl FnOnce(Arc<dyn Transport>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let engine = self.engine()?;
        // Pinned before it is wrapped: each layer would hold it twice over, and move it into place.
        let outcome = {
            let work = pin!(call(Arc::clone(&engine.transport)));
            let work = pin!(until_cancelled(cancel, work));
            engine.runtime().block_on(until_interrupted(interrupt, work))
        };
        self.settle(engine, lease, &outcome);
        outcome
    }

    /// Whether there is reason to think that calls find a connection once there has been one: not by a proxy,
    /// and not with a server that closes each.
    #[cfg(target_os = "linux")]
    pub fn keeps_connections(&self) -> bool {
        let idle = self.generation().idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.last().is_none_or(|idle| idle.engine.transport.is_connected())
    }

    fn engine(&self) -> Result<Engine> {
        match self.generation().take() {
            Some(engine) => Ok(engine),
            None => Engine::new((self.make)(Driven::ByCalls)?),
        }
    }

    /// After a timeout, a cancellation, a broken connection or a panic something may still be under way
    /// in the engine; and so it is while data of the call is held, which the caller may have lent
    /// for the call only. Such an engine goes, with its connections and all that they hold.
    fn settle<T>(&self, engine: Engine, lease: &Lease, outcome: &Result<T>) {
        match outcome.as_ref().map_err(Error::kind) {
            Err(ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Cancelled | ErrorKind::Bug) => {
                drop(engine)
            }
            _ if lease.is_held() => drop(engine),
            _ => self.generation().put_back(engine),
        }
    }

    /// Starts a call on a background thread; `done` is called there with its outcome.
    ///
    /// Where a connection holds on to the call's data after its end, its thread gets no more calls, and
    /// goes with its last one, and all its connections with it.
    pub fn start<T, F>(
        &self,
        load: Load,
        cancel: Option<Cancel>,
        lease: Lease,
        call: impl FnOnce(Arc<dyn Transport>) -> F,
        done: impl FnOnce(Result<T>) + Send + 'static,
    ) where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        match self.background() {
            Ok(background) => {
                let work = call(Arc::clone(&background.transport));
                let all = Arc::clone(&self.generation().background);
                let driver = Arc::clone(&background);
                let afterwards = async move {
                    if lease.is_held() {
                        tokio::time::sleep(LET_GO).await;
                    }
                    if lease.is_held() {
                        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                        all.retain(|other| !Arc::ptr_eq(other, &driver));
                    }
                };
                let call = async move {
                    let work = pin!(work);
                    until_cancelled(cancel.as_ref(), caught(work)).await
                };
                background.start(load, call, done, afterwards);
            }
            Err(error) => done(Err(error)),
        }
    }

    /// The first thread with room; else a new one, if there may be; else the one with the least to do.
    fn background(&self) -> Result<Arc<Background>> {
        let generation = self.generation();
        let mut all = generation.background.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().min_by_key(|one| one.fullness());
        if let Some(found) = found.filter(|one| one.fullness() == 0 || all.len() >= background::most()) {
            return Ok(Arc::clone(found));
        }
        let background = Arc::new(Background::new((self.make)(Driven::Always)?)?);
        all.push(Arc::clone(&background));
        Ok(background)
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        // In a forked child, the parent's generation is left as it is: dropping it would take the
        // parent's sockets out of the polling descriptor that both share.
        self.generations.of_others(|parents| {
            let idle = std::mem::take(parents.idle.get_mut().unwrap_or_else(PoisonError::into_inner));
            std::mem::forget(idle);
            match Arc::get_mut(&mut parents.background) {
                Some(all) => {
                    let all = std::mem::take(all.get_mut().unwrap_or_else(PoisonError::into_inner));
                    std::mem::forget(all);
                }
                // Not by its lock, which a thread of the parent's may have held.
                None => std::mem::forget(Arc::clone(&parents.background)),
            }
        });
    }
}

impl Generation {
    fn take(&self) -> Option<Engine> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.pop();
        // The coldest lie at the bottom.
        let now = Instant::now();
        let cold = idle.iter().take_while(|idle| now.duration_since(idle.since) > IDLE_ENGINE_MAX).count();
        let dropped: Vec<Idle> = idle.drain(..cold).collect();
        drop(idle);
        drop(dropped);
        found.map(|idle| idle.engine)
    }

    fn put_back(&self, engine: Engine) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { engine, since: Instant::now() });
    }
}

impl Engine {
    fn new(transport: Arc<dyn Transport>) -> Result<Engine> {
        Ok(Engine { runtime: Some(runtime()?), transport })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("present until dropped")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Never waits, and is allowed where blocking is not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whether this thread runs asynchronous code, where a second runtime must not run.
fn is_asynchronous() -> bool {
    Handle::try_current().is_ok()
}

/// A panic, in code of the user's that the call runs, as an error: whoever waits for the call must hear of its end.
async fn caught<T>(mut work: Pin<&mut (impl Future<Output = Result<T>> + ?Sized)>) -> Result<T> {
    let panicked = |_| Poll::Ready(Err(Error::new(ErrorKind::Bug, PANICKED)));
    poll_fn(|context| catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))).unwrap_or_else(panicked))
        .await
}

/// Does blocking work on another thread. The caller, which is asynchronous, blocks its executor either way;
/// this keeps it from a panic.
fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    done.map_err(|_| Error::new(ErrorKind::Bug, PANICKED))
}

pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|e| Error::new(ErrorKind::Network, format!("no I/O runtime could be started: {e}")))
}

pub(crate) async fn until_cancelled<T>(
    cancel: Option<&Cancel>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(cancel) = cancel else { return work.await };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(cancelled()),
        outcome = work => outcome,
    }
}

async fn until_interrupted<T>(
    interrupt: Option<Interrupt<'_>>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(interrupt) = interrupt else { return work.await };
    let interrupted = async {
        // Not at once: most calls end before the first look is due.
        tokio::time::sleep(INTERRUPT_INTERVAL).await;
        while !interrupt() {
            tokio::time::sleep(INTERRUPT_INTERVAL).await;
        }
    };
    tokio::select! {
        biased;
        outcome = work => outcome,
        () = interrupted => Err(cancelled()),
    }
}

pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the call was cancelled before OSS had answered")
}

#[cfg(test)]
mod testing {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::transport::{Answer, Request, Response};

    pub struct Nowhere;

    impl Transport for Nowhere {
        fn send(&self, _request: Request) -> Answer<'_> {
            Box::pin(async {
                Ok(Response { status: 200, headers: http::HeaderMap::new(), body: bytes::Bytes::new() })
            })
        }
    }

    /// Engines that lead nowhere, and how many were made.
    pub fn engines() -> (Engines, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let make = move |_: Driven| -> Result<Arc<dyn Transport>> {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(Arc::new(Nowhere))
        };
        (Engines::new(Box::new(make)), made)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Nowhere, engines};
    use super::*;

    fn run(engines: &Engines, outcome: Result<()>) -> Result<()> {
        engines.block_on(None, None, &Lease::default(), |_| async { outcome })
    }

    #[test]
    fn an_engine_is_used_again_unless_something_may_still_be_under_way_in_it() {
        let (engines, made) = engines();
        run(&engines, Ok(())).unwrap();
        run(&engines, Err(Error::new(ErrorKind::Service, "refused"))).unwrap_err();
        run(&engines, Ok(())).unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 1);
        run(&engines, Err(Error::new(ErrorKind::Timeout, "late"))).unwrap_err();
        run(&engines, Ok(())).unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_panic_beside_asynchronous_code_is_an_error_and_costs_the_engine() {
        let (engines, made) = engines();
        let outer = runtime().unwrap();
        let outcome: Result<()> = outer.block_on(async {
            engines.block_on(None, None, &Lease::default(), |_| async { panic!("asked for") })
        });
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Bug);
        let mut call = engines
            .stepped(None, Lease::default(), Instant::now(), |_| async { panic!("asked for") })
            .unwrap();
        let step: Option<Step<()>> = outer.block_on(async { engines.advance(&mut call, Manner::Blocking) });
        assert!(matches!(step, Some(Step::Ended(Err(error))) if error.kind() == ErrorKind::Bug));
        assert!(engines.finish(&mut call).is_none(), "it has ended");
        run(&engines, Ok(())).unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn engines_of_another_process_are_left_alone() {
        let (mut engines, made) = engines();
        run(&engines, Ok(())).unwrap();
        engines.start(Load::Small, None, Lease::default(), |_| async { Ok(()) }, |_| ());
        // What a forked child sees: everything as it was, but another process id.
        engines.generations.fork();
        run(&engines, Ok(())).unwrap();
        run(&engines, Ok(())).unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 3, "one before, one in the background, one after");
        assert_eq!(engines.generations.first().idle.lock().unwrap().len(), 1, "the parent's is still there");
        assert_eq!(engines.generation().idle.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_background_thread_goes_once_a_connection_keeps_data_of_a_call_that_is_over() {
        let (engines, made) = engines();
        let run = |lease: Lease| {
            let (sender, outcome) = std::sync::mpsc::channel();
            engines.start(
                Load::Small,
                None,
                lease,
                |_| async { Ok(()) },
                move |outcome| sender.send(outcome).unwrap(),
            );
            outcome.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
        };
        let threads = || engines.generation().background.lock().unwrap().len();
        (0..2).for_each(|_| run(Lease::default()));
        assert_eq!((threads(), made.load(Ordering::Relaxed)), (1, 1));
        let (source, lease) = crate::body::Source::Bytes(bytes::Bytes::from_static(b"kept")).leased();
        run(lease);
        let waited = Instant::now();
        while threads() == 1 && waited.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(threads(), 0);
        drop(source);
    }

    #[test]
    fn cold_engines_are_dropped_and_the_hottest_is_taken() {
        let (engines, _) = engines();
        let generation = engines.generation();
        let cold = Instant::now().checked_sub(IDLE_ENGINE_MAX * 2).unwrap();
        for since in [cold, cold, Instant::now()] {
            let engine = Engine::new(Arc::new(Nowhere)).unwrap();
            generation.idle.lock().unwrap().push(Idle { engine, since });
        }
        assert!(generation.take().is_some());
        assert_eq!(generation.idle.lock().unwrap().len(), 0);
    }
}

//! When credentials are asked for: once for all callers that have none, and in good time, behind the
//! callers' backs, before those at hand expire.
//!
//! What is kept is not the credentials but the signer made of them, so that the key of the day lives
//! as long as they do. Providers run on a thread of their own: a call that waits for one can still be
//! cancelled, and an event loop is never blocked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::{Credentials, CredentialsProvider, SharedProvider};
use crate::error::{Error, Result};
use crate::per_process::PerProcess;
use crate::sign::Signer;

/// How long before their end credentials are replaced; less for those that live only minutes.
const MARGIN: Duration = Duration::from_secs(300);

/// How often credentials with a token, but without a known end, are asked for anew.
const UNDATED_LIFETIME: Duration = Duration::from_secs(900);

/// After failures, the provider is left alone for this long, doubled each time.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// How long a caller waits. Longer than any of the library's own providers takes; one of the user's
/// may hang.
const PATIENCE: Duration = Duration::from_secs(75);

type MakeSigner = dyn Fn(Credentials) -> Result<Signer> + Send + Sync;
type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// The signers of one client, one after the other.
pub(crate) enum Signers {
    /// Credentials that stay.
    Fixed(Arc<Signer>),
    /// Those of a provider.
    Renewed(Arc<Renewed>),
}

impl Signers {
    pub fn of_provider(
        provider: SharedProvider,
        make: impl Fn(Credentials) -> Result<Signer> + Send + Sync + 'static,
    ) -> Signers {
        Signers::Renewed(Arc::new(Renewed::new(provider, Box::new(make), Box::new(SystemTime::now))))
    }

    /// The signer to sign with now: to be asked for each attempt.
    pub async fn current(&self) -> Result<Arc<Signer>> {
        match self {
            Signers::Fixed(signer) => Ok(Arc::clone(signer)),
            Signers::Renewed(renewed) => Box::pin(renewed.current()).await,
        }
    }

    /// Says that OSS no longer takes this signer's credentials. True if asking again can give others.
    pub fn refused(&self, signer: &Arc<Signer>) -> bool {
        match self {
            Signers::Fixed(_) => false,
            Signers::Renewed(renewed) => {
                renewed.refused(signer);
                true
            }
        }
    }
}

pub(crate) struct Renewed {
    provider: SharedProvider,
    make: Box<MakeSigner>,
    clock: Box<Clock>,
    patience: Duration,
    states: PerProcess<Mutex<State>>,
}

/// The state of one process. After a fork, the parent's fetching thread is missing in the child.
#[derive(Default)]
struct State {
    held: Option<Held>,
    flight: Option<Arc<Flight>>,
    failure: Option<Arc<Failure>>,
}

#[derive(Clone)]
struct Held {
    signer: Arc<Signer>,
    renew_at: Option<SystemTime>,
    expires_at: Option<SystemTime>,
}

struct Failure {
    /// How many there were in a row.
    count: u32,
    at: SystemTime,
    message: String,
    hint: Option<String>,
}

/// A provider's call under way.
#[derive(Default)]
struct Flight {
    outcome: OnceLock<std::result::Result<Arc<Signer>, Arc<Failure>>>,
    landed: Notify,
}

/// What a caller has to do.
enum Step {
    Use(Arc<Signer>),
    Wait(Arc<Flight>),
}

impl Flight {
    async fn outcome(&self) -> std::result::Result<Arc<Signer>, Arc<Failure>> {
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            // From here on it hears of a landing, so that none between the look and the wait is missed.
            landed.as_mut().enable();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            landed.await;
        }
    }
}

impl Failure {
    fn error(&self) -> Error {
        let error = Error::credentials(self.message.as_str());
        match &self.hint {
            Some(hint) => error.with_hint(hint.clone()),
            None => error,
        }
    }

    /// Whether it is too early to try again. A clock that was set back does not prolong it.
    fn holds(&self, now: SystemTime) -> bool {
        let pause = BACK_OFF.saturating_mul(1 << self.count.saturating_sub(1).min(10)).min(BACK_OFF_MAX);
        now.duration_since(self.at).is_ok_and(|since| since < pause)
    }
}

impl Held {
    fn new(signer: Arc<Signer>, expires_at: Option<SystemTime>, has_token: bool, now: SystemTime) -> Held {
        let renew_in = match expires_at {
            Some(at) => {
                let left = at.duration_since(now).unwrap_or_default();
                Some(left - MARGIN.min(left / 4))
            }
            None => has_token.then_some(UNDATED_LIFETIME),
        };
        let renew_at = renew_in.and_then(|renew_in| now.checked_add(renew_in));
        Held { signer, renew_at, expires_at }
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }

    fn is_due(&self, now: SystemTime) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}

impl Renewed {
    fn new(provider: SharedProvider, make: Box<MakeSigner>, clock: Box<Clock>) -> Renewed {
        Renewed { provider, make, clock, patience: PATIENCE, states: PerProcess::new(Mutex::default()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.states.current(|parents| {
            // The child may go on with the parent's credentials if nobody was just changing them.
            let held = parents.try_lock().ok().and_then(|state| state.held.clone());
            Mutex::new(State { held, ..State::default() })
        });
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn current(self: &Arc<Self>) -> Result<Arc<Signer>> {
        let flight = match self.step()? {
            Step::Use(signer) => return Ok(signer),
            Step::Wait(flight) => flight,
        };
        match tokio::time::timeout(self.patience, flight.outcome()).await {
            Ok(outcome) => outcome.map_err(|failure| failure.error()),
            Err(_) => {
                let message = format!("the credentials provider has not returned within {:?}", self.patience);
                Err(Error::credentials(message))
            }
        }
    }

    /// Looks at the state, starts a flight where one is due, and waits for nothing.
    fn step(self: &Arc<Self>) -> Result<Step> {
        let now = (self.clock)();
        let mut state = self.state();
        let usable = match &state.held {
            Some(held) if held.is_valid(now) => {
                if !held.is_due(now) {
                    return Ok(Step::Use(Arc::clone(&held.signer)));
                }
                Some(Arc::clone(&held.signer))
            }
            _ => None,
        };
        let (flight, is_new) = match (&state.flight, &state.failure) {
            (Some(flight), _) => (Arc::clone(flight), false),
            (None, Some(failure)) if failure.holds(now) => {
                return usable.map(Step::Use).ok_or_else(|| failure.error());
            }
            (None, _) => {
                let flight = Arc::<Flight>::default();
                state.flight = Some(Arc::clone(&flight));
                (flight, true)
            }
        };
        drop(state);
        if is_new {
            self.take_off(&flight);
        }
        Ok(usable.map_or(Step::Wait(flight), Step::Use))
    }

    fn take_off(self: &Arc<Self>, flight: &Arc<Flight>) {
        let (this, own) = (Arc::clone(self), Arc::clone(flight));
        let thread = std::thread::Builder::new().name("oss-callback-credentials".to_owned());
        if let Err(error) = thread.spawn(move || this.fly(&own)) {
            self.land(flight, Err(Error::credentials(format!("no thread could be started: {error}"))));
        }
    }

    fn fly(&self, flight: &Flight) {
        let obtained = catch_unwind(AssertUnwindSafe(|| self.provider.provide()))
            .unwrap_or_else(|_| Err(Error::credentials("the credentials provider panicked")));
        let outcome = obtained.and_then(|credentials| {
            let now = (self.clock)();
            if credentials.expires_at().is_some_and(|at| at <= now) {
                let error = Error::credentials("the credentials that were obtained have expired already");
                return Err(error.with_hint("Is this machine's clock right?"));
            }
            let (expires_at, has_token) = (credentials.expires_at(), credentials.security_token().is_some());
            let signer = Arc::new((self.make)(credentials)?);
            Ok(Held::new(signer, expires_at, has_token, now))
        });
        self.land(flight, outcome);
    }

    fn land(&self, flight: &Flight, outcome: Result<Held>) {
        let mut state = self.state();
        state.flight = None;
        let outcome = match outcome {
            Ok(held) => {
                let signer = Arc::clone(&held.signer);
                state.failure = None;
                state.held = Some(held);
                Ok(signer)
            }
            Err(error) => {
                let failure = Arc::new(Failure {
                    count: state.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1),
                    at: (self.clock)(),
                    message: error.message().to_owned(),
                    hint: error.hint().map(str::to_owned),
                });
                state.failure = Some(Arc::clone(&failure));
                Err(failure)
            }
        };
        // Callers without credentials are told by their own error; those that go on are not.
        let goes_on = |failure: &Failure| state.held.as_ref().is_some_and(|held| held.is_valid(failure.at));
        let untold = outcome.as_ref().err().filter(|failure| goes_on(failure)).map(|failure| failure.error());
        drop(state);
        // Not with the lock held: a log may be slow.
        if let Some(error) = untold {
            tracing::warn!(%error, "the credentials could not be renewed yet");
        }
        let _ = flight.outcome.set(outcome);
        flight.landed.notify_waiters();
    }

    fn refused(&self, signer: &Arc<Signer>) {
        let mut state = self.state();
        // Others may have seen to it already.
        if state.held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.signer, signer)) {
            state.held = None;
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;

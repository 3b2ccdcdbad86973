//! Where public keys come from: built in, remembered, or fetched once.
//!
//! A stranger chooses the key URL of every request, so nothing here grows or works without bound: a few
//! keys and a few failures are remembered, one URL is fetched once at a time, and a minute sees only so
//! many fetches.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::key_url::OfficialUrl;
use super::rsa::{MAX_PEM, PublicKey};
use crate::error::{Error, VerificationReason};
use crate::transport::{FetchSettings, SmallFetch};

/// OSS's callback key, published at `https://gosspublic.alicdn.com/callback_pub_key_v1.pem`, whose
/// content never changes (OSS, Callback). It verifies OSS's own worked example.
pub const OFFICIAL_KEY_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKs/JBGzwUB2aVht4crBx3oIPBLNsjGs\n\
    C0fTXv+nvlmklvkcolvpvXLTjaxUHR3W9LXxQ2EHXAJfCB+6H2YF1k8CAwEAAQ==\n\
    -----END PUBLIC KEY-----\n";

/// Keys and failures that are remembered, each.
const REMEMBERED: usize = 16;
/// How long a failure stands before the URL is tried again.
const FAILURE_STANDS: Duration = Duration::from_secs(30);
/// Fetches in one minute, of all URLs together.
const FETCHES_PER_MINUTE: usize = 30;
/// Of one fetch by HTTP: OSS itself waits 5 s for the answer to its callback.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for another's fetch of the same URL.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Gets the PEM bytes behind a key URL. The URL has passed the rule for key URLs already.
///
/// Every `Fn(&str) -> Result<Vec<u8>, E>` is one. Set a short timeout, follow no redirects, and read no
/// more than 16 KiB: longer answers are refused.
pub trait KeyFetcher: Send + Sync {
    /// Fetches the key.
    ///
    /// # Errors
    /// Whatever went wrong; its `Display` goes into the message of a `key_unavailable` error.
    fn fetch(&self, url: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;
}

/// What a fetcher gives.
pub(super) type FetchResult = Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

impl<F, E> KeyFetcher for F
where
    F: Fn(&str) -> Result<Vec<u8>, E> + Send + Sync,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn fetch(&self, url: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        self(url).map_err(Into::into)
    }
}

/// A fetcher in a builder.
#[derive(Clone)]
pub(crate) struct SharedFetcher(Arc<dyn KeyFetcher>);

impl SharedFetcher {
    pub(super) fn new(fetcher: impl KeyFetcher + 'static) -> SharedFetcher {
        SharedFetcher(Arc::new(fetcher))
    }
}

impl KeyFetcher for SharedFetcher {
    fn fetch(&self, url: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        self.0.fetch(url)
    }
}

impl std::fmt::Debug for SharedFetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFetcher")
    }
}

/// Fetches by HTTP, through the proxy that the environment names, if any.
pub(super) struct HttpFetcher(SmallFetch);

impl HttpFetcher {
    pub(super) fn new() -> HttpFetcher {
        HttpFetcher(SmallFetch {
            timeout: FETCH_TIMEOUT,
            max_bytes: MAX_PEM,
            settings: FetchSettings::default(),
        })
    }
}

impl KeyFetcher for HttpFetcher {
    fn fetch(&self, url: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        self.0.get(url).map_err(Into::into)
    }
}

/// Official keys by URL.
pub(super) struct KeyStore {
    fetcher: Box<dyn KeyFetcher>,
    built_in: bool,
    scheme_as_named: bool,
    state: Mutex<State>,
    fetched: Condvar,
    failure_stands: Duration,
}

#[derive(Default)]
struct State {
    /// Most recently used first.
    keys: VecDeque<(String, Arc<PublicKey>)>,
    /// Newest first.
    failures: VecDeque<(String, Instant, Failure)>,
    in_flight: Vec<String>,
    /// When the fetches of the last minute were made, oldest first.
    fetches: VecDeque<Instant>,
}

#[derive(Clone)]
struct Failure {
    reason: VerificationReason,
    message: String,
}

impl Failure {
    fn unavailable(message: impl Into<String>) -> Failure {
        Failure { reason: VerificationReason::KeyUnavailable, message: message.into() }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::verification(failure.reason, failure.message)
    }
}

impl KeyStore {
    /// `built_in`: answer for the well-known key without asking the fetcher.
    pub(super) fn new(fetcher: Box<dyn KeyFetcher>, built_in: bool, scheme_as_named: bool) -> KeyStore {
        KeyStore {
            fetcher,
            built_in,
            scheme_as_named,
            state: Mutex::default(),
            fetched: Condvar::new(),
            failure_stands: FAILURE_STANDS,
        }
    }

    /// The key behind a URL. May block for a fetch.
    pub(super) fn key(&self, url: OfficialUrl<'_>) -> Result<Arc<PublicKey>, Error> {
        if self.built_in && url.is_well_known() {
            return built_in();
        }
        let url = url.fetch_url(self.scheme_as_named);
        let Some(flight) = self.take_off(&url)? else { return Ok(self.remembered(&url)?) };
        let outcome = judge(&url, self.fetch(&url));
        flight.land(&outcome);
        Ok(outcome?)
    }

    /// [`key`](Self::key) as far as it goes without waiting. After [`Look::Fetch`] the caller must let the
    /// URL land.
    pub(super) fn look(&self, url: OfficialUrl<'_>) -> Result<Look, Error> {
        if self.built_in && url.is_well_known() {
            return built_in().map(Look::Known);
        }
        let url = url.fetch_url(self.scheme_as_named);
        let turn = self.lock().turn(&url, self.failure_stands)?;
        Ok(match turn {
            Turn::Known => Look::Known(self.remembered(&url)?),
            Turn::Mine => Look::Fetch(url),
            Turn::Others => Look::InFlight(url),
        })
    }

    /// Ends a fetch that [`look`](Self::look) has begun.
    pub(super) fn land(&self, url: &str, answer: FetchResult) -> Result<(), Error> {
        let outcome = judge(url, answer);
        Flight { store: self, url: url.to_owned() }.land(&outcome);
        Ok(outcome.map(drop)?)
    }

    /// Asks the fetcher. Blocks.
    pub(super) fn fetch(&self, url: &str) -> FetchResult {
        self.fetcher.fetch(url)
    }

    /// Gives up a fetch that [`look`](Self::look) has begun, and lets the next caller try.
    pub(super) fn give_up(&self, url: &str) {
        drop(Flight { store: self, url: url.to_owned() });
    }

    /// `None` if the key is there by now; a flight if it is this call's turn to fetch it.
    fn take_off(&self, url: &str) -> Result<Option<Flight<'_>>, Failure> {
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut state = self.lock();
        loop {
            match state.turn(url, self.failure_stands)? {
                Turn::Known => return Ok(None),
                Turn::Mine => return Ok(Some(Flight { store: self, url: url.to_owned() })),
                Turn::Others => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::unavailable("another call has been fetching the key for too long"));
            }
            state = self.fetched.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn remembered(&self, url: &str) -> Result<Arc<PublicKey>, Failure> {
        let mut state = self.lock();
        let found = state.keys.iter().position(|(known, _)| known == url);
        let Some(entry) = found.and_then(|index| state.keys.remove(index)) else {
            return Err(Failure::unavailable("too many different keys are in use at once"));
        };
        let key = entry.1.clone();
        state.keys.push_front(entry);
        Ok(key)
    }

    /// A panic of the user's fetcher leaves the state sound: it is never called under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is of a key without waiting.
pub(super) enum Look {
    Known(Arc<PublicKey>),
    /// The caller is to fetch it from here.
    Fetch(String),
    /// Another call is fetching it from here.
    InFlight(String),
}

enum Turn {
    Known,
    Mine,
    Others,
}

impl State {
    /// Whose turn it is to fetch a key, if anybody's. `Mine` is noted as in flight.
    fn turn(&mut self, url: &str, failure_stands: Duration) -> Result<Turn, Failure> {
        let now = Instant::now();
        if self.keys.iter().any(|(known, _)| known == url) {
            return Ok(Turn::Known);
        }
        let recent = |at: &Instant| now.duration_since(*at) < failure_stands;
        if let Some((.., failure)) = self.failures.iter().find(|(of, at, _)| of == url && recent(at)) {
            return Err(failure.clone());
        }
        if self.in_flight.iter().any(|other| other == url) {
            return Ok(Turn::Others);
        }
        self.count_fetch(now)?;
        self.in_flight.push(url.to_owned());
        Ok(Turn::Mine)
    }

    fn count_fetch(&mut self, now: Instant) -> Result<(), Failure> {
        while self.fetches.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(60)) {
            self.fetches.pop_front();
        }
        if self.fetches.len() >= FETCHES_PER_MINUTE {
            return Err(Failure::unavailable(
                "requests name too many different keys; no more are fetched this minute",
            ));
        }
        self.fetches.push_back(now);
        Ok(())
    }
}

/// A fetch under way. Dropping it, be it by a panic of the fetcher, lets the next caller try.
struct Flight<'a> {
    store: &'a KeyStore,
    url: String,
}

impl Flight<'_> {
    fn land(self, outcome: &Result<Arc<PublicKey>, Failure>) {
        let mut state = self.store.lock();
        state.failures.retain(|(url, ..)| *url != self.url);
        match outcome {
            Ok(key) => {
                state.keys.push_front((self.url.clone(), key.clone()));
                state.keys.truncate(REMEMBERED);
            }
            Err(failure) => {
                state.failures.push_front((self.url.clone(), Instant::now(), failure.clone()));
                state.failures.truncate(REMEMBERED);
            }
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.store.lock().in_flight.retain(|url| *url != self.url);
        self.store.fetched.notify_all();
    }
}

fn judge(url: &str, answer: FetchResult) -> Result<Arc<PublicKey>, Failure> {
    let pem = answer
        .map_err(|error| Failure::unavailable(format!("the key at {url} could not be fetched: {error}")))?;
    let bad = |what: String| Failure { reason: VerificationReason::BadKey, message: what };
    if pem.len() > MAX_PEM {
        return Err(bad(format!("the key at {url} is longer than {MAX_PEM} bytes")));
    }
    PublicKey::from_pem(&pem)
        .map(Arc::new)
        .map_err(|error| bad(format!("the key at {url} {}", error.message())))
}

fn built_in() -> Result<Arc<PublicKey>, Error> {
    static KEY: OnceLock<Arc<PublicKey>> = OnceLock::new();
    match KEY.get() {
        Some(key) => Ok(key.clone()),
        None => {
            let key = Arc::new(PublicKey::from_pem(OFFICIAL_KEY_PEM)?);
            Ok(KEY.get_or_init(|| key).clone())
        }
    }
}

#[cfg(test)]
mod tests;

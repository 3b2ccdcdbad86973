//! Where public keys come from: built in, remembered, or fetched once.
//!
//! A stranger chooses the key URL of every request, so nothing here grows or works without bound: a few
//! keys and a few failures are remembered, one URL is fetched once at a time, and a minute sees only so
//! many fetches. Nor may a stranger crowd out OSS: a key that has verified a signature makes room for no
//! key that has not, and URLs that are likely OSS's own have fetches that no other URL can use up.

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

/// Keys that are remembered before they have verified anything.
const UNPROVEN: usize = 16;
/// Keys that are remembered as they have verified a signature. OSS has one; two, while it is replaced.
const PROVEN: usize = 8;
/// How long a failure stands before the URL is tried again.
const FAILURE_STANDS: Duration = Duration::from_secs(30);
/// Fetches in one minute of URLs that are likely OSS's own: there are nine such names in two schemes, and
/// a failure stands for half a minute.
const LIKELY_FETCHES: usize = 36;
/// Fetches in one minute of all other URLs together.
const OTHER_FETCHES: usize = 12;
/// Failures that are remembered: none is forgotten while it stands.
const FAILURES: usize = LIKELY_FETCHES + OTHER_FETCHES;
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

type Known = (String, Arc<PublicKey>);

#[derive(Default)]
struct State {
    /// Those that have verified a signature, most recently used first.
    proven: VecDeque<Known>,
    /// The others, most recently used first.
    unproven: VecDeque<Known>,
    /// Newest first.
    failures: VecDeque<(String, Instant, Failure)>,
    in_flight: Vec<String>,
    likely_fetches: Budget<LIKELY_FETCHES>,
    other_fetches: Budget<OTHER_FETCHES>,
}

/// When the fetches of the last minute were made, oldest first; at most `N`.
#[derive(Default)]
struct Budget<const N: usize>(VecDeque<Instant>);

impl<const N: usize> Budget<N> {
    /// Whether one more may be made now; it is counted.
    fn take(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(60)) {
            self.0.pop_front();
        }
        let free = self.0.len() < N;
        if free {
            self.0.push_back(now);
        }
        free
    }
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
        let likely = url.is_likely();
        let url = url.fetch_url(self.scheme_as_named);
        let Some(flight) = self.take_off(&url, likely)? else { return Ok(self.remembered(&url)?) };
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
        let likely = url.is_likely();
        let url = url.fetch_url(self.scheme_as_named);
        let turn = self.lock().turn(&url, likely, self.failure_stands)?;
        Ok(match turn {
            Turn::Known => Look::Known(self.remembered(&url)?),
            Turn::Mine => Look::Fetch(url),
            Turn::Others => Look::InFlight(url),
        })
    }

    /// Says that the key behind a URL has verified a signature.
    pub(super) fn prove(&self, url: OfficialUrl<'_>) {
        if self.built_in && url.is_well_known() {
            return;
        }
        self.lock().prove(&url.fetch_url(self.scheme_as_named));
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
    fn take_off(&self, url: &str, likely: bool) -> Result<Option<Flight<'_>>, Failure> {
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut state = self.lock();
        loop {
            match state.turn(url, likely, self.failure_stands)? {
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
        let gone = || Failure::unavailable("too many different keys are in use at once");
        self.lock().used(url).ok_or_else(gone)
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
    fn turn(&mut self, url: &str, likely: bool, failure_stands: Duration) -> Result<Turn, Failure> {
        let now = Instant::now();
        if self.proven.iter().chain(&self.unproven).any(|(known, _)| known == url) {
            return Ok(Turn::Known);
        }
        let recent = |at: &Instant| now.duration_since(*at) < failure_stands;
        if let Some((.., failure)) = self.failures.iter().find(|(of, at, _)| of == url && recent(at)) {
            return Err(failure.clone());
        }
        if self.in_flight.iter().any(|other| other == url) {
            return Ok(Turn::Others);
        }
        if !(if likely { self.likely_fetches.take(now) } else { self.other_fetches.take(now) }) {
            return Err(Failure::unavailable(
                "requests name too many different keys; no more are fetched this minute",
            ));
        }
        self.in_flight.push(url.to_owned());
        Ok(Turn::Mine)
    }

    /// The key that is remembered for a URL, from now on the most recently used of its kind.
    fn used(&mut self, url: &str) -> Option<Arc<PublicKey>> {
        for keys in [&mut self.proven, &mut self.unproven] {
            if let Some(entry) = take_out(keys, url) {
                let key = entry.1.clone();
                keys.push_front(entry);
                return Some(key);
            }
        }
        None
    }

    /// The URL is not signed, so that one key may prove several. Those that are too many are not forgotten
    /// at once, but stand back among the unproven.
    fn prove(&mut self, url: &str) {
        let Some(entry) = take_out(&mut self.unproven, url) else { return };
        self.proven.push_front(entry);
        if self.proven.len() > PROVEN
            && let Some(oldest) = self.proven.pop_back()
        {
            self.learn(oldest);
        }
    }

    fn learn(&mut self, entry: Known) {
        self.unproven.push_front(entry);
        self.unproven.truncate(UNPROVEN);
    }
}

fn take_out(keys: &mut VecDeque<Known>, url: &str) -> Option<Known> {
    keys.iter().position(|(known, _)| known == url).and_then(|index| keys.remove(index))
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
            Ok(key) => state.learn((self.url.clone(), key.clone())),
            Err(failure) => {
                state.failures.push_front((self.url.clone(), Instant::now(), failure.clone()));
                state.failures.truncate(FAILURES);
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

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
        let outcome = fetch(self.fetcher.as_ref(), &url);
        flight.land(&outcome);
        Ok(outcome?)
    }

    /// `None` if the key is there by now; a flight if it is this call's turn to fetch it.
    fn take_off(&self, url: &str) -> Result<Option<Flight<'_>>, Failure> {
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.keys.iter().any(|(known, _)| known == url) {
                return Ok(None);
            }
            let recent = |at: &Instant| now.duration_since(*at) < self.failure_stands;
            if let Some((.., failure)) = state.failures.iter().find(|(of, at, _)| of == url && recent(at)) {
                return Err(failure.clone());
            }
            if !state.in_flight.iter().any(|other| other == url) {
                break state.count_fetch(now)?;
            }
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Err(Failure::unavailable("another call has been fetching the key for too long"));
            }
            state = self.fetched.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.in_flight.push(url.to_owned());
        Ok(Some(Flight { store: self, url: url.to_owned() }))
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

impl State {
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

fn fetch(fetcher: &dyn KeyFetcher, url: &str) -> Result<Arc<PublicKey>, Failure> {
    let pem = fetcher
        .fetch(url)
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const OTHER: &str = "http://gosspublic.alicdn.com/callback_pub_key_v2.pem";

    fn url(text: &str) -> OfficialUrl<'_> {
        OfficialUrl::check(text).unwrap()
    }

    fn store(fetcher: impl KeyFetcher + 'static) -> KeyStore {
        KeyStore::new(Box::new(fetcher), true, false)
    }

    fn counting<E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static>(
        answer: impl Fn(&str) -> Result<Vec<u8>, E> + Send + Sync + 'static,
    ) -> (KeyStore, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let fetcher = move |url: &str| {
            counter.fetch_add(1, Ordering::SeqCst);
            answer(url)
        };
        (store(fetcher), count)
    }

    #[test]
    fn the_well_known_key_needs_no_fetch() {
        let store = store(|_: &str| Err::<Vec<u8>, _>("no network"));
        for scheme in ["http", "https"] {
            let text = format!("{scheme}://gosspublic.alicdn.com/callback_pub_key_v1.pem");
            assert_eq!(store.key(url(&text)).unwrap().bits(), 512);
        }
        let error = store.key(url(OTHER)).unwrap_err();
        assert_eq!(error.reason(), Some(VerificationReason::KeyUnavailable));
        assert!(error.hint().unwrap().contains("fetch_key"), "{error}");
    }

    #[test]
    fn a_key_is_fetched_once_and_by_https() {
        let (store, count) = counting(|url| {
            assert_eq!(url, "https://gosspublic.alicdn.com/callback_pub_key_v2.pem");
            Ok::<_, String>(OFFICIAL_KEY_PEM.into())
        });
        for text in [OTHER, OTHER, &OTHER.replace("http:", "https:")] {
            store.key(url(text)).unwrap();
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_named_scheme_is_used_where_that_is_asked_for() {
        let fetcher = |url: &str| {
            assert_eq!(url, OTHER);
            Ok::<_, String>(OFFICIAL_KEY_PEM.into())
        };
        assert!(KeyStore::new(Box::new(fetcher), true, true).key(url(OTHER)).is_ok());
    }

    #[test]
    fn many_threads_share_one_fetch() {
        let (store, count) = counting(|_| {
            std::thread::sleep(Duration::from_millis(100));
            Ok::<_, String>(OFFICIAL_KEY_PEM.into())
        });
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    assert!(store.key(url(OTHER)).is_ok());
                });
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failure_stands_for_a_while_and_is_then_tried_again() {
        let (mut store, count) = counting(|_| Err("no route to host"));
        for _ in 0..3 {
            let error = store.key(url(OTHER)).unwrap_err();
            assert_eq!(error.reason(), Some(VerificationReason::KeyUnavailable));
            assert!(error.message().contains("no route to host"), "{error}");
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        store.failure_stands = Duration::ZERO;
        assert!(store.key(url(OTHER)).is_err());
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_is_not_a_key_is_told_from_a_failed_fetch() {
        for answer in ["<html>captive portal</html>".to_owned(), "A".repeat(MAX_PEM + 1)] {
            let store = store(move |_: &str| Ok::<_, String>(answer.clone().into_bytes()));
            assert_eq!(store.key(url(OTHER)).unwrap_err().reason(), Some(VerificationReason::BadKey));
        }
    }

    #[test]
    fn memory_and_fetches_are_bounded_whatever_urls_come() {
        let (store, count) =
            counting(|url| if url.contains("good") { Ok(OFFICIAL_KEY_PEM.into()) } else { Err("404") });
        store.key(url("https://gosspublic.alicdn.com/good")).unwrap();
        for index in 0..200 {
            let text = format!("https://gosspublic.alicdn.com/{index}.pem");
            assert!(store.key(url(&text)).is_err());
        }
        assert_eq!(count.load(Ordering::SeqCst), FETCHES_PER_MINUTE);
        assert!(store.key(url("https://gosspublic.alicdn.com/good")).is_ok(), "failures push out no key");
        let state = store.lock();
        assert!(state.failures.len() <= REMEMBERED && state.in_flight.is_empty());
        assert!(state.fetches.len() <= FETCHES_PER_MINUTE);
    }

    #[test]
    fn the_key_used_longest_ago_makes_room() {
        let (store, count) = counting(|_| Ok::<_, String>(OFFICIAL_KEY_PEM.into()));
        let text = |index: usize| format!("https://gosspublic.alicdn.com/{index}.pem");
        for index in 0..REMEMBERED {
            store.key(url(&text(index))).unwrap();
        }
        store.key(url(&text(0))).unwrap();
        store.key(url(&text(REMEMBERED))).unwrap();
        assert_eq!(count.load(Ordering::SeqCst), REMEMBERED + 1);
        store.key(url(&text(0))).unwrap();
        assert_eq!(count.load(Ordering::SeqCst), REMEMBERED + 1, "0 was used lately and is still there");
        store.key(url(&text(1))).unwrap();
        assert_eq!(count.load(Ordering::SeqCst), REMEMBERED + 2);
    }

    #[test]
    fn a_fetcher_that_panics_blocks_nobody() {
        let (store, count) = counting(|_| -> Result<Vec<u8>, String> { panic!("the user's own bug") });
        for _ in 0..2 {
            let call = std::panic::AssertUnwindSafe(|| store.key(url(OTHER)));
            assert!(std::panic::catch_unwind(call).is_err());
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}

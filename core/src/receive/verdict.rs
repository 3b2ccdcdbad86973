//! Verifying without ever waiting: how far it came, and the key that has to be fetched first.

use std::fmt;
use std::sync::Arc;

use super::CallbackEvent;
use super::keys::KeyStore;
use crate::error::Result;

/// How far [`CallbackVerifier::verify_now`](super::CallbackVerifier::verify_now) came, or
/// [`verify_signature_now`](super::CallbackVerifier::verify_signature_now), which tells of no event.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict<T = CallbackEvent> {
    /// The request is accepted.
    Accepted(T),
    /// A key is not known yet, and it is this caller's turn to fetch it. Verify again afterwards.
    KeyWanted(KeyFetch),
    /// A key is not known yet, and another caller's [`KeyFetch`] is fetching it from this URL. Verify again
    /// when that has ended.
    KeyInFlight(String),
}

/// A key that is to be fetched. Others wait for it: end it soon by [`run`](Self::run) or
/// [`land`](Self::land). Dropping it lets the next caller try.
pub struct KeyFetch {
    store: Arc<KeyStore>,
    /// Empty once it has ended.
    url: String,
}

impl KeyFetch {
    pub(super) fn new(store: Arc<KeyStore>, url: String) -> KeyFetch {
        KeyFetch { store, url }
    }

    /// Where the key is. It has passed the rule for key URLs.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Fetches the key by the verifier's own means. It blocks, for no more than 5 s unless
    /// [`fetch_key`](super::CallbackVerifierBuilder::fetch_key) says otherwise.
    ///
    /// # Errors
    /// As [`land`](Self::land).
    pub fn run(self) -> Result<()> {
        let answer = self.store.fetch(&self.url);
        self.land(answer)
    }

    /// Takes the PEM that was fetched by other means, or why there is none. Either is remembered, a failure
    /// for 30 s.
    ///
    /// # Errors
    /// `verification` with reason `key_unavailable` or `bad_key`.
    pub fn land<E>(mut self, answer: std::result::Result<Vec<u8>, E>) -> Result<()>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.store.land(&std::mem::take(&mut self.url), answer.map_err(Into::into))
    }
}

impl Drop for KeyFetch {
    fn drop(&mut self) {
        if !self.url.is_empty() {
            self.store.give_up(&self.url);
        }
    }
}

impl fmt::Debug for KeyFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFetch").field("url", &self.url).finish_non_exhaustive()
    }
}

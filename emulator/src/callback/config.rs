//! How the emulator behaves towards application servers, and what callbacks share while it runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;

use super::tls;
use super::{CallbackObserver, SigningKey};

/// Settings of the callback side. Start from [`CallbackConfig::default`] and set what should differ.
#[derive(Clone, Debug)]
pub struct CallbackConfig {
    /// Refuse private, loopback and link-local addresses and hosts that do not resolve to IPv4, as OSS
    /// does (EC 0007-00000008 and 007). Default: false, since calling back on loopback is the point.
    pub strict: bool,
    /// What `x-oss-pub-key-url` announces (before Base64). The default lies under
    /// `http://gosspublic.alicdn.com/`, the only place from which verifiers accept keys, but nothing is
    /// served there: a verifier under test must be given [`SigningKey::public_key_pem`] for this URL.
    pub key_url: String,
    /// Signs every callback. Default: a fixed key that is public knowledge.
    pub signing_key: SigningKey,
    /// Certificates that https callbacks trust besides the platform's roots; each entry is PEM text with
    /// one or more of them. Default: none.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// How long one URL may take, from resolving the host to the last byte of the answer. Default: 5 s,
    /// OSS's fixed limit.
    pub timeout: Duration,
    /// Whether asking for imageInfo of what is no image fails the callback (EC 0007-00000302). OSS
    /// documents both this and an empty value. Default: false, an empty value.
    pub image_info_fails: bool,
    /// How many callbacks may be under way at a time; those above fail with EC 0007-00000201. Default:
    /// none, no limit.
    pub max_concurrent: Option<usize>,
    /// Is told of every attempt. Default: none.
    pub observer: Option<CallbackObserver>,
    /// Common to all clones of this configuration.
    pub(crate) shared: Arc<Shared>,
}

impl CallbackConfig {
    /// The key URL that is announced by default.
    pub const DEFAULT_KEY_URL: &'static str = "http://gosspublic.alicdn.com/oss-callback-emulator.pem";

    /// Takes a place among the concurrent callbacks, for as long as the value lives.
    pub(super) fn take_place(&self) -> Option<Place> {
        let place = Place(self.shared.clone());
        let before = place.0.in_flight.fetch_add(1, Ordering::SeqCst);
        self.max_concurrent.is_none_or(|limit| before < limit).then_some(place)
    }

    /// The TLS configuration with or without SNI, made once: reading the platform's roots takes a while.
    pub(super) fn tls(&self, sni: bool) -> Result<Arc<ClientConfig>, String> {
        let mut made = self.shared.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made.iter().find(|made| made.sni == sni && made.roots == self.extra_roots_pem) {
            return Ok(found.config.clone());
        }
        let config = tls::client_config(&self.extra_roots_pem, sni)?;
        made.push(Tls { roots: self.extra_roots_pem.clone(), sni, config: config.clone() });
        Ok(config)
    }
}

impl Default for CallbackConfig {
    fn default() -> CallbackConfig {
        CallbackConfig {
            strict: false,
            key_url: CallbackConfig::DEFAULT_KEY_URL.to_owned(),
            signing_key: SigningKey::default(),
            extra_roots_pem: Vec::new(),
            timeout: Duration::from_secs(5),
            image_info_fails: false,
            max_concurrent: None,
            observer: None,
            shared: Arc::default(),
        }
    }
}

/// State of the running callback side.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    in_flight: AtomicUsize,
    tls: Mutex<Vec<Tls>>,
}

#[derive(Debug)]
struct Tls {
    roots: Vec<Vec<u8>>,
    sni: bool,
    config: Arc<ClientConfig>,
}

/// One callback under way.
pub(super) struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

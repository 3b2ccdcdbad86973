//! The verifier: the order of the checks, and what the user may set.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::diagnose;
use super::event::{CallbackEvent, read_template};
use super::key_url::OfficialUrl;
use super::keys::{HttpFetcher, KeyFetcher, KeyStore, Look, SharedFetcher};
use super::layout::Layout;
use super::request::{Headers, Request};
use super::rsa::PublicKey;
use super::seal;
use super::signature;
use super::verdict::{KeyFetch, Verdict};
use crate::callback::Callback;
use crate::credentials::Secret;
use crate::error::{Error, Result, VerificationReason as Reason};
use crate::options::{BodyType, CallbackVerifierBuilder, positive};

/// A body of this library's making stays far below; each variable may stand in it several times.
const DEFAULT_MAX_BODY: usize = 1024 * 1024;
/// OSS waits no longer for the whole answer (OSS, Callback).
const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// A key URL of 256 characters and its prefix take less.
const MAX_KEY_URL: usize = 1024;

type FirstUse = dyn Fn(&str, SystemTime) -> bool + Send + Sync;

/// Verifies callback requests. Cheap to clone; one serves all threads.
///
/// The default needs no settings and, for OSS's present key, no network. What each check proves stands
/// in the [module's head](super).
///
/// ```
/// use oss_callback::receive::CallbackVerifier;
///
/// let verifier = CallbackVerifier::builder().build()?;
/// let (target, body) = ("/index.php?id=1&index=2", "bucket=yonghu-test");
/// let authorization =
///     "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==";
/// let key_url = "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ==";
/// let headers = [("authorization", authorization), ("x-oss-pub-key-url", key_url)];
/// let event = verifier.verify("POST", target, headers, body.as_bytes())?;
/// assert_eq!(event.bucket(), Some("yonghu-test"));
/// # Ok::<(), oss_callback::Error>(())
/// ```
#[derive(Clone)]
pub struct CallbackVerifier {
    settings: Arc<Settings>,
}

struct Settings {
    trusted: Vec<PublicKey>,
    official: Option<Arc<KeyStore>>,
    max_body: usize,
    body_timeout: Duration,
    any_version: bool,
    body_type: Option<BodyType>,
    layout: Option<Layout>,
    buckets: Vec<String>,
    seal_secrets: Vec<Secret>,
    first_use: Option<SharedFirstUse>,
}

/// What says whether a seal is used for the first time.
#[derive(Clone)]
pub(crate) struct SharedFirstUse(Arc<FirstUse>);

impl std::fmt::Debug for SharedFirstUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FirstUse")
    }
}

impl CallbackVerifierBuilder {
    /// Gets the PEM of official keys, in place of this library's own way: `Fn(&str) -> Result<Vec<u8>, E>`.
    ///
    /// Default: the present key is built in; another one is fetched from OSS's own host by https within
    /// 5 s, following no redirect, through the proxy of the environment (`HTTPS_PROXY`).
    ///
    /// It replaces the fetching and the key that is built in, never the rule for key URLs: it is not
    /// called for a URL that is not OSS's. Its answers are remembered. Calls of `verify` wait for it.
    pub fn fetch_key(mut self, fetcher: impl KeyFetcher + 'static) -> Self {
        self.fetch_key = Some(SharedFetcher::new(fetcher));
        self
    }

    /// [`template`](Self::template) of a callback of this library, and its type, in place of these two.
    pub fn callback(mut self, callback: &Callback) -> Self {
        self.callback = Some(callback.clone());
        self
    }

    /// Asked last, of every seal that is right: with its nonce and expiry, whether this is the first
    /// time. Remember the nonce until the expiry; return false to refuse a replay. It must be atomic:
    /// of two calls with one nonce only one may get true.
    ///
    /// Default: none; replays within the expiry are accepted.
    pub fn first_use(mut self, is_first: impl Fn(&str, SystemTime) -> bool + Send + Sync + 'static) -> Self {
        self.first_use = Some(SharedFirstUse(Arc::new(is_first)));
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid_argument` for a key that is not an RSA public key, a template that cannot be read
    /// backwards, a secret under 16 bytes, `first_use` without a secret, a `body_timeout` of 0, or if no key
    /// is trusted at all.
    pub fn build(self) -> Result<CallbackVerifier> {
        let trusted = self.trusted_keys.iter().map(PublicKey::from_pem).collect::<Result<Vec<_>>>();
        let trusted = trusted.map_err(|error| Error::invalid_argument("trusted_keys", error.message()))?;
        let official = self.official_keys.unwrap_or(trusted.is_empty());
        if !official && trusted.is_empty() {
            return Err(Error::invalid_argument("official_keys", "must not be false without a trusted key"));
        }
        for secret in &self.seal_secret {
            seal::check_secret("seal_secret", secret)?;
        }
        if self.first_use.is_some() && self.seal_secret.is_empty() {
            let message = "needs a seal_secret: without a seal there is no nonce";
            return Err(Error::invalid_argument("first_use", message));
        }
        let template = match (&self.callback, &self.template, self.template_type) {
            (Some(_), None, None) | (None, None, None) => {
                self.callback.as_ref().and_then(|callback| Some((callback.body()?, callback.body_type())))
            }
            (None, Some(body), given) => Some((body.as_str(), given.unwrap_or(BodyType::Form))),
            (None, None, Some(_)) => {
                return Err(Error::invalid_argument("template_type", "needs a template"));
            }
            (Some(_), _, _) => {
                return Err(Error::invalid_argument(
                    "template",
                    "cannot stand beside a callback, which has its own",
                )
                .with_hint("Give the verifier one of the two."));
            }
        };
        let body_timeout = positive("body_timeout", self.body_timeout)?;
        let layout = template.map(|(body, body_type)| read_template(body, body_type)).transpose()?;
        let built_in = self.fetch_key.is_none();
        let fetcher = self.fetch_key.unwrap_or_else(|| SharedFetcher::new(HttpFetcher::new()));
        let settings = Settings {
            trusted,
            official: official.then(|| {
                let as_named = self.key_scheme_as_named.unwrap_or(false);
                Arc::new(KeyStore::new(Box::new(fetcher), built_in, as_named))
            }),
            max_body: self
                .max_body
                .map_or(DEFAULT_MAX_BODY, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            body_timeout: body_timeout.unwrap_or(DEFAULT_BODY_TIMEOUT),
            any_version: self.any_signature_version.unwrap_or(false),
            body_type: template.map(|(_, body_type)| body_type),
            layout,
            buckets: self.bucket,
            seal_secrets: self.seal_secret,
            first_use: self.first_use,
        };
        Ok(CallbackVerifier { settings: Arc::new(settings) })
    }
}

impl CallbackVerifier {
    /// Settings to be filled in.
    pub fn builder() -> CallbackVerifierBuilder {
        CallbackVerifierBuilder::default()
    }

    /// Verifies a callback request and tells what it says.
    ///
    /// `target` is the raw request target with its query (`/cb?id=1`; a whole URL is read as its path and
    /// query), `headers` are all the request's as they arrived, `body` is the raw bytes. It may wait
    /// for a key to be fetched.
    ///
    /// # Errors
    /// `verification`, with the failed check as [`reason`](Error::reason) and, where it can be told, the
    /// accident that explains it as [`hint`](Error::hint). Both are for your log: to the sender answer
    /// [`refusal`](super::answer::refusal).
    pub fn verify<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
    ) -> Result<CallbackEvent> {
        self.verify_at(method, target, headers, body, SystemTime::now())
    }

    /// [`verify`](Self::verify) at a given time, which only a seal's expiry depends on.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_at<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<CallbackEvent> {
        let request = Request::read(method, target, headers, body, self.settings.max_body)?;
        self.check_signature(&request, |store, url| store.key(url).map(Look::Known))?;
        self.understand(&request, now)
    }

    /// [`verify`](Self::verify) that never waits for a key: for languages with an event loop, and for
    /// async functions. Only [`first_use`](CallbackVerifierBuilder::first_use) is asked as there.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_now<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
    ) -> Result<Verdict> {
        self.verify_now_at(method, target, headers, body, SystemTime::now())
    }

    /// [`verify_now`](Self::verify_now) at a given time, which only a seal's expiry depends on.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_now_at<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Verdict> {
        let request = Request::read(method, target, headers, body, self.settings.max_body)?;
        match self.check_signature_now(&request)? {
            Verdict::Accepted(()) => self.understand(&request, now).map(Verdict::Accepted),
            Verdict::KeyWanted(fetch) => Ok(Verdict::KeyWanted(fetch)),
            Verdict::KeyInFlight(url) => Ok(Verdict::KeyInFlight(url)),
        }
    }

    /// The checks that follow upon the signature's.
    fn understand(&self, request: &Request<'_>, now: SystemTime) -> Result<CallbackEvent> {
        let settings = &self.settings;
        let body_type = settings.body_type.unwrap_or_else(|| body_type(&request.headers));
        let event = CallbackEvent::with_layout(request.body, body_type, settings.layout.as_ref())?;
        if !settings.buckets.is_empty() && !settings.buckets.iter().any(|own| event.bucket() == Some(own)) {
            let message = match event.bucket() {
                Some(bucket) => format!("the callback is about the bucket {bucket:.80?}"),
                None => "the callback names no bucket".to_owned(),
            };
            return Err(Error::verification(Reason::WrongBucket, message));
        }
        if settings.seal_secrets.is_empty() { Ok(event) } else { self.check_seal(event, now) }
    }

    /// Only the signature, not the body or the seal: for bodies that are neither form nor JSON.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_signature<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
    ) -> Result<()> {
        let request = Request::read(method, target, headers, body, self.settings.max_body)?;
        self.check_signature(&request, |store, url| store.key(url).map(Look::Known)).map(drop)
    }

    /// [`verify_signature`](Self::verify_signature) that never waits for a key, as
    /// [`verify_now`](Self::verify_now) does not.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_signature_now<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
    ) -> Result<Verdict<()>> {
        let request = Request::read(method, target, headers, body, self.settings.max_body)?;
        self.check_signature_now(&request)
    }

    /// Largest body in bytes, for whoever reads it: one byte more is enough to have it refused.
    pub fn max_body(&self) -> usize {
        self.settings.max_body
    }

    /// Longest time for a body to arrive, for whoever reads it. What has not arrived by then is to be
    /// answered by a [`refusal`](super::answer::refusal).
    pub fn body_timeout(&self) -> Duration {
        self.settings.body_timeout
    }

    /// The refusal of a body that has more, for those who stopped reading it.
    pub fn body_too_large(&self) -> Error {
        let message = format!("the body has more than {} bytes", self.settings.max_body);
        Error::verification(Reason::BodyTooLarge, message)
    }

    fn check_signature_now(&self, request: &Request<'_>) -> Result<Verdict<()>> {
        Ok(match (self.check_signature(request, KeyStore::look)?, &self.settings.official) {
            (Some(Look::Fetch(url)), Some(store)) => {
                Verdict::KeyWanted(KeyFetch::new(Arc::clone(store), url))
            }
            (Some(Look::InFlight(url)), _) => Verdict::KeyInFlight(url),
            _ => Verdict::Accepted(()),
        })
    }

    /// `None` once the signature is right; else what `look` came to, where it is not a key.
    fn check_signature(
        &self,
        request: &Request<'_>,
        look: impl FnOnce(&KeyStore, OfficialUrl<'_>) -> Result<Look>,
    ) -> Result<Option<Look>> {
        let refuse = |reason, message: &str| Err(Error::verification(reason, message));
        let headers = &request.headers;
        if let Some(version) = headers.version.as_deref().filter(|version| *version != "1.0")
            && !self.settings.any_version
        {
            let message = format!("the request is signed by version {version:.20?}");
            return Err(Error::verification(Reason::UnsupportedVersion, message));
        }
        let Some(authorization) = headers.authorization.as_deref() else {
            return refuse(Reason::MissingAuthorization, "the header authorization is missing");
        };
        let Some(signature) = signature::decode(authorization) else {
            return refuse(
                Reason::BadAuthorization,
                "the header authorization is not the Base64 of a signature",
            );
        };
        let digest = signature::digest(request.target, request.body);
        let trusted = &self.settings.trusted;
        if trusted.iter().any(|key| key.verify_md5(&digest, &signature)) {
            return Ok(None);
        }
        let Some(store) = &self.settings.official else {
            let signed = trusted.iter().find_map(|key| key.signed_md5(&signature));
            return Err(wrong_signature(request, signed, "any of the trusted keys"));
        };
        let key_url = named_key_url(headers)?;
        let Some(official) = OfficialUrl::check(&key_url) else {
            let message = format!("the key's URL is not one of OSS's: {key_url:.200?}");
            return Err(Error::verification(Reason::KeyUrlRefused, message));
        };
        let key = match look(store, official)? {
            Look::Known(key) => key,
            pending => return Ok(Some(pending)),
        };
        match key.signed_md5(&signature) {
            Some(signed) if signed == digest => {
                store.prove(official);
                Ok(None)
            }
            signed => Err(wrong_signature(request, signed, "the key that the request names")),
        }
    }

    fn check_seal(&self, event: CallbackEvent, now: SystemTime) -> Result<CallbackEvent> {
        let Some(token) = event.seal_token().filter(|token| !token.is_empty()) else {
            let message = "the callback holds no seal, and this verifier demands one";
            return Err(Error::verification(Reason::SealMissing, message));
        };
        let (Some(bucket), Some(key)) = (event.bucket(), event.key()) else {
            let message = "the callback names no bucket or no object, so its seal cannot be checked";
            return Err(Error::verification(Reason::SealWrong, message));
        };
        let secrets = &self.settings.seal_secrets;
        let seal = seal::verify(secrets, bucket, key, event.variables(), token, now)?;
        if self.settings.first_use.as_ref().is_some_and(|first| !(first.0)(&seal.nonce, seal.expires_at)) {
            return Err(seal::replayed());
        }
        Ok(event.sealed_by(seal))
    }
}

impl std::fmt::Debug for CallbackVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let settings = &self.settings;
        f.debug_struct("CallbackVerifier")
            .field("trusted_keys", &settings.trusted.len())
            .field("official_keys", &settings.official.is_some())
            .field("seal_secrets", &settings.seal_secrets)
            .finish_non_exhaustive()
    }
}

/// The key URL that the request names, decoded and not yet judged.
fn named_key_url(headers: &Headers) -> Result<String> {
    let Some(encoded) = headers.key_url.as_deref() else {
        return Err(Error::verification(Reason::MissingKeyUrl, "the header x-oss-pub-key-url is missing"));
    };
    let decoded = (encoded.len() <= MAX_KEY_URL).then(|| STANDARD.decode(encoded).ok()).flatten();
    decoded.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        Error::verification(Reason::BadKeyUrl, "the header x-oss-pub-key-url is not the Base64 of a URL")
    })
}

/// The signature fails: was it made by the key over something else, or not by the key at all?
fn wrong_signature(request: &Request<'_>, signed: Option<[u8; 16]>, key: &str) -> Error {
    match signed {
        Some(signed) => {
            let message = format!("the signature is by {key}, but not over this target and body");
            Error::verification(Reason::WrongSignature, message).with_hint(diagnose::explain(request, signed))
        }
        None => {
            let message = format!("the signature is not by {key}");
            Error::verification(Reason::WrongSignature, message)
                .with_hint("The request is forged, or something altered Authorization on its way")
        }
    }
}

/// By Content-Type, and form if it says nothing known.
fn body_type(headers: &Headers) -> BodyType {
    let content_type = headers.content_type.as_deref().unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    BodyType::from_media_type(&media_type).unwrap_or(BodyType::Form)
}

#[cfg(test)]
mod tests;

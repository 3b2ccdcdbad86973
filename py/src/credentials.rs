//! Credentials of the user's own making, and the function that gives them.

use std::sync::{Mutex, PoisonError, Weak};
use std::thread::Thread;
use std::time::UNIX_EPOCH;

use oss_callback::Error;
use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::convert::{self, optional_text, text};
use crate::errors::{raised, wrong_type};
use crate::gate;
use crate::handles::Live;

/// What a `credentials_provider` returns: an AccessKey pair, and the token and end of a temporary one.
///
/// `expires_at` is an aware datetime or Unix seconds. Without it, a pair without a token is kept for good,
/// and one with a token is asked for again every 15 minutes.
///
/// Raises CredentialsError for what is empty or cannot be sent.
#[pyclass(frozen, module = "oss_callback")]
pub(crate) struct Credentials {
    inner: oss_callback::Credentials,
    _live: Live,
}

#[pymethods]
impl Credentials {
    #[new]
    #[pyo3(signature = (access_key_id, access_key_secret, security_token=None, expires_at=None))]
    fn new(
        py: Python<'_>,
        access_key_id: Bound<'_, PyAny>,
        access_key_secret: Bound<'_, PyAny>,
        security_token: Option<Bound<'_, PyAny>>,
        expires_at: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Credentials> {
        let (id, secret) =
            (text("access_key_id", &access_key_id)?, text("access_key_secret", &access_key_secret)?);
        let token = optional_text("security_token", security_token.as_ref())?;
        let made = || {
            let credentials = oss_callback::Credentials::new(id, secret)?;
            match token {
                Some(token) => credentials.with_security_token(token),
                None => Ok(credentials),
            }
        };
        let mut inner = made().map_err(|error| raised(py, &error))?;
        if expires_at.is_some() {
            inner = inner.with_expiry(convert::moment("expires_at", expires_at.as_ref())?);
        }
        Ok(Credentials { inner, _live: Live::new() })
    }

    /// AccessKey id.
    #[getter]
    fn access_key_id(&self) -> &str {
        self.inner.access_key_id()
    }

    /// When the pair ends, in Unix seconds.
    #[getter]
    fn expires_at(&self) -> Option<f64> {
        let since = self.inner.expires_at()?.duration_since(UNIX_EPOCH);
        Some(since.map_or_else(|before| -before.duration().as_secs_f64(), |since| since.as_secs_f64()))
    }

    fn __repr__(&self) -> String {
        // The secret and the token are for signing alone.
        let token = if self.inner.security_token().is_some() { " security_token=***" } else { "" };
        format!("<Credentials {} access_key_secret=***{token}>", self.inner.access_key_id())
    }
}

/// What a credentials function gives that cannot be asked before the client's next call, as the event
/// loops of the calls so far have ended. For the core it is still being asked: that is no failure, which the
/// next call would meet.
#[pyclass(frozen, module = "oss_callback._native")]
pub(crate) struct Later;

#[pymethods]
impl Later {
    #[new]
    fn new() -> Later {
        Later
    }
}

/// The credentials function of a client. The client alone owns it, so that the garbage collector sees what
/// it refers to, which may be the client's owner. The core and calls under way find it through the client,
/// which whoever waits for a call holds.
pub(crate) struct Provider {
    function: Py<PyAny>,
    /// Its last failure, and the message by which that is known again. Its traceback refers to much, too.
    failure: Mutex<Option<(String, Py<PyBaseException>)>>,
    /// Where the function is asked, and may have to be asked again.
    asking: Mutex<Option<Thread>>,
}

// The locks are held for an instant and by attached threads only, so that no fork can catch them locked.
impl Provider {
    pub fn new(function: Bound<'_, PyAny>) -> PyResult<Provider> {
        if !function.is_callable() {
            let hint = "Give a function that returns oss_callback.Credentials.";
            return Err(wrong_type("credentials_provider", "callable", &function, Some(hint)));
        }
        Ok(Provider { function: function.unbind(), failure: Mutex::new(None), asking: Mutex::new(None) })
    }

    pub fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        match self.failure.try_lock() {
            Ok(kept) => visit.call(kept.as_ref().map(|(_, failure)| failure)),
            Err(_) => Ok(()),
        }
    }

    /// Has the next call wake this thread, if it waits by then or as soon as it does.
    fn expect_calls(&self) {
        *self.asking.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current());
    }

    /// Tells that a call is made.
    pub fn called(&self) {
        if let Some(thread) = self.asking.lock().unwrap_or_else(PoisonError::into_inner).take() {
            thread.unpark();
        }
    }

    fn keep(&self, failure: Option<(String, Py<PyBaseException>)>) {
        let old =
            std::mem::replace(&mut *self.failure.lock().unwrap_or_else(PoisonError::into_inner), failure);
        drop(old);
    }

    /// The exception behind an error of kind `credentials`, if it came from the function.
    pub fn cause_of(&self, py: Python<'_>, error: &Error) -> Option<PyErr> {
        let kept = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let (message, failure) = kept.as_ref()?;
        (message == error.message()).then(|| PyErr::from_value(failure.bind(py).clone().into_any()))
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Whoever waits for the next call has waited for the last.
        self.called();
    }
}

/// What asks the function for the core, on a thread of the core's.
pub(crate) fn asking(
    provider: Weak<Provider>,
) -> impl Fn() -> Result<oss_callback::Credentials, Error> + Send + Sync + 'static {
    move || loop {
        match gate::attach(|py| ask(py, &provider)) {
            Some(Some(outcome)) => return outcome,
            // Outside of the interpreter, so that neither its end nor the collector waits for this thread.
            Some(None) => std::thread::park(),
            None => return Err(Error::credentials("the interpreter is shutting down")),
        }
    }
}

/// What the function gives; `None` if that is for later.
fn ask(py: Python<'_>, provider: &Weak<Provider>) -> Option<Result<oss_callback::Credentials, Error>> {
    // Nobody waits for credentials when the client is gone.
    let Some(held) = provider.upgrade() else { return Some(Err(Error::credentials("the client is gone"))) };
    held.expect_calls();
    let function = held.function.clone_ref(py);
    drop(held);
    let (given, failure) = match asked(function.bind(py)).transpose()? {
        Ok(credentials) => (Ok(credentials), None),
        Err(error) => {
            let message = format!("the credentials provider failed: {error}");
            (Err(Error::credentials(message.clone())), Some((message, error.into_value(py))))
        }
    };
    if let Some(held) = provider.upgrade() {
        held.keep(failure);
    }
    Some(given)
}

fn asked(function: &Bound<'_, PyAny>) -> PyResult<Option<oss_callback::Credentials>> {
    let given = function.call0()?;
    if given.is_instance_of::<Later>() {
        return Ok(None);
    }
    match given.cast::<Credentials>() {
        Ok(credentials) => Ok(Some(credentials.get().inner.clone())),
        Err(_) => {
            let hint = "Return `Credentials(access_key_id, access_key_secret)` from the function.";
            Err(wrong_type("credentials_provider", "oss_callback.Credentials", &given, Some(hint)))
        }
    }
}

//! Credentials of the user's own making, and the function that gives them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use oss_callback::Error;
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

/// The last failure of a client's credentials function, and the message by which it is known again.
#[derive(Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<(String, PyErr)>>>);

impl Failure {
    fn replace(&self, failure: Option<(String, PyErr)>) {
        let old = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), failure);
        drop(old);
    }

    /// The exception behind an error of kind `credentials`, if it came from the function.
    pub fn cause_of(&self, py: Python<'_>, error: &Error) -> Option<PyErr> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (message, failure) = kept.as_ref()?;
        (message == error.message()).then(|| failure.clone_ref(py))
    }
}

/// Makes a provider of the function. It is called on a thread of the core's.
pub(crate) fn provider(
    function: Py<PyAny>,
    failure: Failure,
) -> impl Fn() -> Result<oss_callback::Credentials, Error> + Send + Sync + 'static {
    move || {
        let asked = gate::attach(|py| {
            let given = function.bind(py).call0().and_then(|given| match given.cast::<Credentials>() {
                Ok(credentials) => Ok(credentials.get().inner.clone()),
                Err(_) => {
                    let hint = "Return `Credentials(access_key_id, access_key_secret)` from the function.";
                    Err(wrong_type("credentials_provider", "oss_callback.Credentials", &given, Some(hint)))
                }
            });
            match given {
                Ok(credentials) => {
                    failure.replace(None);
                    Ok(credentials)
                }
                Err(error) => {
                    let message = format!("the credentials provider failed: {error}");
                    failure.replace(Some((message.clone(), error)));
                    Err(Error::credentials(message))
                }
            }
        });
        asked.unwrap_or_else(|| Err(Error::credentials("the interpreter is shutting down")))
    }
}

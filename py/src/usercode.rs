//! What the user's own functions raise while a call runs: on threads of the library's, where nobody sees
//! it. It is kept until the call ends, and then is what the caller gets to see.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use oss_callback::{ErrorKind, Result};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::credentials::Provider;
use crate::errors::raised;

/// The first exception of one function.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    pub fn keep(&self, error: PyErr) {
        // What is not kept is let go without the lock.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let surplus = if kept.is_none() { kept.replace(error) } else { Some(error) };
        drop(kept);
        drop(surplus);
    }

    pub fn is_set(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The functions of one call.
#[derive(Clone, Default)]
pub(crate) struct UserCode {
    /// Raised by the source; it is the cause of the call's error.
    pub source: Raised,
    /// Raised by us, as the source gave what is no data; it is the call's error.
    pub misfit: Raised,
    /// Raised by the progress function; it is the call's error if it has ended the call.
    pub progress: Raised,
    /// The credentials function is the client's.
    pub credentials: Weak<Provider>,
}

impl UserCode {
    /// What a call comes to.
    pub fn outcome<T>(&self, py: Python<'_>, outcome: Result<T>) -> PyResult<T> {
        if let Some(own) = self.progress.take() {
            let ended = outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled);
            // An upload that was complete by then, or failed by itself, has an outcome that must not be lost.
            // But nothing may hide what is no `Exception`.
            if ended || !own.is_instance_of::<PyException>(py) {
                return Err(own);
            }
        }
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let cause = match error.kind() {
            ErrorKind::Source => match (self.misfit.take(), self.source.take()) {
                (Some(misfit), _) => return Err(misfit),
                // Such as KeyboardInterrupt, which nothing may hide.
                (None, Some(cause)) if !cause.is_instance_of::<PyException>(py) => return Err(cause),
                (None, cause) => cause,
            },
            ErrorKind::Credentials => {
                self.credentials.upgrade().and_then(|provider| provider.cause_of(py, &error))
            }
            _ => None,
        };
        let exception = raised(py, &error);
        if cause.is_some() {
            exception.set_cause(py, cause);
        }
        Err(exception)
    }
}

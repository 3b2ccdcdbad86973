//! The way from the library's threads into an event loop: what calls came to is put into a mailbox, whose
//! descriptor the loop waits for, and made into objects there. The library's threads never wait for the
//! interpreter, which a busy loop gives up only every few milliseconds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oss_callback::Bell;
use pyo3::prelude::*;

use crate::errors::bug;

/// Makes the object of an outcome.
type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What stands for a call, and what it came to: a value or an exception.
type Letter = (Py<PyAny>, Option<Py<PyAny>>, Option<PyErr>);

/// What the calls of one event loop came to.
#[pyclass(frozen, module = "oss_callback._native")]
pub(crate) struct Mailbox {
    shared: Arc<Shared>,
}

struct Shared(Mutex<Inside>);

struct Inside {
    letters: Vec<(Py<PyAny>, Outcome)>,
    bell: Bell,
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Mailbox {
    /// Raises OSError where there are no descriptors for it.
    #[new]
    fn new() -> PyResult<Mailbox> {
        let inside = Inside { letters: Vec::new(), bell: Bell::new()? };
        Ok(Mailbox { shared: Arc::new(Shared(Mutex::new(inside))) })
    }

    /// Can be read from while there is something to fetch. It is the mailbox's: neither to be read from
    /// nor to be closed.
    fn fileno(&self) -> i32 {
        self.shared.locked().bell.descriptor()
    }

    /// What has come: each with what stands for its call, a value or None, and an exception or None.
    fn collect(&self, py: Python<'_>) -> Vec<Letter> {
        let letters = {
            let mut inside = self.shared.locked();
            inside.bell.hush();
            std::mem::take(&mut inside.letters)
        };
        // A defect in one must not lose the others.
        let open = |(call, outcome): (Py<PyAny>, Outcome)| {
            let opened = catch_unwind(AssertUnwindSafe(|| outcome(py)));
            match opened.unwrap_or_else(|panic| Err(bug(py, &*panic))) {
                Ok(value) => (call, Some(value), None),
                Err(error) => (call, None, Some(error)),
            }
        };
        letters.into_iter().map(open).collect()
    }
}

/// Where the outcome of one call goes.
pub(crate) struct Address {
    shared: Arc<Shared>,
    call: Py<PyAny>,
}

impl Address {
    pub fn new(mailbox: &Bound<'_, PyAny>, call: Bound<'_, PyAny>) -> PyResult<Address> {
        let mailbox = mailbox.cast::<Mailbox>()?;
        Ok(Address { shared: Arc::clone(&mailbox.get().shared), call: call.unbind() })
    }

    pub fn post(self, outcome: Outcome) {
        let mut inside = self.shared.locked();
        inside.letters.push((self.call, outcome));
        inside.bell.ring();
    }
}

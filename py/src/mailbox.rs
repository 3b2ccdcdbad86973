//! The way into an event loop: what calls came to is put into a mailbox, whose descriptors the loop waits for,
//! and made into objects there. The library's threads never wait for the interpreter, which a busy loop gives
//! up only every few milliseconds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use oss_callback::{AnswerPoll, Bell, CallbackReply, Client, PutRequest};
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

struct Shared {
    inside: Mutex<Inside>,
    /// Answers that the loop waits for itself, where the system lets it. The loop's thread alone comes here.
    answers: Option<Mutex<AnswerPoll>>,
}

struct Inside {
    letters: Vec<(Py<PyAny>, Outcome)>,
    bell: Bell,
    /// Whoever collects is there.
    attended: bool,
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with the calls whose answers have come.
    fn turn(&self) {
        match self.answers.as_ref().map(Mutex::try_lock) {
            Some(Ok(mut answers)) => answers.turn(),
            Some(Err(TryLockError::Poisoned(broken))) => broken.into_inner().turn(),
            // Somebody is there, or there is nothing.
            Some(Err(TryLockError::WouldBlock)) | None => {}
        }
    }
}

#[pymethods]
impl Mailbox {
    /// Raises OSError where there are no descriptors for it.
    #[new]
    fn new() -> PyResult<Mailbox> {
        let inside = Inside { letters: Vec::new(), bell: Bell::new()?, attended: false };
        let answers = match AnswerPoll::new() {
            Ok(answers) => Some(Mutex::new(answers)),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Mailbox { shared: Arc::new(Shared { inside: Mutex::new(inside), answers }) })
    }

    /// One of them can be read from while there is something to collect. They are the mailbox's: neither
    /// to be read from nor to be closed.
    fn descriptors(&self) -> Vec<i32> {
        let answers = self
            .shared
            .answers
            .as_ref()
            .map(|answers| answers.lock().unwrap_or_else(PoisonError::into_inner).descriptor());
        [Some(self.shared.locked().bell.descriptor()), answers].into_iter().flatten().collect()
    }

    /// What has come: each with what stands for its call, a value or None, and an exception or None.
    fn collect(&self, py: Python<'_>) -> Vec<Letter> {
        self.shared.locked().attended = true;
        self.shared.turn();
        let letters = {
            let mut inside = self.shared.locked();
            inside.attended = false;
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
        if !inside.attended {
            inside.bell.ring();
        }
    }

    pub fn answers(&self) -> Answers {
        Answers(Arc::clone(&self.shared))
    }
}

/// The calls of one event loop that wait for their answers.
#[derive(Clone)]
pub(crate) struct Answers(Arc<Shared>);

impl Answers {
    /// Starts an upload in one request, whose answer the loop waits for, where it can.
    pub fn start(
        &self,
        client: &Client,
        request: PutRequest,
        done: impl FnOnce(oss_callback::Result<CallbackReply>) + Send + 'static,
    ) {
        match &self.0.answers {
            Some(answers) => {
                answers.lock().unwrap_or_else(PoisonError::into_inner).start(client, request, done)
            }
            None => client.start(request, done),
        }
    }

    /// Has what was cancelled end now, should the loop not go round again.
    pub fn turn(&self) {
        self.0.turn();
    }
}

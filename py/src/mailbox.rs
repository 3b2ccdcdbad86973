//! The way into an event loop: what calls came to is put into a mailbox, whose descriptors the loop waits for,
//! and made into objects there. The library's threads never wait for the interpreter, which a busy loop gives
//! up only every few milliseconds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use oss_callback::{AnswerPoll, Bell, CallbackReply, Client, PutRequest};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::bug;

/// Makes the object of an outcome.
type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What stands for a call, and what it came to: a value or an exception.
type Letter = (Py<PyAny>, Option<Py<PyAny>>, Option<PyErr>);

/// What the calls of one event loop came to.
#[pyclass(frozen, module = "oss_callback._native")]
pub(crate) struct Mailbox {
    inside: Arc<Mutex<Inside>>,
    answers: Option<Answers>,
}

struct Inside {
    letters: Vec<(Py<PyAny>, Outcome)>,
    bell: Bell,
    /// Whoever collects is there.
    attended: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl Mailbox {
    /// Raises OSError where there are no descriptors for it.
    #[new]
    fn new() -> PyResult<Mailbox> {
        let inside = Inside { letters: Vec::new(), bell: Bell::new()?, attended: false };
        let answers = match AnswerPoll::new() {
            Ok(poll) => Some(Answers(Arc::new(Mutex::new(poll)))),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Mailbox { inside: Arc::new(Mutex::new(inside)), answers })
    }

    /// One of them can be read from while there is something to collect. They are the mailbox's: neither
    /// to be read from nor to be closed.
    fn descriptors(&self) -> Vec<i32> {
        let answers = self.answers.as_ref().map(|answers| locked(&answers.0).descriptor());
        [Some(locked(&self.inside).bell.descriptor()), answers].into_iter().flatten().collect()
    }

    /// What has come: each with what stands for its call, a value or None, and an exception or None.
    fn collect(&self, py: Python<'_>) -> Vec<Letter> {
        locked(&self.inside).attended = true;
        if let Some(answers) = &self.answers {
            answers.turn();
        }
        let letters = {
            let mut inside = locked(&self.inside);
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

/// Where the outcome of one call goes. It does not hold the calls that wait, of which it may be a part.
pub(crate) struct Address {
    inside: Arc<Mutex<Inside>>,
    call: Py<PyAny>,
}

impl Address {
    pub fn new(mailbox: &Bound<'_, PyAny>, call: Bound<'_, PyAny>) -> PyResult<Address> {
        let mailbox = mailbox.cast::<Mailbox>()?;
        Ok(Address { inside: Arc::clone(&mailbox.get().inside), call: call.unbind() })
    }

    pub fn post(self, outcome: Outcome) {
        let mut inside = locked(&self.inside);
        inside.letters.push((self.call, outcome));
        if !inside.attended {
            inside.bell.ring();
        }
    }
}

/// The calls of one event loop that wait for their answers in it. The loop's thread alone comes here.
pub(crate) struct Answers(Arc<Mutex<AnswerPoll>>);

/// The same for what those calls hold themselves.
pub(crate) struct WeakAnswers(Weak<Mutex<AnswerPoll>>);

impl Answers {
    /// Of the mailbox in `settle`, if there is one, and its loop can wait for answers.
    pub fn of(settle: &Bound<'_, PyAny>) -> Option<Answers> {
        let mailbox = settle.cast::<PyTuple>().ok()?.get_item(0).ok()?;
        let answers = mailbox.cast::<Mailbox>().ok()?.get().answers.as_ref()?;
        Some(Answers(Arc::clone(&answers.0)))
    }

    pub fn downgrade(&self) -> WeakAnswers {
        WeakAnswers(Arc::downgrade(&self.0))
    }

    /// Starts an upload in one request, whose answer the loop waits for.
    pub fn start(
        &self,
        client: &Client,
        request: PutRequest,
        done: impl FnOnce(oss_callback::Result<CallbackReply>) + Send + 'static,
    ) {
        locked(&self.0).start(client, request, done);
    }

    /// Goes on with the calls whose answers have come, or that were cancelled.
    pub fn turn(&self) {
        match self.0.try_lock() {
            Ok(mut poll) => poll.turn(),
            Err(TryLockError::Poisoned(broken)) => broken.into_inner().turn(),
            // Somebody is there.
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

impl WeakAnswers {
    pub fn upgrade(&self) -> Option<Answers> {
        self.0.upgrade().map(Answers)
    }
}

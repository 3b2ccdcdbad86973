//! A call under way: waiting for it without the interpreter and open to Ctrl-C, ending it early, and
//! telling its outcome to an event loop.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oss_callback::Result;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::{bug, wrong_type};
use crate::gate::{self, Inside};
use crate::handles::Live;
use crate::mailbox::{Address, Answers, WeakAnswers};
use crate::usercode::UserCode;

/// Asks whether to stop.
pub(crate) type Interrupt<'a> = &'a mut dyn FnMut() -> bool;

/// Waits for a call on the caller's thread.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    user: &UserCode,
    call: impl FnOnce(Interrupt<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let mut signals = Signals::default();
    let (waited, _inside) = py.detach(|| {
        let waited = catch_unwind(AssertUnwindSafe(|| call(&mut || signals.interrupt())));
        (waited, Inside::enter_or_stay())
    });
    match (signals.raised, waited) {
        (Some(raised), _) => Err(raised),
        (None, Ok(outcome)) => user.outcome(py, outcome),
        (None, Err(panic)) => Err(bug(py, &*panic)),
    }
}

/// Looks for Ctrl-C while a call waits.
#[derive(Default)]
struct Signals {
    /// Python handles signals on its main thread alone. Others look once, and then do not wait for the
    /// interpreter again while they move data.
    elsewhere: bool,
    /// What a handler raised.
    raised: Option<PyErr>,
}

impl Signals {
    fn interrupt(&mut self) -> bool {
        if self.elsewhere {
            return false;
        }
        let looked = gate::attach(|py| {
            self.elsewhere = !is_main_thread(py)?;
            py.check_signals()
        });
        match looked {
            Some(Ok(())) => false,
            Some(Err(raised)) => {
                self.raised = Some(raised);
                true
            }
            // The interpreter is shutting down.
            None => true,
        }
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}

/// Ends calls from another thread: those that it was given to as `cancel`, now and later. They raise
/// CancelledError; an upload in parts first removes its parts, or with a `checkpoint` remembers them.
#[pyclass(frozen, module = "oss_callback")]
pub(crate) struct Cancel {
    inner: oss_callback::Cancel,
    _live: Live,
}

#[pymethods]
impl Cancel {
    #[new]
    fn new() -> Cancel {
        Cancel { inner: oss_callback::Cancel::new(), _live: Live::new() }
    }

    /// Ends the calls, at once and for good: use a new one for the next call.
    fn cancel(&self) {
        self.inner.cancel();
    }

    /// Whether cancel() was called.
    #[getter]
    fn cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }

    fn __repr__(&self) -> &'static str {
        if self.cancelled() { "<Cancel cancelled>" } else { "<Cancel>" }
    }
}

impl Cancel {
    /// The token of a call.
    pub fn given(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<oss_callback::Cancel>> {
        let Some(value) = value else { return Ok(None) };
        match value.cast::<Cancel>() {
            Ok(cancel) => Ok(Some(cancel.get().inner.clone())),
            Err(_) => Err(wrong_type("cancel", "oss_callback.Cancel", value, None)),
        }
    }
}

/// An upload that was started.
#[pyclass(frozen, module = "oss_callback._native")]
pub(crate) struct Call {
    cancel: oss_callback::Cancel,
    /// Weak, as what waits there holds who waits for this.
    answers: Option<WeakAnswers>,
    _live: Live,
}

#[pymethods]
impl Call {
    /// Ends the call, if it is still under way, with an error of kind `cancelled`.
    fn cancel(&self) {
        self.cancel.cancel();
        if let Some(answers) = self.answers.as_ref().and_then(WeakAnswers::upgrade) {
            answers.turn();
        }
    }
}

impl Call {
    pub fn new(cancel: oss_callback::Cancel, answers: Option<&Answers>) -> Call {
        Call { cancel, answers: answers.map(Answers::downgrade), _live: Live::new() }
    }
}

/// Tells Python exactly once what a call came to: a call that is lost, because its code panicked, is told
/// as a bug and leaves nobody waiting.
pub(crate) struct Settle {
    way: Option<Way>,
    user: UserCode,
}

enum Way {
    /// `settle(value, error)`, called at once, for which a thread of the library's waits for the
    /// interpreter.
    Function(Py<PyAny>),
    /// To be fetched by an event loop, for which nobody waits.
    Mailbox(Address),
}

impl Settle {
    /// From a function, or from a Mailbox and what stands for the call in it.
    pub fn new(settle: &Bound<'_, PyAny>, user: UserCode) -> PyResult<Settle> {
        let way = match settle.cast::<PyTuple>() {
            Ok(pair) => Way::Mailbox(Address::new(&pair.get_item(0)?, pair.get_item(1)?)?),
            Err(_) => Way::Function(settle.clone().unbind()),
        };
        Ok(Settle { way: Some(way), user })
    }

    pub fn with<T, P>(mut self, outcome: Result<T>, python: impl FnOnce(Python<'_>, T) -> P + Send + 'static)
    where
        T: Send + 'static,
        P: for<'py> IntoPyObject<'py>,
    {
        let user = self.user.clone();
        self.tell(move |py| python(py, user.outcome(py, outcome)?).into_py_any(py));
    }

    fn tell(&mut self, outcome: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static) {
        match self.way.take() {
            None => {}
            Some(Way::Mailbox(address)) => address.post(Box::new(outcome)),
            Some(Way::Function(settle)) => {
                // Where the interpreter is gone, so is whoever waited.
                gate::attach(|py| {
                    let told = match outcome(py) {
                        Ok(value) => settle.call1(py, (value, py.None())),
                        Err(error) => settle.call1(py, (py.None(), error)),
                    };
                    if let Err(error) = told {
                        error.write_unraisable(py, Some(settle.bind(py)));
                    }
                    drop(settle);
                });
            }
        }
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        self.tell(|py| Err(bug(py, &"the call was lost")));
    }
}

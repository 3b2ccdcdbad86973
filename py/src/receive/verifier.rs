//! The verifier, and how it calls the user's functions back.
//!
//! The core is given functions that find Python's in the call under way, so that the object alone owns
//! them, and the garbage collector sees them. The core calls them on the thread that verifies.

use std::cell::RefCell;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use bytes::Bytes;
use oss_callback::Result;
use oss_callback::receive::{CallbackVerifier, CallbackVerifierBuilder};
use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::event::CallbackEvent;
use crate::errors::{bug, raised, wrong_type};
use crate::handles::Live;
use crate::{callback, convert, gate, options};

/// What a CallbackVerifier is made of.
#[pyclass(frozen, module = "oss_callback._native.receive")]
pub(crate) struct Verifier {
    inner: CallbackVerifier,
    fetch_key: Option<Py<PyAny>>,
    first_use: Option<Py<PyAny>>,
    _live: Live,
}

#[pymethods]
impl Verifier {
    #[new]
    fn new(
        py: Python<'_>,
        options: Bound<'_, PyDict>,
        callback: Option<Bound<'_, PyAny>>,
        fetch_key: Option<Bound<'_, PyAny>>,
        first_use: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Verifier> {
        let mut builder = CallbackVerifierBuilder::default();
        options::apply(&options, CallbackVerifierBuilder::OPTIONS, |name, value| builder.set(name, value))?;
        if let Some(given) = callback {
            builder = builder.callback(callback::given(&given)?);
        }
        if function("fetch_key", fetch_key.as_ref())? {
            builder = builder.fetch_key(fetched);
        }
        if function("first_use", first_use.as_ref())? {
            builder = builder.first_use(is_first);
        }
        let inner = builder.build().map_err(|error| raised(py, &error))?;
        let (fetch_key, first_use) = (fetch_key.map(Bound::unbind), first_use.map(Bound::unbind));
        Ok(Verifier { inner, fetch_key, first_use, _live: Live::new() })
    }

    /// Verifies a callback request and tells what it says.
    fn verify(
        &self,
        py: Python<'_>,
        method: Bound<'_, PyAny>,
        target: Bound<'_, PyAny>,
        headers: Bound<'_, PyAny>,
        body: Bound<'_, PyAny>,
        now: Option<Bound<'_, PyAny>>,
    ) -> PyResult<CallbackEvent> {
        let now = convert::moment("now", now.as_ref())?;
        let request = Request::read(&method, &target, &headers, &body)?;
        let event = self.call(py, |verifier| {
            let Request { method, target, headers, body } = &request;
            verifier.verify_at(method, target, headers.iter().map(|(n, v)| (n, v)), body, now)
        })?;
        Ok(CallbackEvent::new(event))
    }

    /// Only the signature, not the body or the seal.
    fn verify_signature(
        &self,
        py: Python<'_>,
        method: Bound<'_, PyAny>,
        target: Bound<'_, PyAny>,
        headers: Bound<'_, PyAny>,
        body: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let request = Request::read(&method, &target, &headers, &body)?;
        self.call(py, |verifier| {
            let Request { method, target, headers, body } = &request;
            verifier.verify_signature(method, target, headers.iter().map(|(n, v)| (n, v)), body)
        })
    }

    /// Largest body in bytes.
    #[getter]
    fn max_body(&self) -> usize {
        self.inner.max_body()
    }

    /// Longest time for a body to arrive, in seconds.
    #[getter]
    fn body_timeout(&self) -> f64 {
        self.inner.body_timeout().as_secs_f64()
    }

    fn __repr__(&self) -> String {
        let shown = format!("{:?}", self.inner);
        format!("<{}>", shown.replacen(" {", "", 1).replace(", .. }", ""))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        visit.call(&self.fetch_key)?;
        visit.call(&self.first_use)
    }
}

impl Verifier {
    /// Runs `verify` without the interpreter, and tells what a function of the user's raised.
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        verify: impl FnOnce(&CallbackVerifier) -> Result<T> + Send,
    ) -> PyResult<T> {
        let clone = |function: &Option<Py<PyAny>>| function.as_ref().map(|function| function.clone_ref(py));
        let call =
            Call { fetch_key: clone(&self.fetch_key), first_use: clone(&self.first_use), raised: None };
        // A function of the user's may verify, too.
        let outer = CALL.replace(Some(call));
        let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(|| verify(&self.inner))));
        let raised_within = CALL.replace(outer).and_then(|call| call.raised);
        let outcome = outcome.map_err(|panic| bug(py, &*panic))?;
        match (raised_within, outcome) {
            (None, outcome) => outcome.map_err(|error| raised(py, &error)),
            (Some(Raised::FetchKey(cause)), Err(error)) if cause.is_instance_of::<PyException>(py) => {
                let error = raised(py, &error);
                error.set_cause(py, Some(cause));
                Err(error)
            }
            // Whether it is the first use is not known; and what is no `Exception` wants to end more.
            (Some(Raised::FetchKey(raised) | Raised::FirstUse(raised)), _) => Err(raised),
        }
    }
}

/// A verification under way: the user's functions, and what one of them raised.
struct Call {
    fetch_key: Option<Py<PyAny>>,
    first_use: Option<Py<PyAny>>,
    raised: Option<Raised>,
}

enum Raised {
    FetchKey(PyErr),
    FirstUse(PyErr),
}

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// The user's function of the call under way.
fn of_call(py: Python<'_>, which: fn(&Call) -> &Option<Py<PyAny>>) -> Option<Py<PyAny>> {
    CALL.with_borrow(|call| which(call.as_ref()?).as_ref().map(|function| function.clone_ref(py)))
}

fn keep(raised: Raised) {
    CALL.with_borrow_mut(|call| {
        if let Some(call) = call {
            call.raised = Some(raised);
        }
    });
}

fn fetched(url: &str) -> std::result::Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let asked = gate::attach(|py| {
        let ask = || -> PyResult<Vec<u8>> {
            let Some(function) = of_call(py, |call| &call.fetch_key) else { return Ok(Vec::new()) };
            let pem = function.bind(py).call1((url,))?;
            if let Ok(text) = pem.cast::<pyo3::types::PyString>() {
                return Ok(text.to_str()?.as_bytes().to_vec());
            }
            let wrong = || wrong_type("fetch_key", "a function that returns bytes or str", &pem, None);
            Ok(convert::bytes_like(&pem)?.ok_or_else(wrong)?.to_vec())
        };
        ask().map_err(|error| {
            let told = error.to_string();
            keep(Raised::FetchKey(error));
            told
        })
    });
    Ok(asked.ok_or("the interpreter is shutting down")??)
}

fn is_first(nonce: &str, expires_at: SystemTime) -> bool {
    let asked = gate::attach(|py| {
        let ask = || {
            let Some(function) = of_call(py, |call| &call.first_use) else { return Ok(false) };
            let answer = function.bind(py).call1((nonce, expires_at))?;
            answer.extract::<bool>().map_err(|_| {
                let hint = "Return True the first time, and False from then on.";
                wrong_type("first_use", "a function that returns bool", &answer, Some(hint))
            })
        };
        ask().unwrap_or_else(|error| {
            keep(Raised::FirstUse(error));
            false
        })
    });
    asked.unwrap_or(false)
}

/// Whether there is one.
fn function(field: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    match value {
        Some(value) if !value.is_callable() => Err(wrong_type(field, "a function", value, None)),
        value => Ok(value.is_some()),
    }
}

/// A request as it was handed over.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

impl Request {
    fn read(
        method: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        body: &Bound<'_, PyAny>,
    ) -> PyResult<Request> {
        Ok(Request {
            method: convert::foreign_text("method", method)?,
            target: convert::foreign_text("target", target)?,
            headers: convert::headers("headers", headers)?,
            body: convert::bytes("body", body)?,
        })
    }
}

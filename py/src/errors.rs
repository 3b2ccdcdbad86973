//! From errors to exceptions. The classes are Python (`_errors.py`): they pickle, have attributes, and
//! derive from builtins as well, none of which a native exception could.

use std::any::Any;
use std::error::Error as _;

use oss_callback::{ERROR_FACTS, Error, FactValue};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFunction};

/// `_errors.make`, which is looked up once.
fn make(py: Python<'_>) -> PyResult<&Bound<'_, PyFunction>> {
    static MAKE: PyOnceLock<Py<PyFunction>> = PyOnceLock::new();
    MAKE.import(py, "oss_callback._errors", "make")
}

fn exception(py: Python<'_>, kind: &str, text: String, message: &str, facts: Bound<'_, PyDict>) -> PyErr {
    match make(py).and_then(|make| make.call1((kind, text, message, facts))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// The exception for an error of the core.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    raised_as(py, error, error.kind().name())
}

/// The same for an unknown keyword, which in Python is a `TypeError` too.
pub(crate) fn unknown_keyword(py: Python<'_>, error: &Error) -> PyErr {
    raised_as(py, error, ARGUMENT_TYPE)
}

/// Not a kind of the core's: `invalid_argument` that is a `TypeError` too.
const ARGUMENT_TYPE: &str = "argument_type";

fn raised_as(py: Python<'_>, error: &Error, kind: &str) -> PyErr {
    let facts = PyDict::new(py);
    for (name, _) in ERROR_FACTS {
        let set = match error.fact(name) {
            Some(FactValue::Text(text)) => facts.set_item(name, text),
            Some(FactValue::Integer(number)) => facts.set_item(name, number),
            Some(FactValue::Bool(value)) => facts.set_item(name, value),
            _ => Ok(()),
        };
        if let Err(error) = set {
            return error;
        }
    }
    if let Err(error) = facts.set_item("retryable", error.is_retryable()) {
        return error;
    }
    let raised = exception(py, kind, error.to_string(), error.message(), facts);
    if let Some(cause) = error.source() {
        raised.set_cause(py, Some(caused(py, cause)));
    }
    raised
}

/// What caused an error, and what caused that.
fn caused(py: Python<'_>, cause: &(dyn std::error::Error + 'static)) -> PyErr {
    if let Some(own) = cause.downcast_ref::<Error>() {
        return raised(py, own);
    }
    let number = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    let raised = match number {
        // Becomes FileNotFoundError and the like by its number.
        Some(number) => PyOSError::new_err((number, cause.to_string())),
        None => PyRuntimeError::new_err(cause.to_string()),
    };
    if let Some(deeper) = cause.source() {
        raised.set_cause(py, Some(caused(py, deeper)));
    }
    raised
}

/// An argument that is wrong before the core can see it.
pub(crate) fn invalid(py: Python<'_>, field: &str, message: &str, hint: Option<&str>) -> PyErr {
    misfit(py, "invalid_argument", field, message, hint)
}

/// An argument of a type that cannot be meant: `must be str, not int`.
pub(crate) fn wrong_type(field: &str, wanted: &str, value: &Bound<'_, PyAny>, hint: Option<&str>) -> PyErr {
    let found = value.get_type().name().map_or_else(|_| "this".to_owned(), |name| name.to_string());
    misfit(value.py(), ARGUMENT_TYPE, field, &format!("must be {wanted}, not {found}"), hint)
}

/// A value that must not leave the process. In Python that is a `TypeError`.
pub(crate) fn unpicklable(py: Python<'_>, field: &str, message: &str, hint: &str) -> PyErr {
    misfit(py, ARGUMENT_TYPE, field, message, Some(hint))
}

fn misfit(py: Python<'_>, kind: &str, field: &str, message: &str, hint: Option<&str>) -> PyErr {
    let facts = PyDict::new(py);
    let mut text = format!("{field}: {message}");
    if let Some(hint) = hint {
        text.push_str(". ");
        text.push_str(hint);
    }
    match facts.set_item("field", field).and_then(|()| facts.set_item("hint", hint)) {
        Ok(()) => exception(py, kind, text, message, facts),
        Err(error) => error,
    }
}

/// The object is stored, and the callback was made, but something else is wrong.
pub(crate) fn stored(py: Python<'_>, kind: &str, message: String, etag: Option<&str>) -> PyErr {
    let facts = PyDict::new(py);
    match facts.set_item("stored", true).and_then(|()| facts.set_item("etag", etag)) {
        Ok(()) => exception(py, kind, message.clone(), &message, facts),
        Err(error) => error,
    }
}

/// A panic, caught where it would else end a thread of the program.
pub(crate) fn bug(py: Python<'_>, panic: &(dyn Any + Send)) -> PyErr {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let message = format!("a defect in oss-callback, please report it: {said}");
    exception(py, "bug", message.clone(), &message, PyDict::new(py))
}

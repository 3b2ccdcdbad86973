//! The application server's side: verifying, understanding and answering a callback.

mod answer;
mod confirm;
mod event;
mod verifier;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

pub(crate) use answer::{Reply, failure, refusal, reply};
pub(crate) use confirm::Confirmation;
pub(crate) use event::{CallbackEvent, Field, ImageInfo, Seal, given};
pub(crate) use verifier::Verifier;

/// A value as `repr` shows it.
fn shown<'py>(py: Python<'py>, value: impl IntoPyObject<'py>) -> PyResult<String> {
    Ok(value.into_bound_py_any(py)?.repr()?.to_string())
}

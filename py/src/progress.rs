//! How far an upload is, told to a function of the user's.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::prelude::*;

use crate::errors::wrong_type;
use crate::gate;
use crate::usercode::Raised;

type Facts = (u64, Option<u64>, u32, Option<u32>);

/// How far an upload is.
///
/// It can also be made by hand, to test code that takes one.
#[pyclass(frozen, module = "oss_callback")]
pub(crate) struct Progress(Facts);

impl From<oss_callback::Progress> for Progress {
    fn from(told: oss_callback::Progress) -> Progress {
        Progress((told.bytes_done, told.bytes_total, told.parts_done, told.parts_total))
    }
}

#[pymethods]
impl Progress {
    #[new]
    #[pyo3(signature = (bytes_done=0, bytes_total=None, parts_done=0, parts_total=None))]
    fn new(bytes_done: u64, bytes_total: Option<u64>, parts_done: u32, parts_total: Option<u32>) -> Progress {
        Progress((bytes_done, bytes_total, parts_done, parts_total))
    }

    /// Bytes handed to the network, and bytes that were there from an earlier run. Never goes back, even
    /// when a part is sent again.
    #[getter]
    fn bytes_done(&self) -> u64 {
        self.0.0
    }

    /// Bytes of the whole, where that is known.
    #[getter]
    fn bytes_total(&self) -> Option<u64> {
        self.0.1
    }

    /// Parts that OSS has acknowledged; 0 for an upload in one request.
    #[getter]
    fn parts_done(&self) -> u32 {
        self.0.2
    }

    /// Parts of the whole, where that is known; None for an upload in one request.
    #[getter]
    fn parts_total(&self) -> Option<u32> {
        self.0.3
    }

    fn __repr__(&self) -> String {
        let or_none = |number: Option<u64>| number.map_or_else(|| "None".to_owned(), |n| n.to_string());
        let (bytes_done, bytes_total, parts_done, parts_total) = self.0;
        format!(
            "Progress(bytes_done={bytes_done}, bytes_total={}, parts_done={parts_done}, parts_total={})",
            or_none(bytes_total),
            or_none(parts_total.map(u64::from)),
        )
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Progress>().is_ok_and(|other| self.0 == other.get().0)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __getnewargs__(&self) -> Facts {
        self.0
    }
}

/// The function of a call.
pub(crate) fn function(value: Option<Bound<'_, PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    let Some(value) = value else { return Ok(None) };
    if !value.is_callable() {
        return Err(wrong_type("progress", "callable", &value, None));
    }
    let inspect = value.py().import("inspect")?;
    if inspect.call_method1("iscoroutinefunction", (&value,))?.is_truthy()? {
        let hint = "Nobody would await it: start a task in a plain function.";
        return Err(wrong_type("progress", "a function that is no coroutine", &value, Some(hint)));
    }
    Ok(Some(value.unbind()))
}

/// Tells the function, and says whether to go on: until it raises.
pub(crate) fn watch(
    function: Py<PyAny>,
    raised: Raised,
) -> impl Fn(oss_callback::Progress) -> bool + Send + Sync + 'static {
    move |progress| {
        if raised.is_set() {
            return false;
        }
        let told = gate::attach(|py| function.call1(py, (Progress::from(progress),)).map(drop));
        match told {
            Some(Err(error)) => {
                raised.keep(error);
                false
            }
            // Where the interpreter is gone, so is whoever wanted to know.
            Some(Ok(())) | None => true,
        }
    }
}

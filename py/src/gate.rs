//! Threads of the library's and the end of the interpreter. A thread that is in Python's hands while the
//! interpreter ends is torn down in the middle of its frames, Rust's among them, and takes the process with
//! it. So Python is entered through here; when the program ends, whoever is inside is waited for, and
//! nobody gets in any more.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use pyo3::prelude::*;

/// Who is inside runs for microseconds, unless it is the user's code, which may block for ever.
const PATIENCE: Duration = Duration::from_millis(500);

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicBool = AtomicBool::new(false);
/// The thread that ends the interpreter, which can enter to the last.
static CLOSER: OnceLock<ThreadId> = OnceLock::new();
static LEFT: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

/// Runs Python code on a thread that may be the library's own. `None` when the program ends.
pub(crate) fn attach<T>(work: impl for<'py> FnOnce(Python<'py>) -> T) -> Option<T> {
    let _inside = Inside::enter()?;
    Python::try_attach(work)
}

/// A stay inside.
pub(crate) struct Inside(());

impl Inside {
    fn enter() -> Option<Inside> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(());
        let refused = CLOSED.load(Ordering::SeqCst) && CLOSER.get() != Some(&std::thread::current().id());
        (!refused).then_some(inside)
    }

    /// For a thread of the program's that waited outside and is about to go back. When the program has
    /// ended meanwhile there is nothing to go back to.
    pub fn enter_or_stay() -> Inside {
        loop {
            match Inside::enter() {
                Some(inside) => return inside,
                None => std::thread::park(),
            }
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // A thread that forks while it is inside finds itself counted out in the child.
        let left = INSIDE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
        if left == Ok(1) && CLOSED.load(Ordering::SeqCst) {
            let _held = LEFT.0.lock().unwrap_or_else(PoisonError::into_inner);
            LEFT.1.notify_all();
        }
    }
}

/// Has the gate closed when the program ends.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    py.import("atexit")?.call_method1("register", (pyo3::wrap_pyfunction!(close, py)?,))?;
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let keywords = pyo3::types::PyDict::new(py);
        keywords.set_item("after_in_child", pyo3::wrap_pyfunction!(reset, py)?)?;
        os.call_method("register_at_fork", (), Some(&keywords))?;
    }
    Ok(())
}

#[pyfunction]
fn close(py: Python<'_>) {
    let _ = CLOSER.set(std::thread::current().id());
    CLOSED.store(true, Ordering::SeqCst);
    py.detach(|| {
        let held = LEFT.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = LEFT.1.wait_timeout_while(held, PATIENCE, |()| INSIDE.load(Ordering::SeqCst) > 0);
    });
}

/// The parent's other threads are not in the child.
#[pyfunction]
fn reset() {
    INSIDE.store(0, Ordering::SeqCst);
}

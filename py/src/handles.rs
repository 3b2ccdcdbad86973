//! How many objects of this module live, so that tests can show that none is leaked.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// One live object: counted while it exists.
pub(crate) struct Live(());

impl Live {
    pub fn new() -> Live {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Live(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many clients, callbacks, verifiers, replies and the like, running calls, and sources under way
/// exist.
#[pyfunction]
pub(crate) fn live_handles() -> usize {
    LIVE.load(Ordering::Relaxed)
}

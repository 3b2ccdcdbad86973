//! How many objects of this module live, so that tests can show that none is leaked.

use std::sync::atomic::{AtomicU32, Ordering};

use napi_derive::napi;

static LIVE: AtomicU32 = AtomicU32::new(0);

/// One live object: counted while it exists.
pub struct Live(());

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

/// How many clients, callbacks, signers, pipes and running calls exist in this process, all threads together.
#[napi(catch_unwind)]
pub fn live_handles() -> u32 {
    LIVE.load(Ordering::Relaxed)
}

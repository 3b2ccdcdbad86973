//! What the caller lends for a call: data that is sent from where it lies, and functions that are called
//! while the call runs. A call is over when nothing holds them any more, and not before.

use std::os::raw::c_void;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;

use crate::guard::Failure;

/// Held by whatever may still read what was lent. When the last one goes, the call is over.
pub(crate) type Hold = Arc<dyn Send + Sync>;

/// The lender's side of a blocking call. Dropping it waits until the last borrower has let go. The core
/// drops an engine that still holds data when a call ends, so what is waited for is a read function that
/// is still running.
#[derive(Debug)]
pub(crate) struct Loan(Arc<Returned>);

#[derive(Debug, Default)]
struct Returned {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Out,
    /// And the lender waits: who does not need not be woken, which is a system call.
    Missed,
    Back,
}

struct Borrowed(Arc<Returned>);

impl Loan {
    /// The lender's side, and the borrowers'. Whoever made the call gives the latter away before the
    /// former is dropped.
    pub fn new() -> (Loan, Hold) {
        let returned = Arc::new(Returned::default());
        (Loan(Arc::clone(&returned)), Arc::new(Borrowed(returned)))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *state, State::Back) == State::Missed {
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        while *state != State::Back {
            *state = State::Missed;
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Memory of the caller's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    ptr: *const u8,
    len: usize,
}

// SAFETY: the bytes are only read, while their owner leaves them as they are.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub fn new(data: *const c_void, len: usize) -> Result<Memory, Failure> {
        if data.is_null() && len > 0 {
            return Err(Failure::argument("data", format!("is NULL, but its length is {len}")));
        }
        if isize::try_from(len).is_err() {
            return Err(Failure::argument(
                "data",
                format!("is said to be {len} bytes long, which nothing in memory can be"),
            ));
        }
        Ok(Memory { ptr: data.cast(), len })
    }

    /// The bytes, without a copy; `keep` goes when nothing reads them any more.
    ///
    /// # Safety
    /// They stay unchanged until `keep` is dropped.
    pub unsafe fn lend<K: Send + 'static>(self, keep: K) -> Bytes {
        if self.len == 0 {
            return Bytes::new();
        }
        Bytes::from_owner(Lent { memory: self, _keep: keep })
    }
}

/// The owner behind every `Bytes` of the upload.
struct Lent<K> {
    memory: Memory,
    _keep: K,
}

impl<K> AsRef<[u8]> for Lent<K> {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `lend` was promised these bytes for as long as this value lives, and `new` has checked
        // pointer and length.
        unsafe { std::slice::from_raw_parts(self.memory.ptr, self.memory.len) }
    }
}

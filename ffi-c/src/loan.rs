//! Data that the caller lends for the length of a call: it is sent from where it lies, and nothing of
//! this library reads it once the call has returned.

use std::os::raw::c_void;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;
use oss_callback_core::Body;

use crate::guard::Failure;

/// The lender's side. Dropping it waits until the last borrower has let go; the core drops an engine
/// that still holds data when a call ends, so there is nothing to wait for in practice.
pub(crate) struct Loan(Option<Arc<Returned>>);

#[derive(Default)]
struct Returned {
    done: Mutex<bool>,
    changed: Condvar,
}

/// The borrower's side: the owner behind every `Bytes` of the upload.
struct Lent {
    ptr: *const u8,
    len: usize,
    returned: Arc<Returned>,
}

// SAFETY: the bytes are only read, by whichever thread holds the value, while the lender waits.
unsafe impl Send for Lent {}

impl Loan {
    /// # Safety
    /// `data` is NULL or points to `len` bytes that stay unchanged until the loan is dropped.
    pub unsafe fn of(data: *const c_void, len: usize) -> Result<(Loan, Body), Failure> {
        if len == 0 {
            return Ok((Loan(None), Body::default()));
        }
        if data.is_null() {
            return Err(Failure::argument("data", format!("is NULL, but its length is {len}")));
        }
        if isize::try_from(len).is_err() {
            return Err(Failure::argument(
                "data",
                format!("is said to be {len} bytes long, which nothing in memory can be"),
            ));
        }
        let returned = Arc::new(Returned::default());
        let lent = Lent { ptr: data.cast(), len, returned: Arc::clone(&returned) };
        Ok((Loan(Some(returned)), Body::from(Bytes::from_owner(lent))))
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `Loan::of` was promised these bytes for as long as the loan lives, and it lives until
        // this value is dropped.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.returned.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.returned.changed.notify_all();
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(returned) = &self.0 else { return };
        let mut done = returned.done.lock().unwrap_or_else(PoisonError::into_inner);
        while !*done {
            done = returned.changed.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

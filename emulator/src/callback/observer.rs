//! What a watcher is told of each attempt to deliver a callback.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// One attempt: what was sent to one callback URL, and what came back.
///
/// The fields hold what was on the wire, the signature included; `Debug` leaves it out.
#[derive(Clone)]
pub struct CallbackAttempt {
    /// The callback URL, as it stands in `callbackUrl`.
    pub url: String,
    /// The id of the upload request that the callback belongs to.
    pub request_id: String,
    /// Bucket of the uploaded object.
    pub bucket: String,
    /// Key of the uploaded object.
    pub key: String,
    /// `POST … HTTP/1.1`, without the line end.
    pub request_line: String,
    /// Request headers, in the order in which they were sent.
    pub headers: Vec<(String, String)>,
    /// Request body.
    pub body: Bytes,
    /// Status of the answer, if a head came.
    pub status: Option<u16>,
    /// Headers of the answer, in the order in which they came.
    pub answer_headers: Vec<(String, String)>,
    /// Body of the answer, as far as it was read; at most 64 KiB of it where the attempt failed.
    pub answer_body: Bytes,
    /// Why the attempt counts as failed: OSS's EC and message. `None` is success.
    pub failure: Option<(String, String)>,
    /// From the start of resolving the host to the verdict.
    pub elapsed: Duration,
}

impl CallbackAttempt {
    /// Whether OSS takes this answer and tries no further URL.
    pub fn succeeded(&self) -> bool {
        self.failure.is_none()
    }

    /// The first request header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for CallbackAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackAttempt")
            .field("request_id", &self.request_id)
            .field("request_line", &self.request_line)
            .field("status", &self.status)
            .field("failure", &self.failure)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

/// A function that is told of every attempt, after it ended and before the uploader is answered. It runs
/// on the emulator's threads: it must not block, and what it panics with ends the upload's connection.
#[derive(Clone)]
pub struct CallbackObserver(Arc<dyn Fn(&CallbackAttempt) + Send + Sync>);

impl CallbackObserver {
    /// Calls `tell` for every attempt.
    pub fn new(tell: impl Fn(&CallbackAttempt) + Send + Sync + 'static) -> CallbackObserver {
        CallbackObserver(Arc::new(tell))
    }

    pub(crate) fn tell(&self, attempt: &CallbackAttempt) {
        (self.0)(attempt);
    }
}

impl fmt::Debug for CallbackObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackObserver(…)")
    }
}

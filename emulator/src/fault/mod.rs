//! Faults to order: which requests the emulator meets badly, and how.

mod apply;
mod grammar;
mod rules;

use std::time::Duration;

use crate::callback::Failure;
use crate::operation::Operation;

pub use grammar::FaultError;
pub use rules::FaultState;
pub(crate) use rules::{Faults, Sighting};

/// A fault that the emulator commits on purpose: what goes wrong, and with which requests ([`Operation`]).
///
#[doc = include_str!("../../faults.md")]
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    action: FaultAction,
    operations: Vec<Operation>,
    bucket: Option<String>,
    key: Option<String>,
    nth: u64,
    /// Without end if none.
    times: Option<u64>,
}

/// What goes wrong; see [`Fault`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultAction {
    /// The connection is reset as soon as it is made.
    Refuse,
    /// The connection ends.
    Cut {
        /// When.
        at: Cut,
        /// By a reset, not in order.
        reset: bool,
    },
    /// No answer for so long, then the end of the connection.
    Stall {
        /// For how long.
        duration: Duration,
        /// Whether what was asked for is done.
        done: bool,
    },
    /// The answer comes so late.
    Delay(Duration),
    /// The answer comes in portions.
    Drip {
        /// Of this many bytes.
        bytes: usize,
        /// With this pause after each.
        pause: Duration,
    },
    /// OSS's error document.
    Error {
        /// HTTP status.
        status: u16,
        /// OSS's code.
        code: String,
        /// OSS's message.
        message: String,
        /// Whether what was asked for is done.
        done: bool,
    },
    /// A page of a gateway between the client and OSS.
    Gateway {
        /// HTTP status.
        status: u16,
        /// Whether what was asked for is done.
        done: bool,
    },
    /// 307 to this URL.
    Redirect(String),
    /// The answer's body ends after so many bytes, with more announced.
    Truncate(u64),
    /// The answer's body has so many bytes.
    Oversize(usize),
    /// The answer tells another CRC-64.
    WrongCrc,
    /// The answer tells another ETag.
    WrongETag,
    /// 203 `CallbackFailed`; no effect on a request without a callback.
    Callback(CallbackCause),
    /// For this request the emulator's clock is so many seconds ahead.
    Skew(i64),
}

/// When a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// After so many bytes of the request's data, with nothing done.
    Request(u64),
    /// After all of the request, with nothing done.
    WholeRequest,
    /// After so many bytes of the answer, its head included, with all done.
    Answer(u64),
}

/// Why OSS says that a callback failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackCause {
    /// Too many callbacks at once (EC 0007-00000201).
    TooMany,
    /// No answer in time (202).
    TooSlow,
    /// No connection in time (203).
    ConnectTimeout,
    /// No connection (203).
    Unreachable,
    /// No TLS with the application server (203).
    Tls,
    /// A status other than 200 (203).
    Status(u16),
    /// No Content-Length (204).
    LengthMissing,
    /// A Content-Length that is no number (204).
    LengthInvalid,
    /// A Content-Length over the limit (204).
    LengthTooLong,
    /// An answer that is no JSON (205).
    NotJson,
    /// Image information asked of what is no image (302).
    ImageInfo,
}

impl CallbackCause {
    pub(crate) fn failure(self) -> Failure {
        match self {
            CallbackCause::TooMany => Failure::TooMany,
            CallbackCause::TooSlow => Failure::TooSlow,
            CallbackCause::ConnectTimeout => Failure::ConnectTimeout {
                peer: "192.0.2.1:80".to_owned(),
                elapsed: Duration::from_millis(5001),
                limit: Duration::from_secs(5),
            },
            CallbackCause::Unreachable => Failure::Unreachable,
            CallbackCause::Tls => Failure::Tls,
            CallbackCause::Status(status) => Failure::Status(status),
            CallbackCause::LengthMissing => Failure::LengthMissing,
            CallbackCause::LengthInvalid => Failure::LengthInvalid,
            CallbackCause::LengthTooLong => Failure::LengthTooLong,
            CallbackCause::NotJson => Failure::NotJson,
            CallbackCause::ImageInfo => Failure::ImageInfo,
        }
    }
}

impl Fault {
    /// The fault for the next request, whichever it is.
    pub fn new(action: FaultAction) -> Fault {
        Fault { action, operations: Vec::new(), bucket: None, key: None, nth: 1, times: Some(1) }
    }

    /// Only with this operation; called again, with that one too.
    pub fn on(mut self, operation: Operation) -> Fault {
        self.operations.push(operation);
        self
    }

    /// Only in this bucket; `*` stands for anything.
    pub fn bucket(mut self, pattern: impl Into<String>) -> Fault {
        self.bucket = Some(pattern.into());
        self
    }

    /// Only with this key; `*` stands for anything.
    pub fn key(mut self, pattern: impl Into<String>) -> Fault {
        self.key = Some(pattern.into());
        self
    }

    /// From the nth matching request on, counted from 1.
    pub fn nth(mut self, nth: u64) -> Fault {
        self.nth = nth.max(1);
        self
    }

    /// With so many requests.
    pub fn times(mut self, times: u64) -> Fault {
        self.times = Some(times);
        self
    }

    /// With all requests from there on.
    pub fn always(mut self) -> Fault {
        self.times = None;
        self
    }

    /// What goes wrong.
    pub fn action(&self) -> &FaultAction {
        &self.action
    }

    /// Reads a script: faults separated by `;` or line ends.
    ///
    /// # Errors
    /// Which line is wrong, and why.
    pub fn parse_script(text: &str) -> Result<Vec<Fault>, FaultError> {
        grammar::script(text)
    }
}

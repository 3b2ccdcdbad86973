//! Uploads that are sent by the thread of an event loop, and wait for their answers in it.

use std::fmt;
use std::io;

use super::{CallbackReply, Client, PutRequest};
use crate::error::Result;

#[cfg(not(target_os = "linux"))]
use self::without::Inside;
#[cfg(target_os = "linux")]
use super::answers::Answers as Inside;

/// Uploads whose answers an event loop waits for itself, by one descriptor. They are sent by the loop's own
/// thread: two changes of thread less than with [`Client::start`], and the same otherwise.
///
/// What would hold up the loop is left to the library's threads: connecting, more data than the system takes at
/// once, trying again, and all that comes while some dozens are under way or more than thousands in a second.
///
/// Linux alone has it. After a fork it is the parent's.
pub struct AnswerPoll(Inside);

impl AnswerPoll {
    /// One for an event loop, and all its clients.
    ///
    /// # Errors
    /// If the system has no descriptors left; [`Unsupported`](io::ErrorKind::Unsupported) elsewhere than on
    /// Linux.
    pub fn new() -> io::Result<AnswerPoll> {
        Inside::new().map(AnswerPoll)
    }

    /// What the loop waits for: it calls [`turn`](AnswerPoll::turn) whenever this can be read from. It is the
    /// poll's: neither to be read from nor to be closed.
    pub fn descriptor(&self) -> i32 {
        self.0.descriptor()
    }

    /// Starts an upload. `done` is called once with its outcome: by this call, by a [`turn`](AnswerPoll::turn),
    /// or on a thread of the library's. It should be quick, and cannot use the poll.
    pub fn start(
        &mut self,
        client: &Client,
        request: PutRequest,
        done: impl FnOnce(Result<CallbackReply>) + Send + 'static,
    ) {
        self.0.start(client, request, done);
    }

    /// Goes on with the uploads whose answers have come, whose time is over, or that were cancelled. Does not
    /// block.
    pub fn turn(&mut self) {
        self.0.turn();
    }
}

#[cfg(target_os = "linux")]
impl std::os::fd::AsFd for AnswerPoll {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for AnswerPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerPoll").finish_non_exhaustive()
    }
}

#[cfg(not(target_os = "linux"))]
mod without {
    use super::*;

    pub enum Inside {}

    impl Inside {
        pub fn new() -> io::Result<Inside> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub fn descriptor(&self) -> i32 {
            match *self {}
        }

        pub fn start(&mut self, _: &Client, _: PutRequest, _: impl FnOnce(Result<CallbackReply>)) {
            match *self {}
        }

        pub fn turn(&mut self) {
            match *self {}
        }
    }
}

//! A pipe from JavaScript into an upload: JavaScript pushes what its stream gives, the core reads it.
//!
//! It holds at most [`CAPACITY`] bytes. JavaScript never waits: a push takes what there is room for, and
//! the pipe tells when there is room again. The reader waits, on the core's thread for reading.

use std::collections::VecDeque;
use std::io::{Error, Read, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{Either6, External, Uint8ArraySlice};
use napi_derive::napi;
use oss_callback::Body;

use crate::channel::{Channel, Listener};
use crate::handles::Live;
use crate::outcome::Failure;

/// Eight chunks of a file stream.
const CAPACITY: usize = 512 * 1024;

/// What is taken out at once: the lock is held while it is copied.
const GULP: usize = 64 * 1024;

/// JavaScript's end. When it is let go, whoever reads is told so.
pub struct NativePipe {
    shared: Arc<Shared>,
    reader: Mutex<Option<Reader>>,
    _live: Live,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    listener: Listener,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    end: Option<End>,
    /// A push found no room, and JavaScript wants to know when there is some.
    pushed_back: bool,
}

enum End {
    /// The stream has come to its end.
    Whole,
    /// It failed, and why.
    Failed(String),
    /// One of the two sides is gone.
    Closed,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first end is the one that counts.
    fn end(&self, end: End) {
        let mut state = self.lock();
        if matches!(end, End::Closed) {
            state.bytes = VecDeque::new();
            state.end = Some(End::Closed);
        } else {
            state.end.get_or_insert(end);
        }
        drop(state);
        self.changed.notify_one();
    }
}

/// The core's end.
pub struct Reader(Arc<Shared>);

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut state = self.0.lock();
        while state.bytes.is_empty() {
            match &state.end {
                None => state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(End::Whole) => return Ok(0),
                Some(End::Failed(message)) => return Err(Error::other(message.clone())),
                Some(End::Closed) => return Err(Error::other("nobody writes to it any more")),
            }
        }
        let gulp = buffer.len().min(GULP);
        let taken = state.bytes.read(&mut buffer[..gulp])?;
        let has_room = state.pushed_back && state.bytes.len() <= CAPACITY / 2;
        state.pushed_back &= !has_room;
        drop(state);
        if has_room {
            self.0.listener.tell(Either6::E(()));
        }
        Ok(taken)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.end(End::Closed);
    }
}

impl Drop for NativePipe {
    fn drop(&mut self) {
        self.shared.end(End::Closed);
    }
}

impl NativePipe {
    /// What is to be uploaded. Can be had once.
    pub fn body(&self, length: Option<u64>) -> std::result::Result<Body, Failure> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reader = reader.ok_or_else(|| Failure::bug("a pipe was read twice"))?;
        Ok(Body::reader(reader, length))
    }
}

/// Makes a pipe. `number` is told whenever there is room after a push found too little.
#[napi(catch_unwind)]
pub fn pipe_new(channel: &External<Channel>, number: f64) -> External<NativePipe> {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        changed: Condvar::new(),
        listener: channel.listener(number),
    });
    let reader = Mutex::new(Some(Reader(Arc::clone(&shared))));
    External::new(NativePipe { shared, reader, _live: Live::new() })
}

/// Takes over as many of the bytes as there is room for, and tells how many. Below zero: nobody reads any
/// more.
#[napi(catch_unwind)]
pub fn pipe_push(pipe: &External<NativePipe>, chunk: Uint8ArraySlice<'_>) -> f64 {
    let mut state = pipe.shared.lock();
    if state.end.is_some() {
        return -1.0;
    }
    let taken = chunk.len().min(CAPACITY.saturating_sub(state.bytes.len()));
    state.bytes.extend(&chunk[..taken]);
    state.pushed_back = taken < chunk.len();
    drop(state);
    pipe.shared.changed.notify_one();
    taken as f64
}

/// Says that the stream has come to its end.
#[napi(catch_unwind)]
pub fn pipe_end(pipe: &External<NativePipe>) {
    pipe.shared.end(End::Whole);
}

/// Says that the stream has failed, and why.
#[napi(catch_unwind)]
pub fn pipe_fail(pipe: &External<NativePipe>, message: String) {
    pipe.shared.end(End::Failed(message));
}

/// Says that nothing is pushed any more, because the upload has ended.
#[napi(catch_unwind)]
pub fn pipe_close(pipe: &External<NativePipe>) {
    pipe.shared.end(End::Closed);
}

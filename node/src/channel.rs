//! The way back to one event loop: outcomes, progress, and what the library asks of JavaScript.
//!
//! All of it goes through one thread-safe function for each event loop, in order; a number says whom in
//! JavaScript it is for.

use std::sync::Arc;

use napi::Status;
use napi::bindgen_prelude::{Either5, External, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::outcome::Told;
use crate::provider::Question;
use crate::reply::{ProgressFacts, Reply};

/// What JavaScript is told: how a call has ended (a reply or a failure), how far one is, that credentials
/// are wanted, or that a pipe has room again.
pub type Event = Either5<Reply, Told, ProgressFacts, External<Question>, ()>;

type Arguments = FnArgs<(f64, Event)>;
type Tell = ThreadsafeFunction<Arguments, (), Arguments, Status, false, true>;

/// The way back to one event loop, for all that was started there. One for each call would cost more than
/// the rest of the call does in this module.
pub struct Channel(Arc<Tell>);

/// Makes a channel: `tell(number, event)` is called for each event. It does not keep the event loop alive.
#[napi(catch_unwind)]
pub fn channel_new(tell: Function<'_, Arguments, ()>) -> napi::Result<External<Channel>> {
    let tell = tell.build_threadsafe_function::<Arguments>().weak::<true>().build()?;
    Ok(External::new(Channel(Arc::new(tell))))
}

impl Channel {
    /// Whoever has this number in JavaScript.
    pub fn listener(&self, number: f64) -> Listener {
        Listener { tell: Arc::clone(&self.0), number }
    }
}

/// Somebody in JavaScript who can be told something, from any thread.
#[derive(Clone)]
pub struct Listener {
    tell: Arc<Tell>,
    number: f64,
}

impl Listener {
    /// Never waits. Where the event loop is gone, so is the listener.
    pub fn tell(&self, event: Event) {
        let _ = self.tell.call((self.number, event).into(), ThreadsafeFunctionCallMode::NonBlocking);
    }
}

//! The way back to one event loop: outcomes, progress, and what the library asks of JavaScript.
//!
//! All of it goes through one thread-safe function for each event loop, in order; a number says whom in
//! JavaScript it is for.

use std::sync::Arc;

use napi::Status;
use napi::bindgen_prelude::{Either6, External, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use oss_callback::Result;

use crate::confirm::Confirmed;
use crate::handles::Live;
use crate::outcome::{Failure, Told};
use crate::provider::Question;
use crate::reply::{ProgressFacts, Reply};

/// What JavaScript is told: how a call has ended (a reply, a failure, nothing to add, or what OSS confirms),
/// how far one is, that credentials are wanted, or that a pipe has room again.
pub type Event = Either6<Reply, Told, ProgressFacts, External<Question>, (), Confirmed>;

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

/// A call under way. Its outcome is told exactly once: a call that is lost, because its code panicked, is
/// told as a bug and leaves nobody waiting.
pub struct Call(Option<(Listener, Live)>);

impl Call {
    pub fn new(listener: Listener) -> Call {
        Call(Some((listener, Live::new())))
    }

    pub fn ends(mut self, outcome: Result<Event>) {
        self.tell(outcome.unwrap_or_else(|error| Either6::B(Failure::from(error).told())));
    }

    fn tell(&mut self, event: Event) {
        if let Some((listener, live)) = self.0.take() {
            drop(live);
            listener.tell(event);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.tell(Either6::B(Failure::bug("the call was lost").told()));
        }
    }
}

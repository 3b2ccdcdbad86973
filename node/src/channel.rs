//! The way back to one event loop: outcomes, progress, and what the library asks of JavaScript.
//!
//! What comes from other threads goes through one thread-safe function for each event loop, in order; what its
//! own thread finds in a turn is fetched at the end of that. A number says whom in JavaScript it is for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use napi::bindgen_prelude::{Either6, External, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use oss_callback::{AnswerPoll, CallbackReply, Client, PutRequest, Result};

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
pub struct Channel {
    way: Arc<Way>,
    /// None where the event loop cannot wait for answers itself.
    answers: Arc<Mutex<Option<AnswerPoll>>>,
}

struct Way {
    tell: Tell,
    turn: Mutex<Turn>,
}

/// What the event loop's own thread is told while it takes a turn.
#[derive(Default)]
struct Turn {
    thread: Option<ThreadId>,
    events: Vec<Letter>,
}

/// An event, and whom it is for.
#[napi(object, object_from_js = false)]
pub struct Letter {
    pub number: f64,
    pub event: Event,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a channel: `tell(number, event)` is called for each event. It does not keep the event loop alive.
#[napi(catch_unwind)]
pub fn channel_new(tell: Function<'_, Arguments, ()>) -> napi::Result<External<Channel>> {
    let tell = tell.build_threadsafe_function::<Arguments>().weak::<true>().build()?;
    Ok(External::new(Channel {
        way: Arc::new(Way { tell, turn: Mutex::default() }),
        answers: Arc::default(),
    }))
}

/// Has the event loop wait for answers itself, where it can: `turn` is called whenever [`channel_turn`] has
/// something to do. False where it cannot, and nothing else changes.
#[napi(catch_unwind)]
pub fn channel_watch(env: Env, channel: &External<Channel>, turn: Function<'_, (), ()>) -> bool {
    #[cfg(target_os = "linux")]
    if let Ok(poll) = AnswerPoll::new() {
        let descriptor = poll.descriptor();
        let answers = Arc::clone(&channel.answers);
        *locked(&answers) = Some(poll);
        if crate::uv::watch(&env, descriptor, Box::new(answers), &turn) {
            return true;
        }
        *locked(&channel.answers) = None;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (env, channel, turn);
    false
}

/// Goes on with the calls whose answers have come, and says how they ended.
#[napi(catch_unwind)]
pub fn channel_turn(channel: &External<Channel>) -> Vec<Letter> {
    locked(&channel.way.turn).thread = Some(std::thread::current().id());
    if let Some(answers) = &mut *locked(&channel.answers) {
        answers.turn();
    }
    std::mem::take(&mut *locked(&channel.way.turn)).events
}

impl Channel {
    /// Whoever has this number in JavaScript.
    pub fn listener(&self, number: f64) -> Listener {
        Listener { way: Arc::clone(&self.way), number }
    }

    /// Starts an upload in one request.
    pub fn start(
        &self,
        client: &Client,
        request: PutRequest,
        done: impl FnOnce(Result<CallbackReply>) + Send + 'static,
    ) {
        match &mut *locked(&self.answers) {
            Some(answers) => answers.start(client, request, done),
            None => client.start(request, done),
        }
    }
}

/// Somebody in JavaScript who can be told something, from any thread.
#[derive(Clone)]
pub struct Listener {
    way: Arc<Way>,
    number: f64,
}

impl Listener {
    /// Never waits. Where the event loop is gone, so is the listener.
    pub fn tell(&self, event: Event) {
        let mut turn = locked(&self.way.turn);
        if turn.thread == Some(std::thread::current().id()) {
            return turn.events.push(Letter { number: self.number, event });
        }
        drop(turn);
        let _ = self.way.tell.call((self.number, event).into(), ThreadsafeFunctionCallMode::NonBlocking);
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

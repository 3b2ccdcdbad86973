//! Standard error. A command that serves must not wait for whoever reads it, or ceases to: its lines are
//! queued and written by a thread of its own, and when there are too many, some are left out and counted.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::failure::Failure;

/// Lines that may wait: what a busy second writes, and a few MB.
const ROOM: usize = 8192;
/// How long the end of the command waits for lines to be written.
const PATIENCE: Duration = Duration::from_secs(2);

static QUEUE: Queue = Queue::new();

/// Writes one line (or several) to standard error.
pub fn tell(text: impl Display) {
    QUEUE.tell(text.to_string(), write);
}

/// From now on lines are queued, until the value is dropped.
pub fn queue() -> Result<Queued, Failure> {
    let writer = std::thread::Builder::new().name("standard error".to_owned());
    writer
        .spawn(|| QUEUE.write_all(write))
        .map_err(|error| Failure::other(format!("cannot write the log: {error}")))?;
    QUEUE.open();
    Ok(Queued)
}

/// Lines are queued while it lives.
#[derive(Debug)]
pub struct Queued;

impl Drop for Queued {
    fn drop(&mut self) {
        QUEUE.close(PATIENCE);
    }
}

fn write(line: &str) {
    // Nobody is left to hear of a failure here.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    lines: VecDeque<String>,
    /// Lines left out behind those that wait.
    left_out: u64,
    /// Whether the writer has taken lines that are not written yet.
    is_writing: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Who has something to tell writes it.
    Direct,
    Queued,
    /// The writer is stuck, and so would be everybody else who wrote.
    Silent,
}

impl Queue {
    const fn new() -> Queue {
        let state = State { mode: Mode::Direct, lines: VecDeque::new(), left_out: 0, is_writing: false };
        Queue { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) {
        self.state().mode = Mode::Queued;
    }

    fn tell(&self, line: String, write: fn(&str)) {
        let mut state = self.state();
        match state.mode {
            Mode::Direct => {
                drop(state);
                write(&line);
            }
            Mode::Queued if state.lines.len() < ROOM => {
                state.own_up();
                state.lines.push_back(line);
                drop(state);
                self.changed.notify_all();
            }
            Mode::Queued => state.left_out += 1,
            Mode::Silent => {}
        }
    }

    /// The writer's work; it has no end but the process's.
    fn write_all(&self, mut write: impl FnMut(&str)) {
        let mut state = self.state();
        loop {
            state.is_writing = false;
            self.changed.notify_all();
            state = self
                .changed
                .wait_while(state, |state| state.lines.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            let lines = std::mem::take(&mut state.lines);
            state.is_writing = true;
            drop(state);
            lines.iter().for_each(|line| write(line));
            state = self.state();
        }
    }

    /// Waits so long for what is queued to be written; then lines are written directly again, or not at all
    /// if the writer is stuck.
    fn close(&self, patience: Duration) {
        let mut state = self.state();
        state.own_up();
        self.changed.notify_all();
        let waits = |state: &mut State| state.is_writing || !state.lines.is_empty();
        let (mut state, waited) =
            self.changed.wait_timeout_while(state, patience, waits).unwrap_or_else(PoisonError::into_inner);
        state.mode = if waited.timed_out() { Mode::Silent } else { Mode::Direct };
    }
}

impl State {
    /// Says where lines are missing.
    fn own_up(&mut self) {
        match std::mem::take(&mut self.left_out) {
            0 => {}
            count => self.lines.push_back(format!("({count} left out here: standard error was full)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{self, Receiver};

    use super::*;

    fn never(line: &str) {
        panic!("`{line}` was not queued");
    }

    /// A queue whose writer needs a call of the function for each line.
    fn queue() -> (Arc<Queue>, impl Fn(), Receiver<String>) {
        let queue = Arc::new(Queue::new());
        queue.open();
        let ((allow, allowed), (written, lines)) = (mpsc::channel(), mpsc::channel());
        let writer = Arc::clone(&queue);
        std::thread::spawn(move || {
            writer.write_all(|line| {
                // The test has ended.
                let Ok(()) = allowed.recv() else {
                    loop {
                        std::thread::park()
                    }
                };
                let _ = written.send(line.to_owned());
            });
        });
        (queue, move || allow.send(()).unwrap(), lines)
    }

    #[test]
    fn all_lines_are_written_in_order_before_the_end() {
        let (queue, allow, lines) = queue();
        for number in 0..2 * ROOM {
            allow();
            queue.tell(number.to_string(), never);
            // As slow as a writer that keeps up.
            assert_eq!(lines.recv().unwrap(), number.to_string());
        }
        (0..ROOM).for_each(|_| allow());
        (0..ROOM).for_each(|number| queue.tell(number.to_string(), never));
        queue.close(Duration::from_secs(60));
        let written: Vec<String> = lines.try_iter().collect();
        assert_eq!(written, (0..ROOM).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn lines_above_the_room_are_left_out_where_they_are_counted() {
        let (queue, allow, lines) = queue();
        queue.tell("first".to_owned(), never);
        while !queue.state().is_writing {
            std::thread::yield_now();
        }
        (0..ROOM + 7).for_each(|number| queue.tell(number.to_string(), never));
        (0..ROOM + 3).for_each(|_| allow());
        let mut written: Vec<String> = (0..=ROOM).map(|_| lines.recv().unwrap()).collect();
        queue.tell("last".to_owned(), never);
        queue.close(Duration::from_secs(60));
        written.extend(lines.try_iter());
        assert_eq!(written[ROOM], (ROOM - 1).to_string());
        assert_eq!(written[ROOM + 1..], ["(7 left out here: standard error was full)", "last"]);
    }

    #[test]
    fn the_end_does_not_wait_for_a_writer_that_is_stuck() {
        let (queue, _allow, _lines) = queue();
        queue.tell("stuck".to_owned(), never);
        queue.close(Duration::from_millis(20));
        queue.tell("would be stuck as well".to_owned(), never);
    }
}

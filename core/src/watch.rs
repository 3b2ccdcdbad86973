//! Sockets, a time, and a bell, all to be waited for by one descriptor.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// What is looked at in one turn; the rest in the next.
const EVENTS_MAX: usize = 64;

/// What the timer's and the bell's events say in place of a socket's number.
const TIMER: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;

const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// See above.
pub(crate) struct Watch {
    epoll: OwnedFd,
    timer: OwnedFd,
    bell: Arc<Bell>,
    /// When the timer goes off.
    set: Option<Instant>,
}

/// What has come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Sockets that can be read from, by their numbers. Some of them may have been seen before.
    pub sockets: Vec<usize>,
    /// The time that was set, or the bell.
    pub called: bool,
}

struct Bell(OwnedFd);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Refused only if it has rung 2^64 times.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl Watch {
    pub fn new() -> io::Result<Watch> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN)?;
        Ok(Watch { epoll, timer, bell: Arc::new(Bell(bell)), set: None })
    }

    /// Can be read from while there is something to be [`seen`](Watch::seen).
    pub fn descriptor(&self) -> i32 {
        self.epoll.as_raw_fd()
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Rings the bell, from any thread.
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    /// Watches a socket from now on, until it closes, and tells of each time that bytes come, by `number`. It
    /// may have been watched by another number before.
    pub fn watch(&self, socket: BorrowedFd<'_>, number: usize) -> io::Result<()> {
        let data = EventData::new_u64(number as u64);
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        let watched = match epoll::modify(&self.epoll, socket, data, flags) {
            Err(Errno::NOENT) => epoll::add(&self.epoll, socket, data, flags),
            modified => modified,
        };
        Ok(watched?)
    }

    /// Has the timer go off at this moment, or before.
    pub fn call_by(&mut self, due: Instant) -> io::Result<()> {
        if self.set.is_some_and(|set| set <= due) {
            return Ok(());
        }
        // None at all would switch it off.
        let left = due.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let it_value = Timespec::try_from(left).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: NO_TIME, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.set = Some(due);
        Ok(())
    }

    /// What has come since. If that was a call, the timer is no longer set.
    pub fn seen(&mut self) -> io::Result<Seen> {
        let mut room = [MaybeUninit::uninit(); EVENTS_MAX];
        let (events, _) = epoll::wait(&self.epoll, &mut room, Some(&NO_TIME))?;
        let mut seen = Seen::default();
        for event in events {
            let caller = match event.data.u64() {
                TIMER => &self.timer,
                BELL => &self.bell.0,
                number => {
                    seen.sockets.push(number as usize);
                    continue;
                }
            };
            // What it says is how often.
            let _ = rustix::io::read(caller, &mut [0_u8; 8]);
            seen.called = true;
        }
        if seen.called {
            self.set = None;
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn is_readable(watch: &Watch) -> bool {
        let mut waited = [rustix::event::PollFd::new(&watch.epoll, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut waited, Some(&NO_TIME)).unwrap() == 1
    }

    #[test]
    fn a_socket_is_told_of_once_for_each_time_that_bytes_come() {
        let mut watch = Watch::new().unwrap();
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        watch.watch(ours.as_fd(), 3).unwrap();
        assert!(!is_readable(&watch));
        for number in [3, 5] {
            watch.watch(ours.as_fd(), number).unwrap();
            watch.seen().unwrap();
            theirs.write_all(b"x").unwrap();
            assert!(is_readable(&watch));
            assert_eq!(watch.seen().unwrap(), Seen { sockets: vec![number], called: false });
            assert!(!is_readable(&watch));
        }
        drop(ours);
        theirs.write_all(b"x").unwrap_err();
        assert!(!is_readable(&watch), "closed");
    }

    #[test]
    fn the_earliest_time_and_the_bell_call_once() {
        let mut watch = Watch::new().unwrap();
        let start = Instant::now();
        watch.call_by(start + Duration::from_secs(60)).unwrap();
        watch.call_by(start + Duration::from_millis(500)).unwrap();
        watch.call_by(start + Duration::from_secs(30)).unwrap();
        assert!(!is_readable(&watch));
        while !is_readable(&watch) {
            assert!(start.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(start.elapsed() >= Duration::from_millis(500));
        let called = Seen { sockets: Vec::new(), called: true };
        assert_eq!(watch.seen().unwrap(), called);
        assert!(!is_readable(&watch));
        watch.call_by(start).unwrap();
        while watch.seen().unwrap() != called {
            assert!(start.elapsed() < Duration::from_secs(10), "a time that is over");
        }
        watch.waker().wake();
        watch.waker().wake();
        assert!(is_readable(&watch));
        assert_eq!(watch.seen().unwrap(), called);
        assert_eq!(watch.seen().unwrap(), Seen::default());
    }
}

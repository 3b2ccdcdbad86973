//! The time that requests are signed with: this machine's, set right by OSS's where they differ.
//!
//! OSS refuses requests that are over 15 minutes off (`RequestTimeTooSkewed`); its answer carries its
//! own time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Shared by all calls of a client: one refusal sets all of them right.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// OSS's time minus this machine's, in seconds.
    ahead: AtomicI64,
}

impl Clock {
    /// The time now, as OSS sees it.
    pub fn now(&self) -> SystemTime {
        shifted(SystemTime::now(), self.ahead.load(Ordering::Relaxed))
    }

    /// Takes over the time of an answer's `Date` header. Returns whether it could be read.
    pub fn learn(&self, date: &str) -> bool {
        self.learn_at(date, SystemTime::now())
    }

    fn learn_at(&self, date: &str, now: SystemTime) -> bool {
        let Ok(theirs) = httpdate::parse_http_date(date) else { return false };
        let seconds = |from: SystemTime, to: SystemTime| {
            to.duration_since(from).ok().and_then(|gap| i64::try_from(gap.as_secs()).ok())
        };
        let ahead = seconds(now, theirs).or_else(|| seconds(theirs, now).map(|behind| -behind));
        self.ahead.store(ahead.unwrap_or(0), Ordering::Relaxed);
        ahead.is_some()
    }
}

fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let gap = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 { time.checked_sub(gap) } else { time.checked_add(gap) };
    moved.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_time_is_taken_over_in_both_directions() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (date, ahead) in [
            ("Tue, 14 Nov 2023 22:13:20 GMT", 0),
            ("Tue, 14 Nov 2023 23:13:20 GMT", 3600),
            ("Tue, 14 Nov 2023 21:13:20 GMT", -3600),
        ] {
            let clock = Clock::default();
            assert!(clock.learn_at(date, now));
            assert_eq!(clock.ahead.load(Ordering::Relaxed), ahead, "{date}");
        }
        let clock = Clock::default();
        assert!(!clock.learn_at("yesterday", now));
        assert_eq!(clock.ahead.load(Ordering::Relaxed), 0);
    }
}

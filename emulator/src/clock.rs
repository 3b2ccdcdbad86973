//! The emulator's clock: the machine's, set forward or back by what a test asks for.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// `2024-02-21T02:42:32.000Z`, as OSS writes times in XML.
const XML_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_seconds: AtomicI64,
}

impl Clock {
    pub fn new(offset_seconds: i64) -> Clock {
        Clock { offset_seconds: AtomicI64::new(offset_seconds) }
    }

    pub fn set_offset(&self, seconds: i64) {
        self.offset_seconds.store(seconds, Ordering::Relaxed);
    }

    pub fn now(&self) -> SystemTime {
        let offset = self.offset_seconds.load(Ordering::Relaxed);
        let distance = Duration::from_secs(offset.unsigned_abs());
        let now = SystemTime::now();
        let moved = if offset < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
        moved.unwrap_or(now)
    }
}

/// Milliseconds since 1970; 0 for times before.
pub(crate) fn unix_ms(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    unix_ms(time) / 1000
}

pub(crate) fn xml_time(unix_ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(unix_ms / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(XML_TIME).unwrap_or_default()
}

/// `Wed, 21 Feb 2024 02:42:32 GMT`, as HTTP headers have it.
pub(crate) fn http_time(unix_ms: i64) -> String {
    // The date formatter knows no year after 9999.
    let ms = u64::try_from(unix_ms).unwrap_or(0).min(253_402_300_799_000);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_oss_does() {
        assert_eq!(xml_time(1_708_483_352_789), "2024-02-21T02:42:32.000Z");
        assert_eq!(http_time(1_708_483_352_789), "Wed, 21 Feb 2024 02:42:32 GMT");
        assert_eq!(http_time(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn the_offset_moves_the_clock_both_ways() {
        let clock = Clock::new(-3600);
        assert!(clock.now() < SystemTime::now() - Duration::from_secs(3590));
        clock.set_offset(3600);
        assert!(clock.now() > SystemTime::now() + Duration::from_secs(3590));
        clock.set_offset(i64::MAX);
        let _ = clock.now();
    }
}

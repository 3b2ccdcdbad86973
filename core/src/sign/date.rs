//! Points in time as signatures write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::error::{Error, Result};

/// The last second of the year 9999: beyond it the formats have no room.
pub(super) const LAST_SECOND: u64 = 253_402_300_799;

/// Seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> Result<u64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) if since.as_secs() <= LAST_SECOND => Ok(since.as_secs()),
        _ => Err(Error::invalid_argument("time", "must lie between the years 1970 and 9999")),
    }
}

/// V4's form, such as `20231216T162057Z`. The first eight characters are the date of the scope.
pub(super) fn iso8601_basic(time: SystemTime) -> Result<String> {
    let out_of_range = |_| Error::invalid_argument("time", "must lie between the years 1970 and 9999");
    let seconds = i64::try_from(unix_seconds(time)?).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).map_err(out_of_range)?;
    let mut text = String::with_capacity(16);
    let mut push = |number: u32, digits: u32| {
        for place in (0..digits).rev() {
            text.push(char::from(b'0' + (number / 10u32.pow(place) % 10) as u8));
        }
        match (digits, text.len()) {
            (_, 8) => text.push('T'),
            (_, 15) => text.push('Z'),
            _ => {}
        }
    };
    push(time.year().unsigned_abs(), 4);
    for part in [time.month() as u8, time.day(), time.hour(), time.minute(), time.second()] {
        push(u32::from(part), 2);
    }
    Ok(text)
}

/// V1's form, such as `Sat, 16 Dec 2023 16:20:57 GMT`.
pub(super) fn http(time: SystemTime) -> Result<String> {
    let seconds = unix_seconds(time)?;
    Ok(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds)))
}

/// Reads V4's form; none for anything else.
pub(super) fn parse_iso8601_basic(text: &str) -> Option<SystemTime> {
    let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
    if bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        bytes[range].iter().try_fold(0u16, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + u16::from(digit - b'0'))
        })
    };
    let small = |start: usize| number(start..start + 2).and_then(|number| u8::try_from(number).ok());
    let month = time::Month::try_from(small(4)?).ok()?;
    let date = time::Date::from_calendar_date(i32::from(number(0..4)?), month, small(6)?).ok()?;
    let moment = date.with_hms(small(9)?, small(11)?, small(13)?).ok()?.assume_utc();
    let seconds = u64::try_from(moment.unix_timestamp()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn both_forms_are_written_in_utc_with_all_digits() {
        for (seconds, iso, http_form) in [
            (0, "19700101T000000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_702_743_657, "20231216T162057Z", "Sat, 16 Dec 2023 16:20:57 GMT"),
            (1_709_208_609, "20240229T121009Z", "Thu, 29 Feb 2024 12:10:09 GMT"),
            (LAST_SECOND, "99991231T235959Z", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(iso8601_basic(at(seconds)).unwrap(), iso);
            assert_eq!(http(at(seconds)).unwrap(), http_form);
            assert_eq!(parse_iso8601_basic(iso), Some(at(seconds)));
        }
        let fraction = UNIX_EPOCH + Duration::from_millis(1_702_743_657_999);
        assert_eq!(iso8601_basic(fraction).unwrap(), "20231216T162057Z");
    }

    #[test]
    fn times_that_the_formats_cannot_hold_are_errors() {
        for time in [UNIX_EPOCH - Duration::from_secs(1), at(LAST_SECOND + 1)] {
            assert_eq!(iso8601_basic(time).unwrap_err().field(), Some("time"));
            assert_eq!(http(time).unwrap_err().field(), Some("time"));
        }
    }

    #[test]
    fn only_the_exact_form_is_read() {
        for text in [
            "",
            "20231216T162057",
            "20231216 162057Z",
            "20231316T162057Z",
            "20230230T000000Z",
            "20231216T246057Z",
            "2023-12-16T16:20:57Z",
            "+0231216T162057Z",
            "19691231T235959Z",
            "２231216T162057Z",
        ] {
            assert_eq!(parse_iso8601_basic(text), None, "{text}");
        }
    }
}

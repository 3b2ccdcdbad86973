//! Times across the boundary: seconds since 1970 (UTC), as an `int64_t`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::guard::Failure;

/// `OSSCB_NOW`.
pub(crate) const NOW: i64 = i64::MIN;

pub(crate) fn moment(time: i64) -> Result<SystemTime, Failure> {
    if time == NOW {
        return Ok(SystemTime::now());
    }
    let distance = Duration::from_secs(time.unsigned_abs());
    let moment = match time {
        0.. => UNIX_EPOCH.checked_add(distance),
        _ => UNIX_EPOCH.checked_sub(distance),
    };
    moment.ok_or_else(|| Failure::argument("time", format!("{time} s from 1970 is no time")))
}

/// Whole seconds; a time before 1970 is 1970, as nothing that OSS tells of is older.
pub(crate) fn seconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

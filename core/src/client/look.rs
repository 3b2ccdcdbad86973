//! A look at what is stored, for when an answer was lost: HeadObject, and what follows from it.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method};
use tokio::time::Instant;

use super::exchange::{Budget, Call, Deadline, Parcel};
use super::{Inner, answer};
use crate::error::{Result, StoredObject};
use crate::transport::Transport;

/// Looks are small and quick, and a call that has lost an answer has waited long enough.
const LOOKS: u32 = 2;
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// A request whose connection broke may still be in OSS's hands: only what is absent twice, this long
/// apart, counts as absent.
const SETTLE: Duration = Duration::from_millis(500);

/// `Last-Modified` and `Date` have whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

/// How much OSS lets clocks differ (OSS, RequestTimeTooSkewed).
const CLOCKS_APART: Duration = Duration::from_secs(15 * 60);

/// What a look tells.
#[derive(Debug)]
pub(super) enum Found {
    /// The object that was sent is there.
    Stored(StoredObject),
    /// There is none.
    Absent,
    /// There is one from before.
    Older,
    /// Looking was refused, failed, or showed an object that somebody else may have put there since.
    CannotTell,
}

/// What is looked for.
pub(super) struct Sought<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    /// CRC-64 of what was sent, where it is known.
    pub crc64: Option<u64>,
    /// Before the first attempt.
    pub since: Begun,
    /// Headers that a request for this object needs.
    pub headers: Vec<(String, String)>,
}

/// A moment, by two clocks: the one that only goes forward stands still while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    at: Instant,
    by_wall_clock: SystemTime,
}

impl Begun {
    pub fn now() -> Begun {
        Begun { at: Instant::now(), by_wall_clock: SystemTime::now() }
    }

    /// In an earlier run, by this machine's clock as it was then: off by as much as OSS bears.
    pub fn earlier(at: SystemTime) -> Begun {
        Begun { at: Instant::now(), by_wall_clock: at.checked_sub(CLOCKS_APART).unwrap_or(at) }
    }

    /// The longer of the two times: to take what was stored since for older would make a second callback.
    fn elapsed(self) -> Duration {
        self.at.elapsed().max(self.by_wall_clock.elapsed().unwrap_or_default())
    }
}

/// Looks, and once more if the object is absent.
pub(super) async fn look(client: &Inner, transport: &dyn Transport, sought: &Sought<'_>) -> Found {
    match look_once(client, transport, sought).await {
        Ok(Found::Absent | Found::Older) => {
            tokio::time::sleep(SETTLE).await;
            look_once(client, transport, sought).await.unwrap_or(Found::CannotTell)
        }
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "what became of the upload cannot be seen");
            Found::CannotTell
        }
    }
}

async fn look_once(client: &Inner, transport: &dyn Transport, sought: &Sought<'_>) -> Result<Found> {
    let call =
        Call::new(client, Method::HEAD, (sought.bucket, sought.key), Vec::new(), sought.headers.clone())?;
    let mut budget = Budget::new(Deadline::within(client.timeouts.read.min(LOOK_TIMEOUT)), LOOKS);
    call.repeat(client, transport, &Parcel::empty(), &mut budget, |response, _| match response.status {
        // A gateway's page tells nothing.
        _ if !answer::is_from_oss(&response) => Err(answer::service_error(&response)),
        200 => Ok(judge(&response.headers, sought.crc64, sought.since.elapsed(), client.clock.now())),
        404 => Ok(Found::Absent),
        _ => Err(answer::service_error(&response)),
    })
    .await
}

/// `elapsed` is how long ago the upload began, `now` what this machine takes for OSS's time.
fn judge(headers: &HeaderMap, crc64: Option<u64>, elapsed: Duration, now: SystemTime) -> Found {
    let time = |name: &str| httpdate::parse_http_date(&answer::text(headers, name)?).ok();
    let Some(modified) = time("last-modified") else { return Found::CannotTell };
    // OSS's own clock where it can be had: the two times then come from one clock.
    let begun = time("date").unwrap_or(now).checked_sub(elapsed + RESOLUTION);
    let since = begun.is_none_or(|begun| modified >= begun);
    let stored = answer::stored(headers);
    match (crc64, stored.crc64) {
        // The same data from before is not what was sent now.
        _ if !since => Found::Older,
        (Some(sent), Some(theirs)) if sent == theirs => Found::Stored(stored),
        // Somebody has written there since; whether over ours, nobody can tell.
        _ => Found::CannotTell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sun, 22 Nov 2026 12:00:30 GMT";

    fn verdict(modified: &str, theirs: Option<&str>, sent: Option<u64>, elapsed: u64) -> Found {
        let mut headers = HeaderMap::new();
        headers.insert("date", NOW.parse().unwrap());
        headers.insert("etag", "\"E\"".parse().unwrap());
        headers.insert("last-modified", modified.parse().unwrap());
        if let Some(crc) = theirs {
            headers.insert("x-oss-hash-crc64ecma", crc.parse().unwrap());
        }
        // The machine's own clock is far off, and must not matter.
        judge(&headers, sent, Duration::from_secs(elapsed), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn what_was_sent_is_told_from_what_was_there_before() {
        let (before, after) = ("Sun, 22 Nov 2026 12:00:10 GMT", "Sun, 22 Nov 2026 12:00:25 GMT");
        let stored = verdict(after, Some("7"), Some(7), 10);
        assert!(
            matches!(&stored, Found::Stored(object) if object.etag.as_deref() == Some("E")),
            "{stored:?}"
        );
        assert!(matches!(verdict(before, Some("7"), Some(7), 10), Found::Older), "the same data, but older");
        assert!(matches!(verdict(before, Some("8"), Some(7), 10), Found::Older));
        assert!(matches!(verdict(after, Some("8"), Some(7), 10), Found::CannotTell), "somebody else's");
        assert!(matches!(verdict(after, None, Some(7), 10), Found::CannotTell));
        assert!(matches!(verdict("yesterday", Some("7"), Some(7), 10), Found::CannotTell));
    }

    #[test]
    fn a_machine_that_has_slept_counts_the_time() {
        let hour = Duration::from_secs(3600);
        let begun = Begun { at: Instant::now(), by_wall_clock: SystemTime::now() - hour };
        assert!(begun.elapsed() >= hour);
        let begun = Begun { at: Instant::now(), by_wall_clock: SystemTime::now() + hour };
        assert!(begun.elapsed() < hour, "the clock was set back");
    }

    #[test]
    fn the_second_in_which_the_upload_began_counts_as_after_its_beginning() {
        let found = verdict("Sun, 22 Nov 2026 12:00:29 GMT", Some("7"), Some(7), 0);
        assert!(matches!(found, Found::Stored(_)), "{found:?}");
    }
}

//! What may be sent again, and when: decisions without I/O.
//!
//! A request without a callback can be repeated whatever happened: the same part under the same number is
//! the same part. One with a callback makes something happen elsewhere, so that it is repeated only when
//! it cannot have been carried out; where that is not known, the client looks first.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::options::CallbackRetry;
use crate::transport::FailureCause;

/// The first pause is drawn from 0 to this, and each further one from twice as much.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is known after an attempt that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was not carried out, and may well be the next time.
    NotDone,
    /// It was refused because the clocks differ; it may be carried out once they agree.
    Skewed,
    /// It may have been carried out: the server had all of it, and gave no answer that tells.
    Unclear,
    /// It was answered for good, or failed in a way that does not mend itself.
    Settled,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Return the error.
    GiveUp,
    /// Send the request again.
    Again,
    /// Find out whether the object is stored, then decide.
    Look,
}

/// What a request without an answer tells.
pub(crate) fn fate_of_failure(cause: FailureCause, handed_over: bool) -> Fate {
    match cause {
        FailureCause::Connect | FailureCause::ConnectTimeout => Fate::NotDone,
        FailureCause::Untrusted | FailureCause::Malformed => Fate::Settled,
        // OSS stores only what has arrived whole.
        FailureCause::Idle | FailureCause::Broken | FailureCause::TooLong if handed_over => Fate::Unclear,
        FailureCause::Idle | FailureCause::Broken | FailureCause::TooLong => Fate::NotDone,
    }
}

/// What an answer other than success tells.
pub(crate) fn fate_of_answer(error: &Error) -> Fate {
    if error.kind() != ErrorKind::Service {
        return Fate::Settled;
    }
    match (error.status(), error.code()) {
        (_, Some("RequestTimeTooSkewed")) => Fate::Skewed,
        // The body did not arrive in time.
        (Some(400), Some("RequestTimeout")) | (Some(408 | 429), _) => Fate::NotDone,
        // OSS itself turns the request away before it does anything. Without its error document, a
        // gateway may have lost the answer.
        (Some(503), Some(_)) => Fate::NotDone,
        (Some(500..=599), _) => Fate::Unclear,
        _ => Fate::Settled,
    }
}

/// What follows. `callback` is set for a request that carries one.
pub(crate) fn step(fate: Fate, callback: Option<CallbackRetry>) -> Step {
    match (fate, callback) {
        (Fate::Settled, _) => Step::GiveUp,
        (Fate::NotDone | Fate::Skewed, _) => Step::Again,
        (Fate::Unclear, None | Some(CallbackRetry::Always)) => Step::Again,
        (Fate::Unclear, Some(CallbackRetry::IfNotStored)) => Step::Look,
        (Fate::Unclear, Some(CallbackRetry::Never)) => Step::GiveUp,
    }
}

/// The pause before a retry, counted from 0: exponential with full jitter, so that many clients that
/// failed together do not come back together.
pub(crate) fn pause(retry: u32, random: u64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << retry.min(16)).min(LONGEST_PAUSE);
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    longest.mul_f64(share)
}

/// Random enough to spread clients; nothing secret hangs on it.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ServiceFacts;

    fn answered(status: u16, code: Option<&str>) -> Fate {
        let facts =
            ServiceFacts { status: Some(status), code: code.map(str::to_owned), ..ServiceFacts::default() };
        fate_of_answer(&Error::new(ErrorKind::Service, "refused").with_service(facts))
    }

    #[test]
    fn what_was_not_whole_was_not_done_and_what_was_whole_may_have_been() {
        for cause in [FailureCause::Idle, FailureCause::Broken, FailureCause::TooLong] {
            assert_eq!(fate_of_failure(cause, false), Fate::NotDone);
            assert_eq!(fate_of_failure(cause, true), Fate::Unclear);
        }
        for handed_over in [false, true] {
            assert_eq!(fate_of_failure(FailureCause::Connect, handed_over), Fate::NotDone);
            assert_eq!(fate_of_failure(FailureCause::Untrusted, handed_over), Fate::Settled);
        }
    }

    #[test]
    fn answers_tell_whether_oss_refused_or_a_gateway_lost_track() {
        assert_eq!(answered(503, Some("SlowDown")), Fate::NotDone);
        assert_eq!(answered(429, None), Fate::NotDone);
        assert_eq!(answered(400, Some("RequestTimeout")), Fate::NotDone);
        assert_eq!(answered(403, Some("RequestTimeTooSkewed")), Fate::Skewed);
        for (status, code) in [(503, None), (502, None), (504, None), (500, Some("InternalError"))] {
            assert_eq!(answered(status, code), Fate::Unclear, "{status}");
        }
        for status in [204, 307, 400, 403, 404, 409, 412] {
            assert_eq!(answered(status, None), Fate::Settled, "{status}");
        }
        for kind in [ErrorKind::CallbackFailed, ErrorKind::Integrity, ErrorKind::Source] {
            assert_eq!(fate_of_answer(&Error::new(kind, "")), Fate::Settled, "{kind:?}");
        }
    }

    #[test]
    fn a_callback_is_repeated_blindly_only_when_that_is_wished() {
        use CallbackRetry::{Always, IfNotStored, Never};
        assert_eq!(step(Fate::Unclear, None), Step::Again);
        assert_eq!(step(Fate::Unclear, Some(IfNotStored)), Step::Look);
        assert_eq!(step(Fate::Unclear, Some(Never)), Step::GiveUp);
        assert_eq!(step(Fate::Unclear, Some(Always)), Step::Again);
        for callback in [None, Some(IfNotStored), Some(Never), Some(Always)] {
            assert_eq!(step(Fate::NotDone, callback), Step::Again);
            assert_eq!(step(Fate::Settled, callback), Step::GiveUp);
        }
    }

    #[test]
    fn pauses_grow_are_drawn_from_the_whole_range_and_stay_bounded() {
        assert_eq!(pause(0, 0), Duration::ZERO);
        assert!(pause(0, u64::MAX) > Duration::from_millis(99));
        assert!(pause(3, u64::MAX) > Duration::from_millis(799));
        for retry in [7, 20, u32::MAX] {
            assert!(pause(retry, u64::MAX) <= LONGEST_PAUSE);
        }
        assert_ne!(random(), random());
    }
}

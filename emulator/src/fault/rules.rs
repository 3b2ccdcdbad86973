//! Which request meets which fault.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Fault, FaultAction};
use crate::operation::Operation;

/// A fault that was ordered, and how often it was committed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FaultState {
    /// As it was ordered.
    pub fault: Fault,
    /// Requests (of `refuse`: connections) that matched it so far.
    pub seen: u64,
    /// How many of them it met.
    pub hits: u64,
}

/// What is known of a request when its fault is chosen.
pub(crate) struct Sighting<'r> {
    pub operation: Option<Operation>,
    pub bucket: &'r str,
    pub key: &'r str,
}

/// The faults in order.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<FaultState>>);

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Vec<FaultState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, faults: impl IntoIterator<Item = Fault>) {
        let states = faults.into_iter().map(|fault| FaultState { fault, seen: 0, hits: 0 });
        self.lock().extend(states);
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    pub fn states(&self) -> Vec<FaultState> {
        self.lock().clone()
    }

    /// Whether the connection that was just made is refused.
    pub fn refuses(&self) -> bool {
        self.choose(|fault| fault.action == FaultAction::Refuse).is_some()
    }

    /// The fault of this request, if it has one.
    pub fn of(&self, sighting: &Sighting<'_>) -> Option<FaultAction> {
        self.choose(|fault| fault.action != FaultAction::Refuse && fault.fits(sighting))
    }

    fn choose(&self, fits: impl Fn(&Fault) -> bool) -> Option<FaultAction> {
        let mut chosen = None;
        for state in self.lock().iter_mut().filter(|state| fits(&state.fault)) {
            state.seen += 1;
            let left = state.fault.times.is_none_or(|times| state.hits < times);
            if chosen.is_none() && left && state.seen >= state.fault.nth {
                state.hits += 1;
                chosen = Some(state.fault.action.clone());
            }
        }
        chosen
    }
}

impl Fault {
    fn fits(&self, sighting: &Sighting<'_>) -> bool {
        let operation = self.operations.is_empty()
            || sighting.operation.is_some_and(|operation| self.operations.contains(&operation));
        let text = |pattern: &Option<String>, text| pattern.as_ref().is_none_or(|p| matches(p, text));
        operation && text(&self.bucket, sighting.bucket) && text(&self.key, sighting.key)
    }
}

/// Whether the text fits the pattern, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    // The earliest place for each piece leaves the most room for those that follow.
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(faults: &Faults, key: &str) -> Option<String> {
        let sighting = Sighting { operation: Some(Operation::PutObject), bucket: "b", key };
        faults.of(&sighting).map(|action| action.to_string())
    }

    fn ordered(script: &str) -> Faults {
        let faults = Faults::default();
        faults.add(Fault::parse_script(script).unwrap());
        faults
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, fitting, others) in [
            ("a", &["a"] as &[_], &["", "ab", "ba"] as &[_]),
            ("*", &["", "a", "a/b"], &[]),
            ("a*", &["a", "ab"], &["ba"]),
            ("*.mp4", &["x.mp4", ".mp4"], &["x.mp4x"]),
            ("a*b*c", &["abc", "axbyc", "abcbc"], &["ab", "acb"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("é*", &["é", "éa"], &["e"]),
        ] {
            assert!(fitting.iter().all(|text| matches(pattern, text)), "{pattern}");
            assert!(!others.iter().any(|text| matches(pattern, text)), "{pattern}");
        }
    }

    #[test]
    fn the_first_fault_that_is_due_is_committed_as_often_as_ordered() {
        let faults = ordered("crc on=PutObject key=a* nth=2 times=2; etag; truncate on=GetObject");
        assert_eq!(put(&faults, "a"), Some("etag".to_owned()), "the first is not due yet");
        assert_eq!(put(&faults, "b"), None);
        assert_eq!(put(&faults, "ab"), Some("crc".to_owned()));
        assert_eq!(put(&faults, "ac"), Some("crc".to_owned()));
        assert_eq!(put(&faults, "ad"), None);
        let states: Vec<_> = faults.states().iter().map(|state| (state.seen, state.hits)).collect();
        assert_eq!(states, [(4, 2), (5, 1), (0, 0)]);
        assert!(!faults.refuses());
        faults.clear();
        assert!(faults.states().is_empty());
    }

    #[test]
    fn connections_are_counted_apart_from_requests() {
        let faults = ordered("refuse nth=2 times=1");
        assert_eq!(put(&faults, "a"), None);
        assert_eq!([(); 3].map(|()| faults.refuses()), [false, true, false]);
    }
}

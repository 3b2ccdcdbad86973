use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const OTHER: &str = "http://gosspublic.alicdn.com/callback_pub_key_v2.pem";

fn url(text: &str) -> OfficialUrl<'_> {
    OfficialUrl::check(text).unwrap()
}

fn store(fetcher: impl KeyFetcher + 'static) -> KeyStore {
    KeyStore::new(Box::new(fetcher), true, false)
}

fn counting<E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static>(
    answer: impl Fn(&str) -> Result<Vec<u8>, E> + Send + Sync + 'static,
) -> (KeyStore, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let fetcher = move |url: &str| {
        counter.fetch_add(1, Ordering::SeqCst);
        answer(url)
    };
    (store(fetcher), count)
}

#[test]
fn the_well_known_key_needs_no_fetch() {
    let store = store(|_: &str| Err::<Vec<u8>, _>("no network"));
    for scheme in ["http", "https"] {
        let text = format!("{scheme}://gosspublic.alicdn.com/callback_pub_key_v1.pem");
        assert_eq!(store.key(url(&text)).unwrap().bits(), 512);
    }
    let error = store.key(url(OTHER)).unwrap_err();
    assert_eq!(error.reason(), Some(VerificationReason::KeyUnavailable));
    assert!(error.hint().unwrap().contains("fetch_key"), "{error}");
}

#[test]
fn a_key_is_fetched_once_and_by_https() {
    let (store, count) = counting(|url| {
        assert_eq!(url, "https://gosspublic.alicdn.com/callback_pub_key_v2.pem");
        Ok::<_, String>(OFFICIAL_KEY_PEM.into())
    });
    for text in [OTHER, OTHER, &OTHER.replace("http:", "https:")] {
        store.key(url(text)).unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn the_named_scheme_is_used_where_that_is_asked_for() {
    let fetcher = |url: &str| {
        assert_eq!(url, OTHER);
        Ok::<_, String>(OFFICIAL_KEY_PEM.into())
    };
    assert!(KeyStore::new(Box::new(fetcher), true, true).key(url(OTHER)).is_ok());
}

#[test]
fn many_threads_share_one_fetch() {
    let (store, count) = counting(|_| {
        std::thread::sleep(Duration::from_millis(100));
        Ok::<_, String>(OFFICIAL_KEY_PEM.into())
    });
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                assert!(store.key(url(OTHER)).is_ok());
            });
        }
    });
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn a_failure_stands_for_a_while_and_is_then_tried_again() {
    let (mut store, count) = counting(|_| Err("no route to host"));
    for _ in 0..3 {
        let error = store.key(url(OTHER)).unwrap_err();
        assert_eq!(error.reason(), Some(VerificationReason::KeyUnavailable));
        assert!(error.message().contains("no route to host"), "{error}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    store.failure_stands = Duration::ZERO;
    assert!(store.key(url(OTHER)).is_err());
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn what_is_not_a_key_is_told_from_a_failed_fetch() {
    for answer in ["<html>captive portal</html>".to_owned(), "A".repeat(MAX_PEM + 1)] {
        let store = store(move |_: &str| Ok::<_, String>(answer.clone().into_bytes()));
        assert_eq!(store.key(url(OTHER)).unwrap_err().reason(), Some(VerificationReason::BadKey));
    }
}

fn text(index: usize) -> String {
    format!("https://gosspublic.alicdn.com/{index}.pem")
}

#[test]
fn memory_and_fetches_are_bounded_whatever_urls_come() {
    let (store, count) =
        counting(|url| if url.contains("good") { Ok(OFFICIAL_KEY_PEM.into()) } else { Err("404") });
    store.key(url("https://gosspublic.alicdn.com/good")).unwrap();
    for index in 0..200 {
        assert!(store.key(url(&text(index))).is_err());
        let likely = format!("http://gosspublic.alicdn.com/callback_pub_key_v{}.pem", 2 + index % 8);
        assert!(store.key(url(&likely)).is_err());
    }
    assert_eq!(count.load(Ordering::SeqCst), OTHER_FETCHES + 8);
    assert!(store.key(url("https://gosspublic.alicdn.com/good")).is_ok(), "failures push out no key");
    let state = store.lock();
    assert!(state.failures.len() <= FAILURES && state.in_flight.is_empty());
    assert!(state.other_fetches.0.len() == OTHER_FETCHES && state.likely_fetches.0.len() == 8);
}

#[test]
fn the_next_official_key_is_fetched_however_many_others_are_asked_for() {
    let store =
        store(|url: &str| if url.ends_with("key_v2.pem") { Ok(OFFICIAL_KEY_PEM.into()) } else { Err("404") });
    for index in 0..200 {
        assert!(store.key(url(&text(index))).is_err());
    }
    assert!(store.key(url(OTHER)).is_ok());
}

#[test]
fn likely_names_have_a_limit_of_their_own() {
    let (mut store, count) = counting(|_| Err("404"));
    store.failure_stands = Duration::ZERO;
    for _ in 0..100 {
        assert!(store.key(url(OTHER)).is_err());
    }
    assert_eq!(count.load(Ordering::SeqCst), LIKELY_FETCHES);
}

#[test]
fn a_budget_is_free_again_after_a_minute() {
    let mut budget = Budget::<2>::default();
    let start = Instant::now();
    assert!(budget.take(start) && budget.take(start + Duration::from_secs(30)));
    assert!(!budget.take(start + Duration::from_secs(59)));
    assert!(budget.take(start + Duration::from_secs(60)) && !budget.take(start + Duration::from_secs(60)));
}

/// Learns keys without fetching, as the fetches of a minute do not suffice to fill the memory.
fn learn(store: &KeyStore, indices: std::ops::Range<usize>) {
    let key = built_in().unwrap();
    indices.for_each(|index| store.lock().learn((text(index), key.clone())));
}

fn knows(store: &KeyStore, index: usize) -> bool {
    store.lock().used(&text(index)).is_some()
}

#[test]
fn the_key_used_longest_ago_makes_room() {
    let store = store(|_: &str| Err("no network"));
    learn(&store, 0..UNPROVEN);
    assert!(knows(&store, 0));
    learn(&store, UNPROVEN..UNPROVEN + 1);
    assert!(knows(&store, 0), "0 was used lately and is still there");
    assert!(!knows(&store, 1));
    assert!(knows(&store, 2));
}

#[test]
fn a_key_that_has_verified_a_signature_makes_room_for_no_other() {
    let store = store(|_: &str| Err("no network"));
    learn(&store, 0..1);
    store.prove(url(&text(0)));
    learn(&store, 1..1000);
    assert!(knows(&store, 0));
    assert_eq!(store.lock().unproven.len(), UNPROVEN);
    store.prove(url(&text(1)));
    assert_eq!(store.lock().proven.len(), 1, "what is not known proves nothing");
}

#[test]
fn proven_keys_are_bounded_too_and_the_oldest_stands_back() {
    let store = store(|_: &str| Err("no network"));
    for index in 0..=PROVEN {
        learn(&store, index..index + 1);
        store.prove(url(&text(index)));
    }
    let state = store.lock();
    assert_eq!(state.proven.len(), PROVEN);
    assert_eq!(state.unproven.iter().map(|(url, _)| url.clone()).collect::<Vec<_>>(), [text(0)]);
}

#[test]
fn a_fetcher_that_panics_blocks_nobody() {
    let (store, count) = counting(|_| -> Result<Vec<u8>, String> { panic!("the user's own bug") });
    for _ in 0..2 {
        let call = std::panic::AssertUnwindSafe(|| store.key(url(OTHER)));
        assert!(std::panic::catch_unwind(call).is_err());
    }
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

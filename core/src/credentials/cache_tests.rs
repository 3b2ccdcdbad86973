use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use super::*;

/// A provider that counts its calls, does what it is told, and a clock that goes by hand.
struct Bench {
    calls: Arc<AtomicUsize>,
    seconds: Arc<AtomicU64>,
    signers: Signers,
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn bench(provide: impl Fn(usize) -> Result<Credentials> + Send + Sync + 'static) -> Bench {
    let (calls, seconds) = (Arc::<AtomicUsize>::default(), Arc::<AtomicU64>::default());
    let (count, now) = (Arc::clone(&calls), Arc::clone(&seconds));
    let renewed = Renewed::new(
        SharedProvider::new(move || provide(count.fetch_add(1, Ordering::SeqCst))),
        Box::new(|credentials| Signer::v4(credentials, "cn-hangzhou")),
        Box::new(move || at(now.load(Ordering::SeqCst))),
    );
    Bench { calls, seconds, signers: Signers::Renewed(Arc::new(renewed)) }
}

fn numbered(number: usize) -> Credentials {
    Credentials::new(format!("id-{number}"), "secret").unwrap().with_security_token("token").unwrap()
}

impl Bench {
    fn get(&self) -> Result<Arc<Signer>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.signers.current())
    }

    fn id(&self) -> String {
        id(&self.get().unwrap())
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn advance_to(&self, seconds: u64) {
        self.seconds.store(seconds, Ordering::SeqCst);
    }

    /// Until what goes on behind the callers' backs has happened.
    fn wait_until(&self, condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < Duration::from_secs(10), "it does not happen");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_for_landing(&self) {
        let Signers::Renewed(renewed) = &self.signers else { panic!() };
        self.wait_until(|| renewed.state().flight.is_none());
    }
}

fn id(signer: &Signer) -> String {
    let shown = format!("{signer:?}");
    let start = shown.find("id-").unwrap();
    shown[start..].split('"').next().unwrap().to_owned()
}

#[test]
fn sixty_four_threads_without_credentials_make_one_fetch() {
    let bench = bench(|number| {
        std::thread::sleep(Duration::from_millis(100));
        Ok(numbered(number).with_expiry(at(3600)))
    });
    let together = Barrier::new(64);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                together.wait();
                assert_eq!(bench.id(), "id-0");
            });
        }
    });
    assert_eq!(bench.calls(), 1);
}

#[test]
fn all_who_wait_get_the_one_failure() {
    let bench = bench(|_| {
        std::thread::sleep(Duration::from_millis(50));
        Err(Error::credentials("vault is sealed").with_hint("Unseal it"))
    });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let error = bench.get().unwrap_err();
                assert_eq!(error.kind(), crate::ErrorKind::Credentials);
                assert_eq!((error.message(), error.hint()), ("vault is sealed", Some("Unseal it")));
            });
        }
    });
    assert_eq!(bench.calls(), 1);
}

#[test]
fn before_the_end_one_fetches_while_the_others_go_on_with_the_old() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let bench = bench(move |number| {
        if number == 1 {
            gate.lock().unwrap().recv().unwrap();
        }
        Ok(numbered(number).with_expiry(at(3600 * (number as u64 + 1))))
    });
    assert_eq!(bench.id(), "id-0");
    bench.advance_to(3299);
    assert_eq!((bench.id(), bench.calls()), ("id-0".to_owned(), 1));
    bench.advance_to(3300);
    // The second fetch hangs, and nobody waits for it.
    for _ in 0..10 {
        assert_eq!(bench.id(), "id-0");
    }
    bench.wait_until(|| bench.calls() == 2);
    release.send(()).unwrap();
    bench.wait_for_landing();
    assert_eq!((bench.id(), bench.calls()), ("id-1".to_owned(), 2));
}

#[test]
fn expired_credentials_are_never_used() {
    let bench = bench(|number| Ok(numbered(number).with_expiry(at(100 * (number as u64 + 1)))));
    assert_eq!(bench.id(), "id-0");
    bench.advance_to(100);
    assert_eq!(bench.id(), "id-1");
    // What comes expired is refused, and says so.
    bench.advance_to(10_000);
    let error = bench.get().unwrap_err();
    assert!(error.message().contains("expired"), "{error}");
}

#[test]
fn a_failed_renewal_is_tried_again_later_while_the_old_ones_hold() {
    let bench = bench(|number| match number {
        0 => Ok(numbered(0).with_expiry(at(3600))),
        1 | 2 => Err(Error::credentials("STS is away")),
        _ => Ok(numbered(number).with_expiry(at(7200))),
    });
    bench.id();
    for (now, calls) in [(3300, 2), (3300, 2), (3301, 3), (3302, 3)] {
        bench.advance_to(now);
        assert_eq!(bench.id(), "id-0", "at {now}");
        bench.wait_for_landing();
        assert_eq!(bench.calls(), calls, "at {now}");
    }
    bench.advance_to(3303);
    assert_eq!(bench.id(), "id-0");
    bench.wait_for_landing();
    assert_eq!(bench.id(), "id-3");
}

#[test]
fn without_credentials_failures_are_told_at_once_until_the_pause_is_over() {
    let bench = bench(|number| match number {
        0..=9 => Err(Error::credentials(format!("failure {number}"))),
        _ => Ok(numbered(number)),
    });
    let mut now = 0;
    for (number, pause) in [1, 2, 4, 8, 16, 30, 30, 30, 30, 30].into_iter().enumerate() {
        for _ in 0..2 {
            assert_eq!(bench.get().unwrap_err().message(), format!("failure {number}"));
        }
        now += pause;
        bench.advance_to(now);
    }
    assert_eq!((bench.id(), bench.calls()), ("id-10".to_owned(), 11));
}

#[test]
fn a_clock_that_is_set_back_does_not_prolong_the_pause() {
    let bench = bench(|number| match number {
        0 => Err(Error::credentials("no")),
        _ => Ok(numbered(number)),
    });
    bench.advance_to(1000);
    bench.get().unwrap_err();
    bench.advance_to(10);
    assert_eq!(bench.id(), "id-1");
}

#[test]
fn undated_tokens_are_renewed_now_and_then_and_plain_pairs_never() {
    let with_token = bench(|number| Ok(numbered(number)));
    with_token.id();
    with_token.advance_to(899);
    assert_eq!((with_token.id(), with_token.calls()), ("id-0".to_owned(), 1));
    with_token.advance_to(900);
    with_token.id();
    with_token.wait_for_landing();
    assert_eq!(with_token.id(), "id-1");
    let plain = bench(|number| Credentials::new(format!("id-{number}"), "secret"));
    plain.id();
    plain.advance_to(1_000_000_000);
    assert_eq!((plain.id(), plain.calls()), ("id-0".to_owned(), 1));
}

#[test]
fn refused_credentials_are_replaced_once() {
    let bench = bench(|number| Ok(numbered(number)));
    let old = bench.get().unwrap();
    assert!(bench.signers.refused(&old));
    let new = bench.get().unwrap();
    assert_eq!(id(&new), "id-1");
    // A straggler with the old ones does not throw the new ones away.
    assert!(bench.signers.refused(&old));
    assert_eq!((bench.id(), bench.calls()), ("id-1".to_owned(), 2));
    let fixed = Signers::Fixed(new);
    let Signers::Fixed(signer) = &fixed else { panic!() };
    assert!(!fixed.refused(signer));
}

#[test]
fn a_provider_that_panics_is_an_error_and_not_the_end() {
    let bench = bench(|number| {
        assert!(number > 0, "not yet");
        Ok(numbered(number))
    });
    assert!(bench.get().unwrap_err().message().contains("panicked"));
    bench.advance_to(5);
    assert_eq!(bench.id(), "id-1");
}

#[test]
fn nobody_waits_for_ever_for_a_provider_that_hangs() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let bench = bench(move |number| {
        let _ = gate.lock().unwrap().recv();
        Ok(numbered(number))
    });
    let Signers::Renewed(renewed) = bench.signers else { panic!() };
    let renewed = Renewed { patience: Duration::from_millis(30), ..sole(renewed) };
    let bench = Bench { signers: Signers::Renewed(Arc::new(renewed)), ..bench };
    for _ in 0..2 {
        assert!(bench.get().unwrap_err().message().contains("has not returned within 30ms"));
    }
    drop(release);
    bench.wait_for_landing();
    assert_eq!((bench.id(), bench.calls()), ("id-0".to_owned(), 1));
}

#[test]
fn a_forked_child_goes_on_alone_with_what_it_inherits() {
    let bench = bench(|number| Ok(numbered(number).with_expiry(at(3600))));
    bench.id();
    let Signers::Renewed(renewed) = bench.signers else { panic!() };
    let mut renewed = sole(renewed);
    // As if this were the child: the state belongs to another process, and its fetch never lands.
    renewed.state().flight = Some(Arc::default());
    renewed.states.fork();
    let renewed = Arc::new(renewed);
    let Step::Use(signer) = renewed.step().unwrap() else { panic!("the child waits") };
    assert_eq!(id(&signer), "id-0");
    // With the lock held at the moment of the fork, nothing is inherited, and nothing hangs.
    let mut renewed = sole(renewed);
    renewed.states.fork();
    let held = Arc::new(renewed);
    let guard = held.states.first().lock().unwrap();
    let bench = Bench { signers: Signers::Renewed(Arc::clone(&held)), ..self::bench(|_| Ok(numbered(0))) };
    assert_eq!(bench.id(), "id-1");
    drop(guard);
}

#[test]
fn the_key_of_the_day_lives_as_long_as_the_credentials() {
    let bench = bench(|number| Ok(numbered(number)));
    let (first, second) = (bench.get().unwrap(), bench.get().unwrap());
    assert!(Arc::ptr_eq(&first, &second));
}

/// The value itself, once the thread that has just fetched for it has let go of it.
fn sole<T>(mut shared: Arc<T>) -> T {
    loop {
        match Arc::try_unwrap(shared) {
            Ok(value) => return value,
            Err(still_shared) => shared = still_shared,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

//! Uploads that their caller moves on, and waits for by a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oss_callback::{Callback, CallbackReply, Cancel, Client, ErrorKind, InFlight, PutRequest, Result, Step};
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::faulty_oss::{self, HANG};
use oss_callback_tests::rig::{BUCKET, KEY, Rig};

/// Comes back every millisecond; says how often it had to wait.
fn to_the_end(upload: &mut InFlight) -> (Result<CallbackReply>, usize) {
    for waits in 0..30_000 {
        match upload.advance() {
            Step::Ended(outcome) => return (outcome, waits),
            Step::AwaitsAnswer(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("it does not end");
}

fn begin(client: &Client, key: &str, callback: &Callback) -> InFlight {
    client.begin(PutRequest::new(BUCKET, key, b"Hello OSS", callback)).unwrap()
}

#[test]
fn the_caller_waits_for_the_callback_and_nothing_blocks() {
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let slow = Callback::builder(app.url("/delay/1000")).build().unwrap();
    let client = rig.client_builder().timeout(Duration::from_secs(20)).build().unwrap();
    let mut upload = client.begin(PutRequest::new(BUCKET, KEY, b"Hello OSS", &slow)).unwrap();
    assert!(upload.socket().is_none() && rig.callbacks() == 0, "nothing is sent before it is moved");
    let start = Instant::now();
    let Step::AwaitsAnswer(until) = upload.advance() else { panic!("the answer takes a second") };
    let left = until - start;
    assert!(left > Duration::from_secs(15) && left < Duration::from_secs(25), "the call's timeout: {left:?}");
    assert!(upload.socket().unwrap().descriptor() > 2);
    let (outcome, waits) = to_the_end(&mut upload);
    assert_eq!(outcome.unwrap().text(), r#"{"Status":"OK"}"#);
    assert!(waits > 5 && start.elapsed() > Duration::from_millis(990), "it did wait: {waits}");
    assert!(rig.holds(b"Hello OSS") && app.callbacks().len() == 1);
    assert!(upload.socket().is_none());
    let Step::Ended(Err(again)) = upload.advance() else { panic!("it has ended") };
    assert_eq!((again.kind(), again.field()), (ErrorKind::InvalidArgument, Some("call")));
    assert_eq!(upload.finish().unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn every_kind_of_answer_comes_out_as_by_a_blocking_call() {
    let (_server, client, callback) = faulty_oss::with_client();
    for kind in
        ["json", "text", "binary", "empty", "failed", "wrong-crc", "reset", "rubbish", "endless", "busy/1"]
    {
        let key = format!("{kind}/blocking");
        let blocking = client.put_object_with_callback(BUCKET, &key, b"Hello OSS", &callback);
        let stepped = to_the_end(&mut begin(&client, &format!("{kind}/stepped"), &callback)).0;
        let finished = begin(&client, &format!("{kind}/finished"), &callback).finish();
        for other in [stepped, finished] {
            faulty_oss::assert_same(&blocking, &other, kind);
        }
    }
}

#[test]
fn a_large_answer_is_read_to_its_end() {
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let callback = Callback::builder(app.url("/large/900000")).build().unwrap();
    let mut upload = begin(&rig.client(), KEY, &callback);
    assert_eq!(to_the_end(&mut upload).0.unwrap().body().len(), 900_000);
}

#[test]
fn all_is_sent_before_the_caller_waits() {
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let callback = Callback::builder(app.url("/delay/1000")).build().unwrap();
    // More than the system takes at once, and more than the emulator digests in an instant.
    let data = vec![7; 32 << 20];
    let client = rig.client_builder().build().unwrap();
    let mut upload = client.begin(PutRequest::new(BUCKET, KEY, data.clone(), &callback)).unwrap();
    assert!(matches!(upload.advance(), Step::AwaitsAnswer(_)));
    let start = Instant::now();
    while app.callbacks().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "nobody moves it, and the object is not whole");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(to_the_end(&mut upload).0.is_ok());
    assert!(rig.holds(&data));
}

#[test]
fn a_time_that_is_over_and_a_cancellation_end_it() {
    let (server, client, callback) = faulty_oss::with_client();
    let options = oss_callback::PutOptions::default().timeout(Duration::from_millis(200));
    let request = PutRequest::new(BUCKET, "hang/a", b"x", &callback);
    let mut upload = client.begin(request.clone().options(options)).unwrap();
    let start = Instant::now();
    let error = to_the_end(&mut upload).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200) && took < HANG / 2, "{took:?}");

    let cancel = Cancel::new();
    let mut upload = client.begin(request.cancel(&cancel)).unwrap();
    assert!(matches!(upload.advance(), Step::AwaitsAnswer(_)));
    assert!(matches!(upload.advance(), Step::AwaitsAnswer(_)));
    cancel.cancel();
    let Step::Ended(Err(error)) = upload.advance() else { panic!("it was cancelled") };
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    // Neither connection is in a known state.
    to_the_end(&mut begin(&client, "json/a", &callback)).0.unwrap();
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_connection_serves_one_after_the_other_and_keeps_what_is_attached_until_it_closes() {
    struct Kept(Arc<AtomicUsize>);
    impl Drop for Kept {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let callback = Callback::builder(app.url("/delay/300")).build().unwrap();
    let (client, gone) = (rig.client(), Arc::new(AtomicUsize::new(0)));
    let mut descriptor = None;
    for round in 0..5 {
        let mut upload = begin(&client, KEY, &callback);
        assert!(matches!(upload.advance(), Step::AwaitsAnswer(_)));
        let socket = upload.socket().unwrap();
        assert_eq!(*descriptor.get_or_insert(socket.descriptor()), socket.descriptor());
        let kept = socket.attached(|kept: &(usize, Kept)| kept.0);
        assert_eq!(kept, (round > 0).then(|| round - 1));
        assert!(socket.attached(|_: &String| ()).is_none(), "it is of another type");
        socket.attach((round, Kept(Arc::clone(&gone))));
        assert_eq!(gone.load(Ordering::Relaxed), round, "what was kept before is let go");
        to_the_end(&mut upload).0.unwrap();
    }
    // Given up half-way: its connection cannot be used again.
    let mut upload = begin(&client, KEY, &callback);
    assert!(matches!(upload.advance(), Step::AwaitsAnswer(_)));
    drop(upload);
    assert_eq!(gone.load(Ordering::Relaxed), 5);
    let mut upload = begin(&client, KEY, &callback);
    assert!(matches!(upload.advance(), Step::AwaitsAnswer(_)));
    assert!(upload.socket().unwrap().attached(|_: &(usize, Kept)| ()).is_none());
    to_the_end(&mut upload).0.unwrap();
}

#[test]
fn wrong_arguments_are_refused_before_it_begins() {
    let (_server, client, callback) = faulty_oss::with_client();
    let error = client.begin(PutRequest::new(BUCKET, "", b"x", &callback)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("key")));
}

#[test]
fn it_may_be_moved_in_asynchronous_code() {
    let (_server, client, callback) = faulty_oss::with_client();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let mut upload = begin(&client, "json/a", &callback);
        assert!(to_the_end(&mut upload).0.is_ok());
        assert!(begin(&client, "json/b", &callback).finish().is_ok());
    });
}

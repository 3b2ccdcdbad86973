//! Uploads that wait for their answers in an event loop.

use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use oss_callback::{
    AnswerPoll, Callback, CallbackReply, Cancel, Client, ErrorKind, PutOptions, PutRequest, Result,
};
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::faulty_oss::{self, HANG};
use oss_callback_tests::rig::{BUCKET, Rig};
use rustix::event::{PollFd, PollFlags};
use rustix::time::Timespec;

/// How an upload ended, and where that was told.
struct End {
    key: String,
    outcome: Result<CallbackReply>,
    here: bool,
}

/// An event loop that does nothing else, and hears of answers by the descriptor alone.
struct Loop {
    poll: AnswerPoll,
    thread: ThreadId,
    tell: Sender<End>,
    told: Receiver<End>,
}

impl Loop {
    fn new() -> Loop {
        let (tell, told) = channel();
        Loop { poll: AnswerPoll::new().unwrap(), thread: std::thread::current().id(), tell, told }
    }

    fn start(&mut self, client: &Client, key: &str, request: PutRequest) {
        let (tell, thread, key) = (self.tell.clone(), self.thread, key.to_owned());
        self.poll.start(client, request, move |outcome| {
            let here = std::thread::current().id() == thread;
            tell.send(End { key, outcome, here }).unwrap();
        });
    }

    fn put(&mut self, client: &Client, key: &str, callback: &Callback) {
        self.start(client, key, PutRequest::new(BUCKET, key, b"Hello OSS", callback));
    }

    /// Goes round until so many have ended.
    fn run(&mut self, count: usize) -> Vec<End> {
        let start = Instant::now();
        let mut ends = Vec::new();
        while ends.len() < count {
            assert!(start.elapsed() < Duration::from_secs(30), "{} of {count} have ended", ends.len());
            // Others end on other threads, of which the descriptor says nothing.
            let mut descriptors = [PollFd::new(&self.poll, PollFlags::IN)];
            let patience = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            if rustix::event::poll(&mut descriptors, Some(&patience)).unwrap() == 1 {
                self.poll.turn();
            }
            ends.extend(self.told.try_iter());
        }
        ends
    }

    /// Has `count` connections lie idle.
    fn warm(&mut self, client: &Client, callback: &Callback, count: usize) {
        for number in 0..count {
            self.put(client, &format!("json/warm-{number}"), callback);
        }
        assert!(self.run(count).into_iter().all(|end| end.outcome.is_ok()));
    }
}

#[test]
fn on_kept_connections_all_is_done_by_the_loops_own_thread() {
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let callback = Callback::builder(app.url("/delay/30")).build().unwrap();
    let (client, mut ours) = (rig.client(), Loop::new());
    for round in 0..10 {
        for number in 0..3 {
            ours.put(&client, &format!("{round}-{number}"), &callback);
        }
        for end in ours.run(3) {
            assert_eq!(end.outcome.unwrap().text(), r#"{"Status":"OK"}"#);
            // To connect takes a while.
            assert_eq!(end.here, round > 0, "{}", end.key);
        }
    }
    assert_eq!(app.callbacks().len(), 30);
}

#[test]
fn every_kind_of_answer_comes_out_as_by_a_blocking_call() {
    let (_server, client, callback) = faulty_oss::with_client();
    let mut ours = Loop::new();
    ours.warm(&client, &callback, 1);
    for kind in [
        "json",
        "text",
        "binary",
        "empty",
        "failed",
        "no-content",
        "wrong-crc",
        "reset",
        "rubbish",
        "truncated",
        "endless",
        "header-error",
        "close",
        "busy/1",
        "lost",
    ] {
        let key = format!("{kind}/blocking");
        let blocking = client.put_object_with_callback(BUCKET, &key, b"Hello OSS", &callback);
        ours.warm(&client, &callback, 1);
        ours.put(&client, &format!("{kind}/polled"), &callback);
        faulty_oss::assert_same(&blocking, &ours.run(1)[0].outcome, kind);
    }
}

#[test]
fn a_large_answer_is_read_by_turns() {
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let callback = Callback::builder(app.url("/large/900000")).build().unwrap();
    let (client, mut ours) = (rig.client(), Loop::new());
    for _ in 0..3 {
        ours.put(&client, "large", &callback);
        assert_eq!(ours.run(1).remove(0).outcome.unwrap().body().len(), 900_000);
    }
}

#[test]
fn a_time_that_is_over_ends_a_call_and_no_other() {
    let (_server, client, callback) = faulty_oss::with_client();
    let mut ours = Loop::new();
    ours.warm(&client, &callback, 3);
    let limited = |key: &str, millis| {
        let options = PutOptions::default().timeout(Duration::from_millis(millis));
        PutRequest::new(BUCKET, key, b"x", &callback).options(options)
    };
    let start = Instant::now();
    // The later one first, so that the alarm has to be set anew.
    ours.start(&client, "late", limited("hang/late", 2000));
    ours.start(&client, "early", limited("hang/early", 200));
    let ends = ours.run(2);
    let took = start.elapsed();
    let keys: Vec<&str> = ends.iter().map(|end| end.key.as_str()).collect();
    assert_eq!(keys, ["early", "late"]);
    for end in &ends {
        assert_eq!(end.outcome.as_ref().unwrap_err().kind(), ErrorKind::Timeout);
        assert!(end.here, "nobody else waited: {}", end.key);
    }
    assert!(took >= Duration::from_secs(2) && took < HANG / 2, "{took:?}");
}

#[test]
fn a_cancellation_by_another_thread_rings() {
    let (_server, client, callback) = faulty_oss::with_client();
    let mut ours = Loop::new();
    ours.warm(&client, &callback, 2);
    let cancel = Cancel::new();
    let request = PutRequest::new(BUCKET, "hang/a", b"x", &callback).cancel(&cancel);
    ours.start(&client, "a", request.clone());
    std::thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        let end = ours.run(1).remove(0);
        assert_eq!(end.outcome.unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(end.here && start.elapsed() < HANG / 10, "{:?}", start.elapsed());
    });
    // Cancelled before.
    ours.start(&client, "a", request);
    assert_eq!(ours.run(1).remove(0).outcome.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn the_loop_is_never_held_up() {
    let (server, client, callback) = faulty_oss::with_client();
    let mut ours = Loop::new();
    ours.warm(&client, &callback, 1);
    let start = Instant::now();
    // To be tried again after a pause; to be connected to; by TLS to somebody who says nothing; more data than
    // the system takes at once.
    ours.put(&client, "busy/1/again", &callback);
    ours.put(&client, "hang/for-the-timeout", &callback);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let unheard = Client::builder()
        .endpoint(format!("https://{}", silent.local_addr().unwrap()))
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret("secret")
        .connect_timeout(Duration::from_secs(4))
        .retries(0)
        .build()
        .unwrap();
    ours.put(&unheard, "unheard", &callback);
    ours.start(&client, "large", PutRequest::new(BUCKET, "json/large", vec![7; 32 << 20], &callback));
    ours.poll.turn();
    assert!(start.elapsed() < Duration::from_secs(4) / 2, "{:?}", start.elapsed());
    let ends = ours.run(3);
    let outcome = |key: &str| &ends.iter().find(|end| end.key == key).unwrap().outcome;
    assert!(outcome("busy/1/again").is_ok() && outcome("large").is_ok());
    assert_eq!(outcome("unheard").as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(server.connections() >= 2);
}

#[test]
fn any_number_can_be_under_way() {
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let slow = Callback::builder(app.url("/delay/100")).build().unwrap();
    let (client, mut ours) = (rig.client(), Loop::new());
    for _ in 0..3 {
        for number in 0..150 {
            ours.put(&client, &format!("k-{number}"), &slow);
        }
        let ends = ours.run(150);
        for end in &ends {
            assert!(end.outcome.is_ok(), "{}: {:?}", end.key, end.outcome);
        }
    }
    assert_eq!(app.callbacks().len(), 450);
}

#[test]
fn calls_keep_their_client_and_end_with_the_poll() {
    let rig = Rig::start();
    let app = AppServer::start().unwrap();
    let slow = Callback::builder(app.url("/delay/200")).build().unwrap();
    let (client, mut ours) = (rig.client(), Loop::new());
    ours.put(&client, "first", &slow);
    ours.run(1);
    ours.put(&client, "second", &slow);
    drop(client);
    assert!(ours.run(1)[0].outcome.is_ok(), "the client is kept by its call");

    let client = rig.client();
    ours.put(&client, "third", &slow);
    ours.run(1);
    ours.put(&client, "fourth", &slow);
    let Loop { poll, tell, told, .. } = ours;
    drop((poll, tell));
    assert!(told.recv().is_err(), "given up, and what it held is gone");
}

#[test]
fn a_panic_of_one_takes_no_answer_from_the_others() {
    let (_server, client, callback) = faulty_oss::with_client();
    let mut ours = Loop::new();
    ours.warm(&client, &callback, 3);
    let request = PutRequest::new(BUCKET, "hang/panics", b"x", &callback)
        .options(PutOptions::default().timeout(Duration::from_millis(100)));
    ours.poll.start(&client, request.clone(), |_| panic!("asked for"));
    ours.start(&client, "after", request);
    let end = ours.run(1).remove(0);
    assert_eq!((end.key.as_str(), end.outcome.unwrap_err().kind()), ("after", ErrorKind::Timeout));
}

#[test]
fn what_is_refused_is_told_at_once() {
    let (_server, client, callback) = faulty_oss::with_client();
    let mut ours = Loop::new();
    ours.start(&client, "x", PutRequest::new("No Bucket", "k", b"x", &callback));
    let end = ours.told.try_recv().unwrap();
    assert_eq!(end.outcome.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(end.here);
}

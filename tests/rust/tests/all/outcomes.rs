//! What a failed upload says of the object: stored, not stored, or nobody knows. Whoever uploads again where
//! nobody knows may make a second callback, so that no such error calls itself retryable.

use std::io::{Read, Write};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use oss_callback::{
    Body, Callback, CallbackRetry, Cancel, Client, Error, ErrorKind, PutOptions, PutRequest, Step,
    UploadOptions, UploadRequest,
};
use oss_callback_emulator::{Emulator, Event, Operation};
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::faulty_oss;
use oss_callback_tests::http::Server;
use oss_callback_tests::rig::{BUCKET, KEY, Rig};

use crate::uploads::{self, Place};

const LOSE_ANSWER: &str = "close answer=0 on=PutObject,CompleteMultipartUpload";
const MAYBE: &str = "may or may not be stored";
const NOTHING: &str = "Nothing was stored.";

fn put(oss: &Rig, data: impl Into<Body>, options: PutOptions) -> Error {
    let sent = oss.client().put_object_with_callback_opts(BUCKET, KEY, data, &oss.callback(), &options);
    sent.unwrap_err()
}

fn with(retry: CallbackRetry) -> PutOptions {
    PutOptions::default().callback_retry(retry)
}

/// Held against what it should say, in flags and in words.
fn says(error: &Error, maybe_stored: bool) {
    assert_eq!((error.stored(), error.maybe_stored()), (false, maybe_stored), "{error:?}");
    let hint = error.hint().unwrap_or_default();
    assert_eq!((hint.contains(MAYBE), hint.contains(NOTHING)), (maybe_stored, !maybe_stored), "{error:?}");
    assert!(!maybe_stored || !error.is_retryable(), "{error:?}");
}

fn client_of(server: &Server) -> Client {
    let builder = Client::builder().endpoint(server.url()).region("cn-hangzhou").retries(0);
    builder.access_key_id("id").access_key_secret("secret").build().unwrap()
}

fn callback() -> Callback {
    Callback::new("http://app.example.com/cb").unwrap()
}

#[test]
fn a_lost_answer_leaves_it_open_and_a_lost_request_does_not() {
    let error = put(&Rig::with(LOSE_ANSWER), "Hello OSS", with(CallbackRetry::Never));
    says(&error, true);
    // Looking is refused.
    let oss = Rig::with(LOSE_ANSWER);
    oss.fault("error status=403 code=AccessDenied on=HeadObject");
    says(&put(&oss, "Hello OSS", with(CallbackRetry::IfNotStored)), true);
    // Nobody listens.
    let client = Client::builder().endpoint("http://127.0.0.1:9").region("cn-hangzhou").retries(0);
    let client = client.access_key_id("id").access_key_secret("secret").build().unwrap();
    let error = client.put_object_with_callback(BUCKET, KEY, "data", &callback()).unwrap_err();
    says(&error, false);
    assert!(error.is_retryable());
}

#[test]
fn a_call_that_runs_out_of_time_says_what_it_had_sent() {
    let oss = Rig::with("delay seconds=2 on=PutObject");
    let error = put(&oss, "Hello OSS", with(CallbackRetry::Never).timeout(Duration::from_millis(300)));
    assert_eq!(error.kind(), ErrorKind::Timeout);
    says(&error, true);
}

#[test]
fn an_earlier_attempt_is_not_forgotten_when_a_later_one_cannot_have_been_carried_out() {
    let oss = Rig::with("close answer=0 on=PutObject");
    oss.fault("error status=403 code=AccessDenied on=PutObject times=9");
    let error = put(&oss, "Hello OSS", with(CallbackRetry::Always));
    assert_eq!((error.kind(), error.code()), (ErrorKind::Service, Some("AccessDenied")));
    assert!(error.maybe_stored() && error.hint().unwrap().contains("Check that the key"), "{error}");
}

#[test]
fn a_stream_that_cannot_be_sent_again_does_not_claim_that_nothing_was_stored() {
    let oss = Rig::with(LOSE_ANSWER);
    let stream = Body::reader(std::io::Cursor::new(b"Hello OSS".to_vec()), None);
    let error = put(&oss, stream, with(CallbackRetry::Always));
    assert!(error.maybe_stored() && error.to_string().contains("read only once"), "{error}");
    assert_eq!((oss.count(Operation::PutObject), oss.callbacks()), (1, 1));
}

#[test]
fn a_completed_upload_whose_answer_was_lost_is_found_even_where_repeating_is_welcome() {
    let oss = Rig::with(LOSE_ANSWER);
    let options = uploads::options().callback_retry(CallbackRetry::Always);
    let error = uploads::upload(&oss, uploads::data(), options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(error.stored() && !error.maybe_stored());
    assert_eq!((oss.count(Operation::CompleteMultipartUpload), oss.callbacks()), (2, 1));
}

#[test]
fn cancelling_between_parts_leaves_nothing_open() {
    let oss = Rig::with(uploads::PACE);
    let cancel = Cancel::new();
    let request = UploadRequest::new(BUCKET, KEY, uploads::data(), &oss.callback())
        .options(uploads::options())
        .cancel(&cancel);
    let stop = cancel.clone();
    let request = request.progress(move |progress| {
        if progress.parts_done > 1 {
            stop.cancel();
        }
    });
    let error = oss.client().upload(request).unwrap_err();
    assert_eq!((error.kind(), error.maybe_stored()), (ErrorKind::Cancelled, false), "{error}");
    assert!(error.hint().unwrap().contains("keeps no parts"), "{error}");
}

#[test]
fn cancelling_a_request_under_way_leaves_it_open() {
    let oss = Rig::with("delay seconds=20 on=PutObject");
    let client = oss.client_builder().build().unwrap();
    let cancel = Cancel::new();
    let request = PutRequest::new(BUCKET, KEY, "Hello OSS", &oss.callback()).cancel(&cancel);
    let (sender, ended) = mpsc::channel();
    client.start(request, move |outcome| sender.send(outcome).unwrap());
    while oss.callbacks() == 0 {
        assert!(ended.try_recv().is_err(), "it ends by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    cancel.cancel();
    let error = ended.recv().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    says(&error, true);
}

#[test]
fn whoever_is_cancelled_before_all_was_sent_has_stored_nothing() {
    // Never begun.
    let oss = Rig::start();
    let cancel = Cancel::new();
    cancel.cancel();
    let request = |data: Body| PutRequest::new(BUCKET, KEY, data, &oss.callback()).cancel(&cancel);
    says(&oss.client().send(request("Hello OSS".into())).unwrap_err(), false);
    let (sender, ended) = mpsc::channel();
    oss.client().start(request("".into()), move |outcome| sender.send(outcome).unwrap());
    says(&ended.recv().unwrap().unwrap_err(), false);
    let Step::Ended(outcome) = oss.client().begin(request("Hello OSS".into())).unwrap().advance() else {
        panic!("it goes on");
    };
    says(&outcome.unwrap_err(), false);
    assert!(oss.emulator.requests().is_empty());
    // Half sent, to somebody who reads no more.
    let server = Server::start_raw(|mut stream| {
        stream.read_exact(&mut [0; 64])?;
        std::thread::sleep(Duration::from_secs(10));
        Ok(())
    })
    .unwrap();
    let (cancel, start) = (Cancel::new(), Instant::now());
    let request = PutRequest::new(BUCKET, KEY, vec![7; 64 << 20], &callback()).cancel(&cancel);
    let error = client_of(&server).send_while(request, || start.elapsed() > Duration::from_millis(200));
    says(&error.unwrap_err(), false);
}

/// Says after a while that it is empty.
struct Late;

impl Read for Late {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        std::thread::sleep(Duration::from_secs(3));
        Ok(0)
    }
}

#[test]
fn empty_data_is_not_handed_over_before_its_request() {
    let oss = Rig::start();
    for length in [0, 1] {
        let options = PutOptions::default().timeout(Duration::from_millis(300));
        let error = put(&oss, Body::reader(Late, Some(length)), options);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        says(&error, false);
    }
}

#[test]
fn a_page_that_is_not_from_oss_is_no_success() {
    let server = faulty_oss::start().unwrap();
    let error = client_of(&server).put_object_with_callback(BUCKET, "portal/a", "data", &callback());
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Service, Some(200)));
    assert!(error.to_string().contains("is not from OSS"), "{error}");
    says(&error, true);
}

#[test]
fn a_success_that_comes_before_the_data_is_none() {
    let server = Server::start_raw(|mut stream| {
        stream.read_exact(&mut [0; 64])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nETag: \"E\"\r\nContent-Length: 2\r\n\r\nno")?;
        std::thread::sleep(Duration::from_secs(10));
        Ok(())
    })
    .unwrap();
    let data = vec![7; 64 << 20];
    let error = client_of(&server).put_object_with_callback(BUCKET, KEY, data, &callback()).unwrap_err();
    assert!(error.to_string().contains("before it had all data"), "{error}");
    says(&error, false);
}

#[test]
fn a_request_that_was_given_up_is_not_delivered_afterwards() {
    let (sender, seen) = mpsc::channel();
    let server = Server::start_raw(move |mut stream| {
        std::thread::sleep(Duration::from_millis(600));
        let mut all = Vec::new();
        let _ = sender.send(stream.read_to_end(&mut all).map_err(|error| error.kind()));
        Ok(())
    })
    .unwrap();
    let builder = Client::builder().endpoint(server.url()).region("cn-hangzhou").retries(0);
    let builder = builder.access_key_id("id").access_key_secret("secret");
    let client = builder.read_timeout(Duration::from_millis(200)).build().unwrap();
    let options = with(CallbackRetry::Never);
    let outcome = client.put_object_with_callback_opts(BUCKET, KEY, "data", &callback(), &options);
    says(&outcome.unwrap_err(), true);
    assert_eq!(seen.recv().unwrap(), Err(std::io::ErrorKind::ConnectionReset));
}

#[test]
fn an_upload_that_fails_while_its_parts_are_checked_can_still_be_taken_up() {
    let place = Place::with(&uploads::data());
    // Cut short when OSS is first asked for its parts: the file has been opened, and is about to be read.
    let uncut = Mutex::new(Some(place.source()));
    let cut = move |event: &Event| {
        if let Event::Arrived(head) = event
            && head.method == "GET"
            && let Some(source) = uncut.lock().unwrap().take()
        {
            std::fs::write(source, b"short").unwrap();
        }
    };
    let emulator = Emulator::builder().observer(cut).start().unwrap();
    let oss = Rig { emulator, app: AppServer::start().unwrap() };
    uploads::cancelled_after(&oss, &place, 6, place.options());
    let checkpoint = std::fs::read_to_string(place.checkpoint()).unwrap();
    let error = uploads::upload(&oss, place.source(), place.options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert_eq!((oss.uploads_left(), oss.count(Operation::AbortMultipartUpload)), (1, 0));
    assert_eq!(std::fs::read_to_string(place.checkpoint()).unwrap(), checkpoint);
    std::fs::write(place.source(), uploads::data()).unwrap();
    uploads::upload(&oss, place.source(), place.options()).unwrap();
    assert!(oss.holds(&uploads::data()) && oss.repeated_parts() == 0);
}

#[test]
fn the_timeout_holds_for_a_stream_that_stays_silent() {
    let oss = Rig::start();
    let (_silent, reader) = std::io::pipe().map(|(reader, writer)| (writer, reader)).unwrap();
    let options = UploadOptions::default().timeout(Duration::from_millis(300));
    let (client, callback) = (oss.client(), oss.callback());
    let start = Instant::now();
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let stream = Body::reader(reader, None);
        let _ = sender.send(client.upload_file_with_callback(BUCKET, KEY, stream, &callback, &options));
    });
    let error = ended.recv_timeout(Duration::from_secs(10)).expect("it hangs").unwrap_err();
    assert_eq!((error.kind(), error.maybe_stored()), (ErrorKind::Timeout, false), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(oss.emulator.requests().len(), 0);
}

#[cfg(unix)]
#[test]
fn a_pipe_to_which_nobody_writes_holds_nobody_up() {
    let oss = Rig::start();
    let folder = tempfile::tempdir().unwrap();
    let pipe = |name: &str| {
        let path = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let path = pipe("silent");
    let cancel = Cancel::new();
    let request = PutRequest::new(BUCKET, KEY, path.as_path(), &oss.callback()).cancel(&cancel);
    let (client, (sender, ended)) = (oss.client(), mpsc::channel());
    std::thread::spawn(move || sender.send(client.send(request)).unwrap());
    std::thread::sleep(Duration::from_millis(100));
    cancel.cancel();
    let error = ended.recv_timeout(Duration::from_secs(10)).expect("it hangs").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);

    let path = pipe("used");
    let request = PutRequest::new(BUCKET, KEY, path.as_path(), &oss.callback());
    let (client, (sender, ended)) = (oss.client(), mpsc::channel());
    std::thread::spawn(move || sender.send(client.send(request)).unwrap());
    std::fs::write(&path, b"Hello OSS").unwrap();
    ended.recv_timeout(Duration::from_secs(10)).expect("it hangs").unwrap();
    assert!(oss.holds(b"Hello OSS"));
}

#[test]
fn a_stepped_upload_that_comes_back_early_need_not_come_back_at_once() {
    let oss = Rig::with("delay seconds=2 on=PutObject");
    let client = oss.client_builder().read_timeout(Duration::from_secs(4)).build().unwrap();
    let mut upload = client.begin(PutRequest::new(BUCKET, KEY, "data", &oss.callback())).unwrap();
    // Begun long before it is moved.
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..5 {
        let Step::AwaitsAnswer(until) = upload.advance() else { panic!("it takes longer") };
        assert!(until > Instant::now() + Duration::from_secs(1));
    }
    upload.finish().unwrap();
}

#[test]
fn what_takes_long_before_an_upload_begins_is_done_beside_the_caller() {
    let oss = Rig::start();
    let (sender, ended) = mpsc::channel();
    let tell = |name: &'static str| {
        let sender = sender.clone();
        move |outcome: oss_callback::Result<oss_callback::CallbackReply>| {
            let told = outcome.map(drop).map_err(|error| (error.kind(), error.maybe_stored()));
            sender.send((name, told, std::thread::current().id())).unwrap();
        }
    };
    let missing = std::path::Path::new("/no/such/file");
    let client = oss.client();
    client.start(PutRequest::new(BUCKET, KEY, missing, &oss.callback()), tell("put"));
    client.start_upload(UploadRequest::new(BUCKET, KEY, missing, &oss.callback()), tell("upload"));
    let digest = PutOptions::default().content_md5("auto");
    let request = PutRequest::new(BUCKET, KEY, vec![7; 1 << 20], &oss.callback()).options(digest);
    client.start(request, tell("digest"));
    let mut told: Vec<_> =
        (0..3).map(|_| ended.recv_timeout(Duration::from_secs(20)).expect("it hangs")).collect();
    told.sort_by_key(|(name, ..)| *name);
    let failed = Err((ErrorKind::Source, false));
    let outcomes: Vec<_> = told.iter().map(|(name, outcome, _)| (*name, *outcome)).collect();
    assert_eq!(outcomes, [("digest", Ok(())), ("put", failed), ("upload", failed)]);
    assert!(told.iter().all(|(.., thread)| *thread != std::thread::current().id()));
    assert!(oss.holds(&vec![7; 1 << 20]));

    // Cancelled before: nothing is opened, or at least nothing is sent.
    let cancel = Cancel::new();
    cancel.cancel();
    let request = PutRequest::new(BUCKET, KEY, missing, &oss.callback()).cancel(&cancel);
    client.start(request, tell("cancelled"));
    let (_, outcome, _) = ended.recv_timeout(Duration::from_secs(20)).expect("it hangs");
    assert_eq!(outcome, Err((ErrorKind::Cancelled, false)));
}

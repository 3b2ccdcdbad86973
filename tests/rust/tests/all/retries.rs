//! What a client makes of retries: as many as are safe, and no second callback unasked. What becomes of
//! every single fault stands in the table of `faults.rs`.

use std::io::Read;
use std::time::Duration;

use oss_callback::receive::CallbackVerifier;
use oss_callback::{Body, Callback, CallbackRetry, Client, Error, ErrorKind, PutOptions, UploadOptions};
use oss_callback_emulator::Operation;
use oss_callback_tests::rig::{BUCKET, KEY, Rig, header};

const LOSE_ANSWER: &str = "close answer=0 on=PutObject";
const LOSE_REQUEST: &str = "close request=all on=PutObject";
const BUSY: &str = "error status=503 code=SlowDown on=PutObject";

/// The data is larger than what sockets buffer, so that a cut request is noticed while it is sent.
fn data() -> Vec<u8> {
    (0..8_000_000_u32).map(|n| (n % 251) as u8).collect()
}

fn put(oss: &Rig, data: impl Into<Body>, retry: CallbackRetry) -> Result<(), Error> {
    let options = PutOptions::default().callback_retry(retry);
    let sent = oss.client().put_object_with_callback_opts(BUCKET, KEY, data, &oss.callback(), &options);
    sent.map(|reply| assert_eq!(reply.text(), r#"{"Status":"OK"}"#))
}

#[test]
fn an_unknown_outcome_tells_what_is_stored() {
    let oss = Rig::with(LOSE_ANSWER);
    let error = put(&oss, "Hello OSS", CallbackRetry::IfNotStored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(error.stored() && error.etag().is_some() && !error.is_retryable(), "{error:?}");
    assert_eq!(error.crc64(), Some(oss_callback::checksum::crc64(b"Hello OSS")));
    assert!(error.to_string().contains("do not upload it again"), "{error}");
}

#[test]
fn never_means_that_a_lost_answer_ends_the_call() {
    for (fault, callbacks) in [(LOSE_ANSWER, 1), (LOSE_REQUEST, 0)] {
        let oss = Rig::with(fault);
        let error = put(&oss, "Hello OSS", CallbackRetry::Never).unwrap_err();
        assert_eq!((error.kind(), error.stored()), (ErrorKind::Network, false));
        assert!(error.hint().unwrap().contains("may or may not"), "{error}");
        assert_eq!(
            (oss.count(Operation::PutObject), oss.count(Operation::HeadObject), oss.callbacks()),
            (1, 0, callbacks)
        );
    }
}

#[test]
fn always_means_that_a_second_callback_is_welcome() {
    let oss = Rig::with(LOSE_ANSWER);
    put(&oss, "Hello OSS", CallbackRetry::Always).unwrap();
    assert_eq!(
        (oss.count(Operation::PutObject), oss.count(Operation::HeadObject), oss.callbacks()),
        (2, 0, 2)
    );
}

/// The id of a callback, as its body has it.
fn ids(oss: &Rig) -> Vec<String> {
    let bodies = oss.app.callbacks().into_iter().map(|request| String::from_utf8(request.body).unwrap());
    bodies
        .map(|body| body.split("upload_id=").nth(1).unwrap().split('&').next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_repeated_callback_has_the_id_of_the_first_and_a_seal_that_is_right() {
    let secret = "0123456789abcdef0123456789abcdef";
    let (url, minute) = (|oss: &Rig| oss.app.url("/ok"), Duration::from_secs(60));
    for in_parts in [false, true] {
        let oss = Rig::with("close answer=0 on=PutObject,CompleteMultipartUpload");
        let callback = Callback::builder(url(&oss)).idempotency_variable("upload_id").seal(secret, minute);
        let callback = callback.build().unwrap();
        let client = oss.client();
        let upload = || {
            if in_parts {
                // The upload has gone when Complete is sent again, and there is no second callback.
                let options =
                    UploadOptions::default().threshold(0).callback_retry(CallbackRetry::IfNotStored);
                return client.upload_file_with_callback(BUCKET, KEY, "Hello", &callback, &options);
            }
            let options = PutOptions::default().callback_retry(CallbackRetry::Always);
            client.put_object_with_callback_opts(BUCKET, KEY, "Hello", &callback, &options)
        };
        assert_eq!(upload().map(drop).map_err(|error| error.kind()).is_ok(), !in_parts);
        let first = ids(&oss);
        assert_eq!(first.len(), if in_parts { 1 } else { 2 });
        assert!(first[0].len() == 22 && first.iter().all(|id| *id == first[0]), "{first:?}");
        upload().unwrap();
        assert_ne!(ids(&oss).last(), first.last(), "another upload has another id");
        let verifier = CallbackVerifier::builder()
            .trusted_key(oss.emulator.public_key_pem())
            .seal_secret(secret)
            .build()
            .unwrap();
        for request in oss.app.callbacks() {
            let headers = request.headers.iter().map(|(name, value)| (name, value));
            let event = verifier.verify(&request.method, &request.target, headers, &request.body).unwrap();
            assert_eq!(event.variable("upload_id").map(str::len), Some(22));
        }
    }
}

#[test]
fn where_looking_is_not_allowed_nothing_is_sent_twice() {
    for fault in [LOSE_ANSWER, LOSE_REQUEST] {
        let oss = Rig::with(fault);
        oss.fault("error status=403 code=AccessDenied on=HeadObject");
        let error = put(&oss, "Hello OSS", CallbackRetry::IfNotStored).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
        assert_eq!(oss.count(Operation::PutObject), 1);
    }
}

#[test]
fn the_same_object_from_before_is_not_taken_for_the_new_one() {
    let oss = Rig::start();
    // A minute ago, by OSS's clock.
    oss.emulator.set_clock_offset_seconds(-60);
    put(&oss, "Hello OSS", CallbackRetry::IfNotStored).unwrap();
    oss.emulator.set_clock_offset_seconds(0);
    oss.fault(LOSE_REQUEST);
    put(&oss, "Hello OSS", CallbackRetry::IfNotStored).unwrap();
    assert_eq!((oss.count(Operation::PutObject), oss.callbacks()), (3, 2));
}

#[test]
fn each_retry_is_signed_anew_and_with_the_servers_time() {
    let oss = Rig::with("skew on=PutObject times=always");
    put(&oss, "Hello OSS", CallbackRetry::IfNotStored).unwrap();
    let requests = oss.requests(Operation::PutObject);
    let hours: Vec<&str> =
        requests.iter().map(|request| &header(request, "x-oss-date").unwrap()[..11]).collect();
    // OSS's time is taken over, or the second signature would be refused as the first one was.
    assert!(hours.len() == 2 && hours[0] != hours[1], "{hours:?}");
}

#[test]
fn retries_are_as_many_as_allowed_and_end_before_the_deadline() {
    let oss = Rig::with(&format!("{BUSY} times=always"));
    let builder = || oss.client_builder();
    let send =
        |client: Client| client.put_object_with_callback(BUCKET, KEY, "x", &oss.callback()).unwrap_err();
    let error = send(builder().retries(2).build().unwrap());
    assert_eq!((error.code(), oss.count(Operation::PutObject)), (Some("SlowDown"), 3));
    let error = send(builder().retries(0).build().unwrap());
    assert_eq!((error.code(), oss.count(Operation::PutObject)), (Some("SlowDown"), 4));
    assert_eq!(builder().retries(101).build().unwrap_err().field(), Some("retries"));
}

/// Gives its bytes in small portions, as a pipe does.
struct Portions(Vec<u8>, usize);

impl Read for Portions {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = self.0.len().min(self.1 + 10_000).min(self.1 + buffer.len());
        let portion = &self.0[self.1..end];
        buffer[..portion.len()].copy_from_slice(portion);
        self.1 = end;
        Ok(portion.len())
    }
}

fn portions(length: Option<u64>) -> Body {
    Body::reader(Portions(data(), 0), length)
}

#[test]
fn files_and_streams_arrive_byte_for_byte() {
    let data = data();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &data).unwrap();
    let mut advanced = std::fs::File::open(file.path()).unwrap();
    advanced.read_exact(&mut [0; 251]).unwrap();
    let whole: [Body; 4] = [
        file.path().into(),
        std::fs::File::open(file.path()).unwrap().into(),
        portions(Some(data.len() as u64)),
        portions(None),
    ];
    let oss = Rig::start();
    for body in whole {
        put(&oss, body, CallbackRetry::IfNotStored).unwrap();
        assert!(oss.holds(&data));
    }
    put(&oss, advanced, CallbackRetry::IfNotStored).unwrap();
    assert!(oss.holds(&data[251..]), "an open file goes on where it stands");
    for empty in [Body::reader(std::io::empty(), None), Body::reader(std::io::empty(), Some(0))] {
        put(&oss, empty, CallbackRetry::IfNotStored).unwrap();
        assert!(oss.holds(b""));
    }
    let requests = oss.requests(Operation::PutObject);
    let chunked = requests.iter().filter(|request| header(request, "content-length").is_none());
    assert_eq!(chunked.count(), 2);
}

#[test]
fn a_source_of_another_length_stores_nothing() {
    let length = data().len() as u64;
    for wrong in [length + 1, length - 1] {
        let oss = Rig::start();
        let error = put(&oss, portions(Some(wrong)), CallbackRetry::IfNotStored).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source, "{error}");
        // The server may be still busy with the one that broke off.
        assert!(oss.object().is_none() && oss.count(Operation::PutObject) <= 1);
    }
}

#[test]
fn a_source_that_is_not_as_empty_as_announced_is_noticed() {
    let oss = Rig::start();
    let body = Body::reader(std::io::Cursor::new(b"not empty".to_vec()), Some(0));
    let error = put(&oss, body, CallbackRetry::IfNotStored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert!(error.to_string().contains("goes on after the 0 bytes"), "{error}");
    assert!(oss.emulator.requests().is_empty());
    // The kernel says of its own files that they are empty.
    #[cfg(target_os = "linux")]
    {
        let path = std::path::Path::new("/proc/self/status");
        put(&oss, path, CallbackRetry::IfNotStored).unwrap();
        assert!(oss.object().unwrap().data.starts_with(b"Name:"));
    }
}

#[test]
fn a_stream_that_was_read_in_part_is_not_retried_and_the_error_says_so() {
    let oss = Rig::with("close request=100000 on=PutObject");
    let error = put(&oss, portions(None), CallbackRetry::IfNotStored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("read only once"), "{error}");
    assert!(oss.object().is_none() && oss.count(Operation::PutObject) == 1);

    let used = portions(None);
    put(&oss, used.clone(), CallbackRetry::IfNotStored).unwrap();
    let error = put(&oss, used, CallbackRetry::IfNotStored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
}

#[test]
fn a_file_is_sent_again_from_its_beginning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), data()).unwrap();
    let oss = Rig::with("close request=3000000 on=PutObject; reset on=PutObject");
    put(&oss, file.path(), CallbackRetry::IfNotStored).unwrap();
    assert!(oss.holds(&data()));
    assert_eq!((oss.count(Operation::PutObject), oss.callbacks()), (3, 1));
}

//! Every fault against every request that it can hit: what the client says must be what the server knows,
//! and no callback is made twice where one was promised.

use std::io::Read;
use std::time::{Duration, SystemTime};

use oss_callback::{Body, Callback, CallbackRetry, Client, Error, ErrorKind, PutOptions};
use oss_callback_tests::scripted_oss::{Fault, Object, Op, ScriptedOss};

pub const PATH: &str = "/examplebucket/a";

pub fn client(oss: &ScriptedOss) -> Client {
    Client::builder()
        .endpoint(oss.url())
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret("secret")
        .read_timeout(Duration::from_secs(1))
        .build()
        .unwrap()
}

pub fn callback() -> Callback {
    Callback::new("http://app.example.com/cb").unwrap()
}

/// The data is larger than what sockets buffer, so that a cut request is noticed while it is sent.
fn data() -> Vec<u8> {
    (0..8_000_000_u32).map(|n| (n % 251) as u8).collect()
}

fn put(oss: &ScriptedOss, data: impl Into<Body>, retry: CallbackRetry) -> Result<(), Error> {
    let options = PutOptions::default().callback_retry(retry);
    let sent = client(oss).put_object_with_callback_opts("examplebucket", "a", data, &callback(), &options);
    sent.map(|reply| assert_eq!(reply.text(), r#"{"Status":"OK"}"#))
}

/// Every fault, and what must come of it: the outcome, and how many PUTs and callbacks there were.
#[test]
fn every_fault_of_a_put_ends_as_the_table_says() {
    use ErrorKind::{CallbackFailed, Integrity, OutcomeUnknown, Service};
    let table: &[(Fault, Result<(), ErrorKind>, usize, usize)] = &[
        (Fault::Hangup, Ok(()), 2, 1),
        (Fault::CutRequest(100_000), Ok(()), 2, 1),
        (Fault::LoseRequest, Ok(()), 2, 1),
        (Fault::LoseAnswer, Err(OutcomeUnknown), 1, 1),
        (Fault::CutAnswer, Err(OutcomeUnknown), 1, 1),
        (Fault::Stall, Err(OutcomeUnknown), 1, 1),
        (Fault::Refuse(503, "SlowDown"), Ok(()), 2, 1),
        (Fault::Refuse(429, "TooManyRequests"), Ok(()), 2, 1),
        (Fault::Refuse(400, "RequestTimeout"), Ok(()), 2, 1),
        (Fault::Refuse(500, "InternalError"), Ok(()), 2, 1),
        (Fault::Refuse(403, "AccessDenied"), Err(Service), 1, 0),
        (Fault::Gateway, Err(OutcomeUnknown), 1, 1),
        (Fault::GatewayUndone, Ok(()), 2, 1),
        (Fault::WrongCrc, Err(Integrity), 1, 1),
        (Fault::CallbackFailed, Err(CallbackFailed), 1, 1),
        (Fault::Redirect, Err(Service), 1, 0),
        (Fault::Skewed, Ok(()), 2, 1),
    ];
    let data = data();
    let seen: Vec<_> = table
        .iter()
        .map(|(fault, ..)| {
            let oss = ScriptedOss::start().unwrap();
            oss.fault(Op::Put, *fault);
            let outcome = put(&oss, data.clone(), CallbackRetry::IfNotStored).map_err(|error| {
                let stored = oss.state().objects.contains_key(PATH);
                assert!(!error.stored() || stored, "{fault:?} claims too much: {error}");
                error.kind()
            });
            let state = oss.state();
            if let Some(object) = state.objects.get(PATH) {
                assert!(object.bytes == data, "{fault:?} left a damaged object");
            }
            drop(state);
            (*fault, outcome, oss.count(Op::Put), oss.state().callbacks)
        })
        .collect();
    assert_eq!(seen, table);
}

#[test]
fn never_means_that_a_lost_answer_ends_the_call() {
    for (fault, callbacks) in [(Fault::LoseAnswer, 1), (Fault::LoseRequest, 0)] {
        let oss = ScriptedOss::start().unwrap();
        oss.fault(Op::Put, fault);
        let error = put(&oss, "Hello OSS", CallbackRetry::Never).unwrap_err();
        assert_eq!((error.kind(), error.stored()), (ErrorKind::Network, false));
        assert!(error.hint().unwrap().contains("may or may not"), "{error}");
        assert_eq!((oss.count(Op::Put), oss.count(Op::Head), oss.state().callbacks), (1, 0, callbacks));
    }
}

#[test]
fn always_means_that_a_second_callback_is_welcome() {
    let oss = ScriptedOss::start().unwrap();
    oss.fault(Op::Put, Fault::LoseAnswer);
    put(&oss, "Hello OSS", CallbackRetry::Always).unwrap();
    assert_eq!((oss.count(Op::Put), oss.count(Op::Head), oss.state().callbacks), (2, 0, 2));
}

#[test]
fn where_looking_is_not_allowed_nothing_is_sent_twice() {
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        let oss = ScriptedOss::start().unwrap();
        oss.fault(Op::Put, fault).fault(Op::Head, Fault::Refuse(403, "AccessDenied"));
        let error = put(&oss, "Hello OSS", CallbackRetry::IfNotStored).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
        assert_eq!(oss.count(Op::Put), 1);
    }
}

#[test]
fn the_same_object_from_before_is_not_taken_for_the_new_one() {
    let oss = ScriptedOss::start().unwrap();
    let modified = SystemTime::now() - Duration::from_secs(60);
    oss.state().objects.insert(PATH.to_owned(), Object { bytes: b"Hello OSS".to_vec(), modified });
    oss.fault(Op::Put, Fault::LoseRequest);
    put(&oss, "Hello OSS", CallbackRetry::IfNotStored).unwrap();
    assert_eq!((oss.count(Op::Put), oss.state().callbacks), (2, 1));
}

#[test]
fn each_retry_is_signed_anew_and_with_the_servers_time() {
    let oss = ScriptedOss::start().unwrap();
    oss.fault(Op::Put, Fault::Skewed);
    put(&oss, "Hello OSS", CallbackRetry::IfNotStored).unwrap();
    let state = oss.state();
    let hours: Vec<&str> =
        state.requests.iter().map(|(_, request)| &request.header("x-oss-date").unwrap()[..11]).collect();
    let signatures: Vec<_> =
        state.requests.iter().map(|(_, request)| request.header("authorization")).collect();
    assert_eq!(hours.len(), 2);
    assert!(hours[0] != hours[1] && signatures[0] != signatures[1], "{hours:?}");
}

#[test]
fn retries_are_as_many_as_allowed_and_end_before_the_deadline() {
    let oss = ScriptedOss::start().unwrap();
    for _ in 0..10 {
        oss.fault(Op::Put, Fault::Refuse(503, "SlowDown"));
    }
    let builder =
        || Client::builder().endpoint(oss.url()).region("r").access_key_id("i").access_key_secret("s");
    let send =
        |client: Client| client.put_object_with_callback("examplebucket", "a", "x", &callback()).unwrap_err();
    let error = send(builder().retries(2).build().unwrap());
    assert_eq!((error.code(), oss.count(Op::Put)), (Some("SlowDown"), 3));
    let error = send(builder().retries(0).build().unwrap());
    assert_eq!((error.code(), oss.count(Op::Put)), (Some("SlowDown"), 4));
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
    let oss = ScriptedOss::start().unwrap();
    for body in whole {
        put(&oss, body, CallbackRetry::IfNotStored).unwrap();
        assert!(oss.state().objects.remove(PATH).unwrap().bytes == data);
    }
    put(&oss, advanced, CallbackRetry::IfNotStored).unwrap();
    assert!(oss.state().objects[PATH].bytes == data[251..], "an open file goes on where it stands");
    for empty in [Body::reader(std::io::empty(), None), Body::reader(std::io::empty(), Some(0))] {
        put(&oss, empty, CallbackRetry::IfNotStored).unwrap();
        assert!(oss.state().objects[PATH].bytes.is_empty());
    }
    let chunked =
        |state: &(Op, oss_callback_tests::http::Request)| state.1.header("content-length").is_none();
    assert_eq!(oss.state().requests.iter().filter(|request| chunked(request)).count(), 2);
}

#[test]
fn a_source_of_another_length_stores_nothing() {
    let length = data().len() as u64;
    for wrong in [length + 1, length - 1] {
        let oss = ScriptedOss::start().unwrap();
        let error = put(&oss, portions(Some(wrong)), CallbackRetry::IfNotStored).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source, "{error}");
        assert!(oss.state().objects.is_empty() && oss.count(Op::Put) == 1);
    }
}

#[test]
fn a_stream_that_was_read_in_part_is_not_retried_and_the_error_says_so() {
    let oss = ScriptedOss::start().unwrap();
    oss.fault(Op::Put, Fault::CutRequest(100_000));
    let error = put(&oss, portions(None), CallbackRetry::IfNotStored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("read only once"), "{error}");
    assert!(oss.state().objects.is_empty() && oss.count(Op::Put) == 1);

    let used = portions(None);
    put(&oss, used.clone(), CallbackRetry::IfNotStored).unwrap();
    let error = put(&oss, used, CallbackRetry::IfNotStored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
}

#[test]
fn a_file_is_sent_again_from_its_beginning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), data()).unwrap();
    let oss = ScriptedOss::start().unwrap();
    oss.fault(Op::Put, Fault::CutRequest(3_000_000)).fault(Op::Put, Fault::Hangup);
    put(&oss, file.path(), CallbackRetry::IfNotStored).unwrap();
    assert!(oss.state().objects[PATH].bytes == data());
    assert_eq!((oss.count(Op::Put), oss.state().callbacks), (3, 1));
}

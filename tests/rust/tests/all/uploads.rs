//! Uploads in parts: every fault against every request, sources of every kind, and uploads that were
//! cancelled, killed or left by a lost answer and go on.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use oss_callback::{
    Body, Callback, CallbackReply, CallbackRetry, Cancel, Client, Error, ErrorKind, SignatureVersion,
    UploadOptions, UploadRequest,
};
use oss_callback_emulator::Emulator;
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::scripted_oss::{Fault, Op, ScriptedOss};

use crate::retries::{PATH, callback, client};

pub const PART: u64 = 102_400;
pub const PARTS: usize = 20;

pub fn data() -> Vec<u8> {
    data_of(PARTS * PART as usize - 7)
}

pub fn data_of(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251 + n / 4096) as u8).collect()
}

pub fn options() -> UploadOptions {
    UploadOptions::default().threshold(0).part_size(PART).parallel(3)
}

pub fn upload(
    oss: &ScriptedOss,
    source: impl Into<Body>,
    options: UploadOptions,
) -> Result<CallbackReply, Error> {
    client(oss).upload_file_with_callback("examplebucket", "a", source, &callback(), &options)
}

/// A file that lives as long as its folder, and a place for a checkpoint.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn with(data: &[u8]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("source"), data).unwrap();
        Place { folder }
    }

    pub fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    pub fn checkpoint(&self) -> PathBuf {
        self.folder.path().join("checkpoint")
    }

    pub fn options(&self) -> UploadOptions {
        options().checkpoint(self.checkpoint().to_str().unwrap())
    }
}

/// What an upload with one fault comes to: outcome, requests of the kind that met it, callbacks.
type Row = (Fault, Result<(), ErrorKind>, usize, usize);

#[track_caller]
fn check_table(op: Op, table: &[Row]) {
    let data = data();
    let seen: Vec<Row> = table
        .iter()
        .map(|(fault, ..)| {
            let oss = ScriptedOss::start().unwrap();
            oss.fault(op, *fault);
            let outcome = upload(&oss, data.clone(), options());
            let outcome = outcome.map(drop).map_err(|error| {
                let stored = oss.state().objects.contains_key(PATH);
                assert!(!error.stored() || stored, "{fault:?} claims too much: {error}");
                error.kind()
            });
            let state = oss.state();
            assert!(state.uploads.is_empty(), "{fault:?} left parts behind");
            if let Some(object) = state.objects.get(PATH) {
                assert!(object.bytes == data, "{fault:?} left a damaged object");
            }
            let callbacks = state.callbacks;
            drop(state);
            (*fault, outcome, oss.count(op), callbacks)
        })
        .collect();
    assert_eq!(seen, table);
}

#[test]
fn every_fault_of_a_part_ends_as_the_table_says() {
    let again = |fault| (fault, Ok(()), PARTS + 1, 1);
    let mut table: Vec<Row> = [
        Fault::Hangup,
        Fault::CutRequest(50_000),
        Fault::LoseRequest,
        Fault::LoseAnswer,
        Fault::CutAnswer,
        Fault::Stall,
        Fault::Refuse(503, "SlowDown"),
        Fault::Refuse(429, "TooManyRequests"),
        Fault::Refuse(500, "InternalError"),
        Fault::Gateway,
        Fault::GatewayUndone,
        Fault::WrongCrc,
        Fault::Skewed,
    ]
    .map(again)
    .to_vec();
    // No callback is made for a part, whatever else happens.
    table.push((Fault::CallbackFailed, Ok(()), PARTS, 1));
    check_table(Op::Part, &table);
    for fault in [Fault::Refuse(403, "AccessDenied"), Fault::Redirect] {
        let oss = ScriptedOss::start().unwrap();
        oss.fault(Op::Part, fault);
        let error = upload(&oss, data(), options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Service);
        assert!(error.hint().unwrap().contains("keeps no parts"), "{error}");
        assert!(oss.state().uploads.is_empty() && oss.state().objects.is_empty());
    }
}

#[test]
fn every_fault_of_complete_ends_as_the_table_says() {
    use ErrorKind::{CallbackFailed, Integrity, OutcomeUnknown, Service};
    check_table(
        Op::Complete,
        &[
            (Fault::Hangup, Ok(()), 2, 1),
            (Fault::CutRequest(50), Ok(()), 2, 1),
            (Fault::LoseRequest, Ok(()), 2, 1),
            (Fault::LoseAnswer, Err(OutcomeUnknown), 1, 1),
            (Fault::CutAnswer, Err(OutcomeUnknown), 1, 1),
            (Fault::Stall, Err(OutcomeUnknown), 1, 1),
            (Fault::Refuse(503, "SlowDown"), Ok(()), 2, 1),
            (Fault::Refuse(500, "InternalError"), Ok(()), 2, 1),
            (Fault::Refuse(403, "AccessDenied"), Err(Service), 1, 0),
            (Fault::Gateway, Err(OutcomeUnknown), 1, 1),
            (Fault::GatewayUndone, Ok(()), 2, 1),
            (Fault::WrongCrc, Err(Integrity), 1, 1),
            (Fault::CallbackFailed, Err(CallbackFailed), 1, 1),
            (Fault::Redirect, Err(Service), 1, 0),
            (Fault::Skewed, Ok(()), 2, 1),
        ],
    );
}

#[test]
fn initiate_is_tried_again_and_an_abort_too() {
    let oss = ScriptedOss::start().unwrap();
    oss.fault(Op::Initiate, Fault::Refuse(503, "SlowDown"));
    upload(&oss, data(), options()).unwrap();
    oss.fault(Op::Part, Fault::Refuse(403, "AccessDenied")).fault(Op::Abort, Fault::LoseRequest);
    upload(&oss, data(), options()).unwrap_err();
    assert_eq!(oss.count(Op::Abort), 2);
    assert!(oss.state().uploads.is_empty());
}

#[test]
fn sources_of_every_kind_and_length_arrive_byte_for_byte() {
    let part = PART as usize;
    for length in [0, 1, part - 1, part, part + 1, 3 * part, 3 * part + 1] {
        let data = data_of(length);
        let place = Place::with(&data);
        let stream = |announced| Body::reader(std::io::Cursor::new(data.clone()), announced);
        let sources: [(Body, bool); 5] = [
            (data.clone().into(), length > 0),
            (place.source().into(), length > 0),
            (std::fs::File::open(place.source()).unwrap().into(), length > 0),
            (stream(Some(length as u64)), length > 0),
            (stream(None), length >= part),
        ];
        for (number, (source, in_parts)) in sources.into_iter().enumerate() {
            let oss = ScriptedOss::start().unwrap();
            let reply = upload(&oss, source, options()).unwrap();
            assert_eq!(reply.text(), r#"{"Status":"OK"}"#);
            assert_eq!(reply.crc64(), Some(oss_callback::checksum::crc64(&data)));
            assert!(oss.state().objects[PATH].bytes == data, "source {number} of {length} bytes");
            assert_eq!(oss.count(Op::Part) > 0, in_parts, "source {number} of {length} bytes");
            assert_eq!((oss.callbacks(), oss.uploads_left()), (1, 0));
        }
    }
}

#[test]
fn the_threshold_decides_between_one_request_and_parts() {
    let oss = ScriptedOss::start().unwrap();
    let options = UploadOptions::default().threshold(1000).part_size(PART);
    upload(&oss, vec![7; 999], options.clone()).unwrap();
    assert_eq!((oss.count(Op::Put), oss.count(Op::Part)), (1, 0));
    upload(&oss, vec![7; 1000], options).unwrap();
    assert_eq!((oss.count(Op::Put), oss.count(Op::Part)), (1, 1));
}

#[test]
fn the_callback_is_with_complete_alone_and_what_describes_the_object_with_initiate() {
    let oss = ScriptedOss::start().unwrap();
    let options = options().content_type("video/mp4").meta("film", "1").traffic_limit(819_200);
    upload(&oss, data(), options.content_md5("auto")).unwrap();
    for (op, request) in &oss.state().requests {
        let has = |name: &str| request.header(name).is_some();
        assert_eq!(has("x-oss-callback"), *op == Op::Complete, "{op:?}");
        assert_eq!(has("x-oss-meta-film"), *op == Op::Initiate, "{op:?}");
        assert_eq!(has("x-oss-traffic-limit") && has("content-md5"), *op == Op::Part, "{op:?}");
        assert_eq!(request.header("content-type") == Some("video/mp4"), *op == Op::Initiate, "{op:?}");
    }
}

#[test]
fn options_out_of_range_are_refused_before_anything_is_sent() {
    let oss = ScriptedOss::start().unwrap();
    let refused = [
        (options().part_size(100), "part_size"),
        (options().parallel(0), "parallel"),
        (options().parallel(65), "parallel"),
        (options().threshold(u64::MAX), "threshold"),
        (options().checkpoint("a"), "checkpoint"),
        (options().content_md5("CY9rzUYh03PK3k6DJie09g=="), "content_md5"),
    ];
    for (options, field) in refused {
        let error = upload(&oss, data(), options).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some(field)), "{error}");
    }
    assert!(oss.state().requests.is_empty());
}

/// Ends an upload by its own token once so many parts are done.
pub fn cancelled_after(oss: &ScriptedOss, place: &Place, parts: u32, options: UploadOptions) -> Error {
    oss.state().pace = Duration::from_millis(60);
    let (cancel, inner) = (Cancel::new(), Cancel::new());
    let token = inner.clone();
    let request = UploadRequest::new("examplebucket", "a", place.source(), &callback())
        .options(options)
        .cancel(&cancel)
        .progress(move |progress| {
            if progress.parts_done >= parts {
                token.cancel();
            }
        });
    let error = client(oss).upload_while(request, || inner.is_cancelled()).unwrap_err();
    oss.state().pace = Duration::ZERO;
    error
}

#[test]
fn a_source_that_changed_in_the_meantime_arrives_as_it_is_now() {
    for length in [data().len(), data().len() + 50_000] {
        let (oss, place) = (ScriptedOss::start().unwrap(), Place::with(&data()));
        cancelled_after(&oss, &place, 6, place.options());
        let mut changed = data_of(length);
        changed[10] ^= 1;
        std::fs::write(place.source(), &changed).unwrap();
        upload(&oss, place.source(), place.options()).unwrap();
        let state = oss.state();
        assert!(state.objects[PATH].bytes == changed, "with {length} bytes");
        assert_eq!((state.callbacks, state.uploads.len()), (1, 0));
    }
}

#[test]
fn a_source_that_changes_meanwhile_is_noticed() {
    let (oss, place) = (ScriptedOss::start().unwrap(), Place::with(&data()));
    oss.state().pace = Duration::from_millis(60);
    let (path, written) = (place.source(), Mutex::new(false));
    let request = UploadRequest::new("examplebucket", "a", place.source(), &callback())
        .options(options())
        .progress(move |progress| {
            let mut written = written.lock().unwrap();
            if progress.parts_done >= 2 && !std::mem::replace(&mut *written, true) {
                std::fs::write(&path, data_of(data().len())).unwrap();
            }
        });
    let error = client(&oss).upload(request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert!(error.to_string().contains("changed"), "{error}");
    assert!(oss.state().objects.is_empty() && oss.state().uploads.is_empty());
}

#[test]
fn a_checkpoint_that_is_damaged_or_somebody_elses_is_refused_and_stays() {
    let (oss, place) = (ScriptedOss::start().unwrap(), Place::with(&data()));
    cancelled_after(&oss, &place, 1, place.options());
    let saved = std::fs::read_to_string(place.checkpoint()).unwrap();
    let other = saved.replace("\"key\":\"a\"", "\"key\":\"b\"");
    for (text, says) in [(&saved[..40], "damaged"), ("rubbish", "damaged"), (&other, "belongs to")] {
        std::fs::write(place.checkpoint(), text).unwrap();
        let error = upload(&oss, place.source(), place.options()).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("checkpoint")));
        assert!(error.to_string().contains(says) && error.hint().is_some(), "{error}");
        assert_eq!(std::fs::read_to_string(place.checkpoint()).unwrap(), text);
    }
    std::fs::write(place.checkpoint(), &saved).unwrap();
    upload(&oss, place.source(), place.options()).unwrap();
    assert_eq!(std::fs::read(place.source()).unwrap(), data());
}

#[test]
fn the_next_run_finds_out_what_became_of_complete() {
    for (fault, expected) in
        [(Fault::LoseAnswer, Err(ErrorKind::OutcomeUnknown)), (Fault::LoseRequest, Ok(()))]
    {
        let (oss, place) = (ScriptedOss::start().unwrap(), Place::with(&data()));
        oss.fault(Op::Complete, fault);
        let first = place.options().callback_retry(CallbackRetry::Never);
        let error = upload(&oss, place.source(), first).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
        let parts = oss.count(Op::Part);
        let second = upload(&oss, place.source(), place.options());
        assert_eq!(second.map(drop).map_err(|error| error.kind()), expected, "{fault:?}");
        assert_eq!((oss.count(Op::Part), oss.state().callbacks), (parts, 1), "{fault:?}");
        assert!(oss.state().objects[PATH].bytes == data());
        assert!(!place.checkpoint().exists());
    }
}

#[test]
fn an_upload_that_oss_no_longer_knows_begins_anew() {
    let (oss, place) = (ScriptedOss::start().unwrap(), Place::with(&data()));
    cancelled_after(&oss, &place, 2, place.options());
    oss.state().uploads.clear();
    upload(&oss, place.source(), place.options()).unwrap();
    assert!(oss.state().objects[PATH].bytes == data());
    assert_eq!((oss.count(Op::Initiate), oss.state().callbacks), (2, 1));
}

#[test]
fn started_uploads_end_with_their_outcome() {
    let oss = ScriptedOss::start().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    for key in ["a", "b", "c"] {
        let sender = sender.clone();
        let request = UploadRequest::new("examplebucket", key, data(), &callback()).options(options());
        client(&oss).start_upload(request, move |outcome| sender.send(outcome.map(drop)).unwrap());
    }
    for _ in 0..3 {
        receiver.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    }
    assert_eq!((oss.callbacks(), oss.uploads_left()), (3, 0));
}

fn client_of(emulator: &Emulator, version: SignatureVersion) -> Client {
    Client::builder()
        .endpoint(emulator.endpoint())
        .region(emulator.region())
        .access_key_id(emulator.access_key_id())
        .access_key_secret(emulator.access_key_secret())
        .signature_version(version)
        .build()
        .unwrap()
}

/// With signatures checked, a callback that is really made, and a list of parts that is really OSS's.
#[test]
fn the_application_server_hears_once_of_the_whole_even_of_an_upload_that_was_taken_up_again() {
    let (emulator, app) = (Emulator::builder().start().unwrap(), AppServer::start().unwrap());
    let data = data_of(300 * PART as usize + 1);
    let place = Place::with(&data);
    for version in SignatureVersion::ALL {
        let client = client_of(&emulator, *version);
        let body = "key=${object}&size=${size}&crc=${crc64}";
        let callback = Callback::builder(app.url("/echo")).body(body).build().unwrap();
        let key = format!("film {}?.mp4", version.as_str());
        let options = place.options().parallel(1).meta("film", "1").content_md5("auto");
        let request = || UploadRequest::new("examplebucket", &key, place.source(), &callback);
        let cancel = Cancel::new();
        let token = cancel.clone();
        let first = request().options(options.clone()).cancel(&cancel).progress(move |progress| {
            if progress.parts_done > 0 {
                token.cancel();
            }
        });
        let error = client.upload(first).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");

        let reply = client.upload(request().options(options)).unwrap();
        let crc = oss_callback::checksum::crc64(&data);
        assert_eq!(reply.crc64(), Some(crc));
        let heard = format!("size={}&crc={crc}", data.len());
        assert!(reply.text().contains(&heard), "{}", reply.text());
    }
    assert_eq!(app.callbacks().len(), SignatureVersion::ALL.len());
}

const CHILD: &str = "OSS_CALLBACK_TEST_KILL";

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "run by the test below, as a process of its own"]
fn child_that_is_killed() {
    let Ok(job) = std::env::var(CHILD) else { return };
    let (endpoint, folder) = job.split_once(' ').unwrap();
    let folder = Path::new(folder);
    let client = Client::builder()
        .endpoint(endpoint)
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret("secret")
        .build()
        .unwrap();
    let options = options().checkpoint(folder.join("checkpoint").to_str().unwrap());
    let source = folder.join("source");
    match client.upload_file_with_callback("examplebucket", "a", source, &callback(), &options) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {}
        Err(error) => panic!("{error}"),
    }
}

/// `OSS_CALLBACK_KILLS=50` for more than the usual number.
#[test]
fn an_upload_that_is_killed_at_any_moment_goes_on_and_calls_back_once() {
    let wanted = std::env::var("OSS_CALLBACK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let (mut kills, mut random) = (0, 0x9E37_79B9_7F4A_7C15_u64 ^ u64::from(std::process::id()));
    while kills < wanted {
        let (oss, place) = (ScriptedOss::start().unwrap(), Place::with(&data()));
        oss.state().pace = Duration::from_millis(15);
        loop {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "uploads::child_that_is_killed", "--ignored"])
                .env(CHILD, format!("{} {}", oss.url(), place.folder.path().display()))
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            if kills >= wanted {
                assert!(child.wait().unwrap().success(), "the last run must end well");
                break;
            }
            std::thread::sleep(Duration::from_millis(20 + (random >> 33) % 180));
            let done = child.try_wait().unwrap();
            if let Some(status) = done {
                assert!(status.success(), "a run after {kills} kills failed");
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            // Killed between the end of the upload and its own: there is nothing left to go on with.
            if oss.state().objects.contains_key(PATH) && !place.checkpoint().exists() {
                break;
            }
        }
        let state = oss.state();
        assert!(state.objects[PATH].bytes == data(), "the object is whole");
        assert_eq!((state.callbacks, state.repeated), (1, 0), "after {kills} kills");
        // Killed between OSS's answer to Initiate and the first checkpoint, an id is lost; never parts.
        assert!(state.uploads.values().all(|parts| parts.is_empty()), "parts stay behind");
    }
}

//! Uploads in parts: sources of every kind, and uploads that were cancelled or left by a lost answer and go
//! on. What becomes of every single fault stands in the table of `faults.rs`.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use oss_callback::{
    Body, Callback, CallbackReply, CallbackRetry, Cancel, Client, Error, ErrorKind, SignatureVersion,
    UploadOptions, UploadRequest,
};
use oss_callback_emulator::{Emulator, Operation};
use oss_callback_tests::app_server::AppServer;
use oss_callback_tests::rig::{BUCKET, KEY, Rig, header};

pub const PART: u64 = 102_400;
pub const PARTS: usize = 20;
pub const PACE: &str = "delay seconds=0.12 on=UploadPart times=always";

pub fn data() -> Vec<u8> {
    data_of(PARTS * PART as usize - 7)
}

pub fn data_of(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251 + n / 4096) as u8).collect()
}

pub fn options() -> UploadOptions {
    UploadOptions::default().threshold(0).part_size(PART).parallel(3)
}

pub fn upload(oss: &Rig, source: impl Into<Body>, options: UploadOptions) -> Result<CallbackReply, Error> {
    oss.client().upload_file_with_callback(BUCKET, KEY, source, &oss.callback(), &options)
}

/// A file that lives as long as its folder, and a place for a checkpoint.
pub struct Place {
    pub folder: tempfile::TempDir,
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

#[test]
fn initiate_is_tried_again_and_an_abort_too() {
    let oss = Rig::start();
    oss.fault("error status=503 code=SlowDown on=InitiateMultipartUpload");
    upload(&oss, data(), options()).unwrap();
    oss.fault("error status=403 code=AccessDenied on=UploadPart; close request=all on=AbortMultipartUpload");
    let error = upload(&oss, data(), options()).unwrap_err();
    assert!(error.hint().unwrap().contains("keeps no parts"), "{error}");
    assert_eq!(oss.count(Operation::AbortMultipartUpload), 2);
    assert_eq!(oss.uploads_left(), 0);
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
            let oss = Rig::start();
            let reply = upload(&oss, source, options()).unwrap();
            assert_eq!(reply.text(), r#"{"Status":"OK"}"#);
            assert_eq!(reply.crc64(), Some(oss_callback::checksum::crc64(&data)));
            assert!(oss.holds(&data), "source {number} of {length} bytes");
            assert_eq!(oss.count(Operation::UploadPart) > 0, in_parts, "source {number} of {length} bytes");
            assert_eq!((oss.callbacks(), oss.uploads_left()), (1, 0));
        }
    }
}

#[test]
fn the_threshold_decides_between_one_request_and_parts() {
    let oss = Rig::start();
    let options = UploadOptions::default().threshold(1000).part_size(PART);
    upload(&oss, vec![7; 999], options.clone()).unwrap();
    assert_eq!((oss.count(Operation::PutObject), oss.count(Operation::UploadPart)), (1, 0));
    upload(&oss, vec![7; 1000], options).unwrap();
    assert_eq!((oss.count(Operation::PutObject), oss.count(Operation::UploadPart)), (1, 1));
}

#[test]
fn the_callback_is_with_complete_alone_and_what_describes_the_object_with_initiate() {
    let oss = Rig::start();
    let options = options().content_type("video/mp4").meta("film", "1").traffic_limit(819_200);
    upload(&oss, data(), options.content_md5("auto")).unwrap();
    for request in &oss.emulator.requests() {
        let has = |name: &str| header(request, name).is_some();
        let is = |operation: Operation| request.operation == operation.name();
        let (initiate, part) = (is(Operation::InitiateMultipartUpload), is(Operation::UploadPart));
        let called = is(Operation::CompleteMultipartUpload);
        assert_eq!(has("x-oss-callback"), called, "{request:?}");
        assert_eq!(has("x-oss-meta-film"), initiate, "{request:?}");
        assert_eq!(has("x-oss-traffic-limit") && has("content-md5"), part, "{request:?}");
        assert_eq!(header(request, "content-type") == Some("video/mp4"), initiate, "{request:?}");
    }
}

#[test]
fn options_out_of_range_are_refused_before_anything_is_sent() {
    let oss = Rig::start();
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
    assert!(oss.emulator.requests().is_empty());
}

/// Ends an upload by its own token once so many parts are done.
pub fn cancelled_after(oss: &Rig, place: &Place, parts: u32, options: UploadOptions) -> Error {
    oss.fault(PACE);
    let (cancel, inner) = (Cancel::new(), Cancel::new());
    let token = inner.clone();
    let request = UploadRequest::new(BUCKET, KEY, place.source(), &oss.callback())
        .options(options)
        .cancel(&cancel)
        .progress(move |progress| {
            if progress.parts_done >= parts {
                token.cancel();
            }
        });
    let error = oss.client().upload_while(request, || inner.is_cancelled()).unwrap_err();
    oss.emulator.clear_faults();
    error
}

#[test]
fn a_source_that_changed_in_the_meantime_arrives_as_it_is_now() {
    for length in [data().len(), data().len() + 50_000] {
        let (oss, place) = (Rig::start(), Place::with(&data()));
        cancelled_after(&oss, &place, 6, place.options());
        let mut changed = data_of(length);
        changed[10] ^= 1;
        std::fs::write(place.source(), &changed).unwrap();
        upload(&oss, place.source(), place.options()).unwrap();
        assert!(oss.holds(&changed), "with {length} bytes");
        assert_eq!((oss.callbacks(), oss.uploads_left()), (1, 0));
    }
}

#[test]
fn a_source_that_changes_meanwhile_is_noticed() {
    let (oss, place) = (Rig::start(), Place::with(&data()));
    oss.fault(PACE);
    let (path, written) = (place.source(), Mutex::new(false));
    let request = UploadRequest::new(BUCKET, KEY, place.source(), &oss.callback())
        .options(options())
        .progress(move |progress| {
            let mut written = written.lock().unwrap();
            if progress.parts_done >= 2 && !std::mem::replace(&mut *written, true) {
                std::fs::write(&path, data_of(data().len())).unwrap();
            }
        });
    let error = oss.client().upload(request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert!(error.to_string().contains("changed"), "{error}");
    assert!(oss.object().is_none() && oss.uploads_left() == 0);
}

#[test]
fn a_checkpoint_that_is_damaged_or_somebody_elses_is_refused_and_stays() {
    let (oss, place) = (Rig::start(), Place::with(&data()));
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
        [("close answer=0", Err(ErrorKind::OutcomeUnknown)), ("close request=all", Ok(()))]
    {
        let (oss, place) = (Rig::start(), Place::with(&data()));
        oss.fault(&format!("{fault} on=CompleteMultipartUpload"));
        let first = place.options().callback_retry(CallbackRetry::Never);
        let error = upload(&oss, place.source(), first).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
        let parts = oss.count(Operation::UploadPart);
        let second = upload(&oss, place.source(), place.options());
        assert_eq!(second.map(drop).map_err(|error| error.kind()), expected, "{fault:?}");
        assert_eq!((oss.count(Operation::UploadPart), oss.callbacks()), (parts, 1), "{fault:?}");
        assert!(oss.holds(&data()));
        assert!(!place.checkpoint().exists());
    }
}

#[test]
fn an_upload_that_oss_no_longer_knows_begins_anew() {
    let (oss, place) = (Rig::start(), Place::with(&data()));
    cancelled_after(&oss, &place, 2, place.options());
    oss.emulator.abort_uploads(BUCKET);
    upload(&oss, place.source(), place.options()).unwrap();
    assert!(oss.holds(&data()));
    assert_eq!((oss.count(Operation::InitiateMultipartUpload), oss.callbacks()), (2, 1));
}

#[test]
fn a_source_of_another_length_begins_anew_even_if_the_parts_cannot_be_removed() {
    let (oss, place) = (Rig::start(), Place::with(&data()));
    cancelled_after(&oss, &place, 2, place.options());
    std::fs::write(place.source(), data_of(300_000)).unwrap();
    oss.fault("error status=403 code=AccessDenied on=AbortMultipartUpload");
    upload(&oss, place.source(), place.options()).unwrap();
    assert!(oss.holds(&data_of(300_000)));
}

#[test]
fn an_upload_that_cannot_be_removed_now_is_removed_by_the_next_run() {
    let (oss, place) = (Rig::start(), Place::with(&data()));
    cancelled_after(&oss, &place, 2, place.options());
    std::fs::write(place.source(), data_of(300_000)).unwrap();
    oss.fault("reset on=AbortMultipartUpload,InitiateMultipartUpload times=always");
    assert_eq!(upload(&oss, place.source(), place.options()).unwrap_err().kind(), ErrorKind::Network);
    oss.emulator.clear_faults();
    upload(&oss, place.source(), place.options()).unwrap();
    assert_eq!(oss.uploads_left(), 0);
}

#[test]
fn an_upload_that_fails_says_why_and_what_is_left() {
    let (oss, place) = (Rig::start(), Place::with(&data()));
    for (options, left) in [(options(), "OSS keeps no parts"), (place.options(), "goes on from there")] {
        oss.fault("error status=403 code=AccessDenied on=UploadPart times=9");
        let error = upload(&oss, place.source(), options).unwrap_err();
        oss.emulator.clear_faults();
        let hint = error.hint().unwrap();
        assert!(hint.contains("Check that the key may write") && hint.contains(left), "{hint}");
    }
}

#[test]
fn an_upload_whose_users_code_panics_ends_all_the_same() {
    let oss = Rig::start();
    let (sender, receiver) = std::sync::mpsc::channel();
    let start = |data: Vec<u8>, from: u64| {
        let request = UploadRequest::new(BUCKET, KEY, data, &oss.callback())
            .options(options())
            .progress(move |progress| assert!(progress.bytes_done < from, "asked for"));
        let sender = sender.clone();
        oss.client().start_upload(request, move |outcome| sender.send(outcome).unwrap());
        receiver.recv_timeout(Duration::from_secs(10)).unwrap()
    };
    oss.fault(PACE);
    let error = start(data(), 3 * PART).unwrap_err();
    assert_eq!((error.kind(), error.maybe_stored()), (ErrorKind::Cancelled, false), "{error}");
    assert_eq!((oss.uploads_left(), oss.callbacks()), (0, 0));
    // When all is over it changes nothing.
    oss.emulator.clear_faults();
    let small = UploadRequest::new(BUCKET, KEY, "data", &oss.callback())
        .progress(|progress| assert!(progress.bytes_done < 4, "asked for"));
    oss.client().upload(small).unwrap();
}

#[test]
fn started_uploads_end_with_their_outcome() {
    let oss = Rig::start();
    let (sender, receiver) = std::sync::mpsc::channel();
    for key in ["a", "b", "c"] {
        let sender = sender.clone();
        let request = UploadRequest::new(BUCKET, key, data(), &oss.callback()).options(options());
        oss.client().start_upload(request, move |outcome| sender.send(outcome.map(drop)).unwrap());
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

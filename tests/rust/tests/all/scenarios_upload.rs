//! The scenarios of `tests/scenarios.toml` about sources, uploads in parts and credentials; those about
//! retries stand in `client_faults.rs`.

use std::error::Error as _;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use oss_callback::{
    Body, Callback, CallbackReply, Cancel, Client, Credentials, Error, ErrorKind, Progress, UploadOptions,
    UploadRequest, checksum,
};
use oss_callback_emulator::Operation;
use oss_callback_tests::rig::{KEY, Rig};

use crate::scenarios::{BUCKET, Bed, STS};
use crate::uploads::{PACE, PART, PARTS, Place, cancelled_after, data, data_of, options, upload};

const MIB: usize = 1 << 20;

fn in_parts() -> UploadOptions {
    UploadOptions::default().threshold(MIB as u64).part_size(MIB as u64)
}

impl Bed {
    /// A put, and an upload in parts.
    fn both_ways(&self, source: impl Fn() -> Body, callback: &Callback) -> [Result<CallbackReply, Error>; 2] {
        let client = self.client();
        [
            client.put_object_with_callback(BUCKET, "put", source(), callback),
            client.upload_file_with_callback(BUCKET, "upload", source(), callback, &in_parts()),
        ]
    }

    fn requests_of(&self, operation: &str) -> usize {
        self.emulator.requests().iter().filter(|request| request.operation == operation).count()
    }
}

#[track_caller]
fn is_whole(what: &str, reply: &CallbackReply, data: &[u8]) {
    let crc = checksum::crc64(data);
    let told = format!("size={}&crc64={crc}", data.len());
    assert_eq!(reply.json().unwrap()["body"], told, "{what}");
    assert_eq!(reply.crc64(), Some(crc), "{what}");
}

fn pipe_of(data: &[u8]) -> Body {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let data = data.to_vec();
    // The other side may end early.
    std::thread::spawn(move || drop(writer.write_all(&data)));
    Body::reader(reader, None)
}

#[test]
fn sources_of_every_kind_arrive_whole() {
    let (bed, data) = (Bed::new(), data_of(2 * MIB + 7));
    let place = Place::with(&data);
    let callback = Callback::builder(bed.app.url("/echo")).body("size=${size}&crc64=${crc64}");
    let callback = callback.build().unwrap();
    let stream = |length| Body::reader(Cursor::new(data.clone()), length);
    let sources: [(&str, &dyn Fn() -> Body); 7] = [
        ("path", &|| place.source().into()),
        ("open file", &|| File::open(place.source()).unwrap().into()),
        ("owned bytes", &|| data.clone().into()),
        ("borrowed bytes", &|| data.as_slice().into()),
        ("stream of known length", &|| stream(Some(data.len() as u64))),
        ("stream of unknown length", &|| stream(None)),
        ("pipe", &|| pipe_of(&data)),
    ];
    for (what, source) in sources {
        for reply in bed.both_ways(source, &callback) {
            is_whole(what, &reply.unwrap_or_else(|error| panic!("{what}: {error}")), &data);
        }
        for key in ["put", "upload"] {
            assert!(bed.emulator.object(BUCKET, key).unwrap().data == data, "{key}, {what}");
        }
    }
    let rest = || {
        let mut file = File::open(place.source()).unwrap();
        file.seek(SeekFrom::Start(MIB as u64)).unwrap();
        file.into()
    };
    for reply in bed.both_ways(rest, &callback) {
        is_whole("an open file goes on where it stands", &reply.unwrap(), &data[MIB..]);
    }
    for reply in bed.both_ways(|| Body::reader(std::io::empty(), None), &callback) {
        is_whole("nothing", &reply.unwrap(), b"");
    }

    bed.emulator.clear_log();
    for outcome in bed.both_ways(|| Path::new("/no/such/file").into(), &callback) {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source, "{error}");
        assert!(error.to_string().contains("/no/such/file"), "{error}");
    }
    assert!(bed.emulator.requests().is_empty(), "nothing was sent");
}

/// Fails, or panics, when it is read.
struct Broken {
    panics: bool,
}

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        assert!(!self.panics, "as planned");
        Err(std::io::Error::other("the disk is on fire"))
    }
}

#[test]
fn broken_source_is_a_source_error() {
    let bed = Bed::new();
    let start = || Cursor::new(data_of(MIB + MIB / 2));
    let of_length = |length: usize| Body::reader(start(), Some(length as u64));
    let sources: [(&str, &dyn Fn() -> Body); 4] = [
        ("the disk is on fire", &|| Body::reader(start().chain(Broken { panics: false }), None)),
        ("panicked", &|| Body::reader(start().chain(Broken { panics: true }), None)),
        ("1572864", &|| of_length(2 * MIB)),
        ("1048577", &|| of_length(MIB + 1)),
    ];
    for (says, source) in sources {
        for outcome in bed.both_ways(source, &Callback::new(bed.app.url("/ok")).unwrap()) {
            let error = outcome.unwrap_err();
            assert_eq!((error.kind(), error.stored()), (ErrorKind::Source, false), "{error}");
            assert!(error.to_string().contains(says), "{error}");
            let own = error.source().is_some_and(|cause| cause.is::<std::io::Error>());
            assert_eq!(own, says.contains("disk"), "{error:?}");
        }
    }
    assert!(bed.app.callbacks().is_empty());
    assert!(bed.emulator.keys(BUCKET).is_empty() && bed.emulator.uploads(BUCKET).is_empty());
}

#[test]
fn large_file_goes_in_parts_with_one_callback() {
    let (bed, data) = (Bed::new(), data_of(3 * MIB));
    let place = Place::with(&data);
    let callback = Callback::new(bed.app.url("/ok")).unwrap();
    let upload = |options: &UploadOptions| {
        bed.client().upload_file_with_callback(BUCKET, "large", place.source(), &callback, options).unwrap()
    };
    let reply = upload(&in_parts());
    assert_eq!(reply.text(), r#"{"Status":"OK"}"#);
    assert_eq!(reply.crc64(), Some(checksum::crc64(&data)));
    assert!(reply.etag().unwrap().ends_with("-3"), "{reply:?}");
    assert_eq!((bed.requests_of("UploadPart"), bed.app.callbacks().len()), (3, 1));

    let reply = upload(&UploadOptions::default());
    assert!(!reply.etag().unwrap().contains('-'), "{reply:?}");
    assert_eq!((bed.requests_of("UploadPart"), bed.app.callbacks().len()), (3, 2));
}

#[test]
fn progress_is_told() {
    let (place, length) = (Place::with(&data()), data().len() as u64);
    let stream = Body::reader(Cursor::new(data()), None);
    let runs: [(Body, UploadOptions, Option<u64>, Option<u32>); 3] = [
        (place.source().into(), options(), Some(length), Some(PARTS as u32)),
        (stream, options(), None, None),
        (place.source().into(), UploadOptions::default(), Some(length), None),
    ];
    for (source, options, bytes_total, parts_total) in runs {
        let oss = Rig::with("close request=50000 on=UploadPart");
        let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
        let record = Arc::clone(&seen);
        let request = UploadRequest::new(BUCKET, KEY, source, &oss.callback())
            .options(options)
            .progress(move |progress| record.lock().unwrap().push(progress));
        oss.client().upload(request).unwrap();
        let seen = seen.lock().unwrap();
        let grows = |pair: &[Progress]| {
            pair[0].bytes_done <= pair[1].bytes_done && pair[0].parts_done <= pair[1].parts_done
        };
        assert!(seen.windows(2).all(grows), "{seen:?}");
        assert!(seen.iter().all(|at| (at.bytes_total, at.parts_total) == (bytes_total, parts_total)));
        assert_eq!(seen[0].bytes_done, 0);
        let last = seen.last().unwrap();
        let parts = if oss.count(Operation::PutObject) > 0 { 0 } else { PARTS as u32 };
        assert_eq!((last.bytes_done, last.parts_done), (length, parts), "{seen:?}");
    }

    // A watcher that says no ends its upload and no other.
    let (oss, cancel) = (Rig::with(PACE), Cancel::new());
    let request = UploadRequest::new(BUCKET, KEY, place.source(), &oss.callback())
        .options(options())
        .cancel(&cancel)
        .progress_while(|progress| progress.parts_done < 2);
    let error = oss.client().upload(request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(oss.uploads_left() == 0 && oss.count(Operation::AbortMultipartUpload) == 1);
    assert!(!cancel.is_cancelled());
}

#[test]
fn cancelled_upload_resumes_from_its_checkpoint() {
    let (oss, place) = (Rig::start(), Place::with(&data()));
    let error = cancelled_after(&oss, &place, 4, place.options());
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(error.hint().unwrap().contains("goes on"), "{error}");
    let saved = std::fs::read_to_string(place.checkpoint()).unwrap();
    assert!(!saved.contains("secret"), "{saved}");
    assert_eq!(oss.uploads_left(), 1);

    let first: Arc<Mutex<Option<Progress>>> = Arc::default();
    let record = Arc::clone(&first);
    let request = UploadRequest::new(BUCKET, KEY, place.source(), &oss.callback())
        .options(place.options())
        .progress(move |progress| {
            record.lock().unwrap().get_or_insert(progress);
        });
    let reply = oss.client().upload(request).unwrap();
    let first = first.lock().unwrap().unwrap();
    assert!(first.parts_done >= 4 && first.bytes_done >= 4 * PART, "{first:?}");
    assert_eq!(reply.crc64(), Some(checksum::crc64(&data())));
    assert!(!place.checkpoint().exists());
    assert!(oss.holds(&data()));
    assert_eq!((oss.repeated_parts(), oss.callbacks(), oss.uploads_left()), (0, 1, 0));
    assert_eq!(oss.count(Operation::InitiateMultipartUpload), 1);

    std::fs::write(place.checkpoint(), "damaged").unwrap();
    let error = upload(&oss, place.source(), place.options()).unwrap_err();
    assert!(error.to_string().contains(place.checkpoint().to_str().unwrap()), "{error}");
}

#[test]
fn cancelled_upload_leaves_no_parts() {
    let (oss, place) = (Rig::start(), Place::with(&data()));
    let error = cancelled_after(&oss, &place, 3, options());
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    let parts = oss.count(Operation::UploadPart);
    assert!((3..PARTS).contains(&parts), "{parts} parts were sent");
    assert!(oss.uploads_left() == 0 && oss.count(Operation::AbortMultipartUpload) == 1);
    assert!(oss.object().is_none() && oss.callbacks() == 0);
}

#[test]
fn credentials_function_is_asked() {
    let bed = Bed::new();
    let asked = Arc::new(Mutex::new(0));
    let builder = || Client::builder().endpoint(bed.emulator.endpoint()).region(bed.emulator.region());
    let client_with = |lasting: Duration| {
        let asked = Arc::clone(&asked);
        let provider = move || {
            *asked.lock().unwrap() += 1;
            let credentials = Credentials::new(STS.0, STS.1)?.with_security_token(STS.2)?;
            Ok::<_, Error>(credentials.with_expiry(SystemTime::now() + lasting))
        };
        builder().credentials_provider(provider).build().unwrap()
    };
    let callback = Callback::new(bed.app.url("/ok")).unwrap();
    let put = |client: &Client| client.put_object_with_callback(BUCKET, "a", "Hello OSS", &callback);
    let times = || *asked.lock().unwrap();

    let client = client_with(Duration::from_secs(3600));
    for _ in 0..3 {
        put(&client).unwrap();
    }
    assert_eq!(times(), 1);
    let sent = format!("{:?}", bed.emulator.requests());
    assert!(sent.contains(STS.0) && sent.contains("x-oss-security-token"), "{sent}");

    let client = client_with(Duration::from_secs(2));
    put(&client).unwrap();
    assert_eq!(times(), 2);
    std::thread::sleep(Duration::from_millis(2100));
    put(&client).unwrap();
    assert_eq!(times(), 3);

    let failing = || Err::<Credentials, _>(std::io::Error::other("the vault is closed"));
    let client = builder().credentials_provider(failing).build().unwrap();
    let error = put(&client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials, "{error}");
    assert!(error.to_string().contains("the vault is closed"), "{error}");
}

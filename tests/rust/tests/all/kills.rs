//! Uploads in parts that are killed, at a random moment or at the worst one, and go on.
//! `OSS_CALLBACK_KILLS=50` for more kills than the usual number.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oss_callback::{Callback, Client, ErrorKind, UploadOptions};
use oss_callback_emulator::Operation;
use oss_callback_tests::rig::{BUCKET, KEY, Rig};

use crate::uploads::{Place, data, options, upload};

const JOB: &str = "OSS_CALLBACK_TEST_KILL";

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "run by the test below, as a process of its own"]
fn child_that_is_killed() {
    let Ok(job) = std::env::var(JOB) else { return };
    let [endpoint, id, secret, url, folder]: [&str; 5] =
        job.split('\n').collect::<Vec<_>>().try_into().unwrap();
    let client = Client::builder()
        .endpoint(endpoint)
        .region("cn-hangzhou")
        .access_key_id(id)
        .access_key_secret(secret)
        .build()
        .unwrap();
    let folder = Path::new(folder);
    let options = options().checkpoint(folder.join("checkpoint").to_str().unwrap());
    let (source, callback) = (folder.join("source"), Callback::new(url).unwrap());
    match client.upload_file_with_callback(BUCKET, KEY, source, &callback, &options) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {}
        Err(error) => panic!("{error}"),
    }
}

fn child(rig: &Rig, place: &Place) -> Child {
    let emulator = &rig.emulator;
    let folder = place.folder.path().display().to_string();
    let (endpoint, url) = (emulator.endpoint(), rig.app.url("/ok"));
    let job =
        [&*endpoint, emulator.access_key_id(), emulator.access_key_secret(), &*url, &*folder].join("\n");
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child_that_is_killed", "--ignored"])
        .env(JOB, job)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What is left when an upload has been made in the end.
#[track_caller]
fn assert_made_once(rig: &Rig, kills: usize) {
    assert!(rig.holds(&data()), "the object is whole");
    let left = (rig.callbacks(), rig.repeated_parts(), rig.uploads_left());
    assert_eq!(left, (1, 0, 0), "callbacks, parts sent twice, uploads left, after {kills} kills");
}

#[test]
fn an_upload_that_is_killed_at_any_moment_goes_on_and_calls_back_once() {
    let wanted = std::env::var("OSS_CALLBACK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let (mut kills, mut random) = (0, 0x9E37_79B9_7F4A_7C15_u64 ^ u64::from(std::process::id()));
    let (mut uploads, mut gaps) = (0, 0);
    while kills < wanted {
        let (rig, place) = (Rig::start(), Place::with(&data()));
        rig.fault(
            "delay seconds=0.015 on=UploadPart times=always
             delay seconds=0.03 on=InitiateMultipartUpload,CompleteMultipartUpload times=always",
        );
        loop {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut child = child(&rig, &place);
            if kills >= wanted {
                assert!(child.wait().unwrap().success(), "the last run must end well");
                break;
            }
            std::thread::sleep(Duration::from_millis(5 + (random >> 33) % 200));
            let done = child.try_wait().unwrap();
            if let Some(status) = done {
                assert!(status.success(), "a run after {kills} kills failed");
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            let saved = std::fs::read_to_string(place.checkpoint()).unwrap_or_default();
            gaps += usize::from(saved.contains("\"upload_id\":null"));
            // What the emulator was doing for the child, it finishes.
            std::thread::sleep(Duration::from_millis(50));
            // Killed between the end of the upload and its own: there is nothing left to go on with.
            if rig.object().is_some() && !place.checkpoint().exists() {
                break;
            }
        }
        uploads += 1;
        assert_made_once(&rig, kills);
    }
    eprintln!("{kills} kills in {uploads} uploads, {gaps} of them before OSS's answer to Initiate was noted");
}

/// Every run is killed while it waits for the answer to Initiate; the last one is not.
#[test]
fn uploads_that_were_killed_before_their_id_was_known_do_not_stay() {
    let (rig, place) = (Rig::start(), Place::with(&data()));
    let uploads = || rig.emulator.uploads(BUCKET);
    for _ in 0..2 {
        rig.fault("delay seconds=20 on=InitiateMultipartUpload");
        let (before, begun) = (uploads(), Instant::now());
        let mut child = child(&rig, &place);
        while uploads().iter().all(|upload| before.contains(upload))
            && begun.elapsed() < Duration::from_secs(15)
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = uploads();
        assert!(
            left.len() == 1 && !before.contains(&left[0]),
            "the one of the run before is gone, that of this one is there: {before:?}, {left:?}"
        );
    }
    rig.emulator.clear_faults();
    upload(&rig, place.source(), place.options()).unwrap();
    assert_made_once(&rig, 2);
}

/// An upload whose answer to Initiate is lost: it is not known whether there is one.
fn lose_the_answer(rig: &Rig, place: &Place) {
    rig.fault("close answer=0 on=InitiateMultipartUpload");
    let client = rig.client_builder().retries(0).build().unwrap();
    let (callback, options) = (rig.callback(), place.options());
    let error =
        client.upload_file_with_callback(BUCKET, KEY, place.source(), &callback, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(place.checkpoint().exists());
}

/// Begins an upload that is somebody else's, and leaves it under way.
fn somebody_elses(rig: &Rig, source: &Path, parts: bool) {
    rig.fault("error status=403 on=AbortMultipartUpload");
    rig.fault(if parts {
        "error status=403 on=CompleteMultipartUpload"
    } else {
        "error status=403 on=UploadPart times=always"
    });
    let _ = rig.client_builder().retries(0).build().unwrap().upload_file_with_callback(
        BUCKET,
        KEY,
        source,
        &rig.callback(),
        // One after the other: one that is on its way when another is refused would arrive after all.
        &UploadOptions::default().threshold(0).part_size(102_400).parallel(1),
    );
    rig.emulator.clear_faults();
}

#[test]
fn uploads_that_may_be_somebody_elses_are_left_alone() {
    /// What is there, and how many uploads there are before and after.
    type Case = (&'static str, fn(&Rig, &Place), usize, usize);
    let cases: [Case; 4] = [
        ("nobody's but ours", |rig, place| lose_the_answer(rig, place), 1, 0),
        (
            "one from long before",
            |rig, place| {
                rig.emulator.set_clock_offset_seconds(-60);
                somebody_elses(rig, &place.source(), false);
                rig.emulator.set_clock_offset_seconds(0);
                lose_the_answer(rig, place);
            },
            2,
            1,
        ),
        (
            "one of the same second that has parts",
            |rig, place| {
                lose_the_answer(rig, place);
                somebody_elses(rig, &place.source(), true);
            },
            2,
            1,
        ),
        (
            "one of the same second without parts: ours cannot be told from it",
            |rig, place| {
                lose_the_answer(rig, place);
                somebody_elses(rig, &place.source(), false);
            },
            2,
            2,
        ),
    ];
    for (case, prepare, before, after) in cases {
        let (rig, place) = (Rig::start(), Place::with(&data()));
        prepare(&rig, &place);
        assert_eq!(rig.uploads_left(), before, "{case}");
        upload(&rig, place.source(), place.options()).unwrap();
        assert_eq!((rig.uploads_left(), rig.callbacks()), (after, 1), "{case}");
        assert!(!place.checkpoint().exists());
    }
}

#[test]
fn an_upload_that_oss_refuses_to_begin_leaves_no_checkpoint() {
    let (rig, place) = (Rig::start(), Place::with(&data()));
    rig.fault("error status=403 code=AccessDenied on=InitiateMultipartUpload");
    let error = upload(&rig, place.source(), place.options()).unwrap_err();
    assert_eq!((error.kind(), place.checkpoint().exists()), (ErrorKind::Service, false));
    // Where uploads may not be listed, the empty one stays, and nothing else is the worse for it.
    lose_the_answer(&rig, &place);
    rig.fault("error status=403 code=AccessDenied on=ListMultipartUploads");
    upload(&rig, place.source(), place.options()).unwrap();
    assert_eq!((rig.uploads_left(), rig.count(Operation::ListMultipartUploads)), (1, 1));
}

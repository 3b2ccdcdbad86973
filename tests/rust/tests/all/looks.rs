//! What a look at OSS tells after a lost answer, in this run or an earlier one, and what it cannot tell.

use std::io::Write;
use std::sync::{Arc, Mutex};

use oss_callback::{CallbackRetry, Client, Error, ErrorKind, PutOptions, UploadRequest};
use oss_callback_emulator::Operation;
use oss_callback_tests::http::{Server, Then};
use oss_callback_tests::rig::{BUCKET, KEY, Rig};

use crate::uploads::{self, Place, data, options, upload};

const EXISTS: &str = "<Error><Code>FileAlreadyExists</Code><Message>it exists</Message></Error>";

/// Plays OSS: `answer` gets the method and how often it came, and gives status, headers and body; none closes.
fn oss(
    answer: impl Fn(&str, usize) -> Option<(&'static str, &'static str, &'static str)> + Send + Sync + 'static,
) -> (Server, Client, Arc<Mutex<Vec<String>>>) {
    let methods = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&methods);
    let server = Server::start(move |request, stream| {
        let mut seen = seen.lock().unwrap();
        seen.push(request.method.clone());
        let count = seen.iter().filter(|method| **method == request.method).count();
        if let Some((status, headers, body)) = answer(&request.method, count) {
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")?;
            return Ok(Then::KeepAlive);
        }
        Ok(Then::Close)
    })
    .unwrap();
    let builder = Client::builder().endpoint(server.url()).region("cn-hangzhou");
    let client = builder.access_key_id("id").access_key_secret("secret").build().unwrap();
    (server, client, methods)
}

fn put(client: &Client, options: &PutOptions) -> Error {
    let callback = oss_callback::Callback::new("http://app.example.com/cb").unwrap();
    client.put_object_with_callback_opts(BUCKET, KEY, "data", &callback, options).unwrap_err()
}

#[test]
fn an_attempt_that_arrives_after_the_look_is_not_denied() {
    const ID: &str = "x-oss-request-id: R\r\n";
    let (_server, client, methods) = oss(|method, count| match (method, count) {
        ("PUT", 1) => None,
        ("HEAD", _) => Some(("404 Not Found", ID, "")),
        _ => Some(("409 Conflict", ID, EXISTS)),
    });
    let error = put(&client, &PutOptions::default().forbid_overwrite(true));
    assert_eq!((error.code(), error.maybe_stored()), (Some("FileAlreadyExists"), true), "{error}");
    assert_eq!(*methods.lock().unwrap(), ["PUT", "HEAD", "HEAD", "PUT", "HEAD", "HEAD"]);
}

#[test]
fn an_object_from_before_that_bars_the_way_leaves_nothing_open() {
    let rig = Rig::start();
    rig.emulator.set_clock_offset_seconds(-60);
    rig.client().put_object_with_callback(BUCKET, KEY, "before", &rig.callback()).unwrap();
    rig.emulator.set_clock_offset_seconds(0);
    rig.fault("gateway on=PutObject");
    let options = PutOptions::default().forbid_overwrite(true);
    let error = rig
        .client()
        .put_object_with_callback_opts(BUCKET, KEY, "data", &rig.callback(), &options)
        .unwrap_err();
    assert_eq!((error.code(), error.maybe_stored()), (Some("FileAlreadyExists"), false), "{error}");
    assert_eq!(rig.callbacks(), 1);
}

#[test]
fn a_gateways_page_does_not_say_that_nothing_is_stored() {
    const PAGE: &str = "<html>default backend</html>";
    for page in
        [("404 Not Found", "", PAGE), ("200 OK", "Last-Modified: Sun, 22 Nov 2020 12:00:10 GMT\r\n", PAGE)]
    {
        let (_server, client, methods) = oss(move |method, _| match method {
            "PUT" => Some(("502 Bad Gateway", "", PAGE)),
            _ => Some(page),
        });
        let error = put(&client, &PutOptions::default());
        assert_eq!((error.status(), error.maybe_stored()), (Some(502), true), "{error}");
        assert_eq!(*methods.lock().unwrap(), ["PUT", "HEAD"]);
    }
}

/// An upload whose last request got no answer, and whether it was carried out.
fn left_at_complete(carried_out: bool) -> (Rig, Place) {
    let (rig, place) = (Rig::start(), Place::with(&data()));
    let fault = if carried_out { "close answer=0" } else { "close request=all" };
    rig.fault(&format!("{fault} on=CompleteMultipartUpload"));
    let options = place.options().callback_retry(CallbackRetry::Never);
    let error = upload(&rig, place.source(), options).unwrap_err();
    assert!(error.maybe_stored(), "{error}");
    (rig, place)
}

#[test]
fn a_source_that_has_changed_since_it_was_completed_is_uploaded() {
    let (rig, place) = left_at_complete(true);
    let mut changed = data();
    changed[7] ^= 1;
    std::fs::write(place.source(), &changed).unwrap();
    upload(&rig, place.source(), place.options()).unwrap();
    assert!(rig.holds(&changed));
    assert_eq!((rig.callbacks(), rig.uploads_left()), (2, 0));
}

#[test]
fn a_source_that_was_only_touched_is_not_uploaded_again() {
    let (rig, place) = left_at_complete(true);
    std::fs::write(place.source(), data()).unwrap();
    let error = upload(&rig, place.source(), place.options()).unwrap_err();
    assert_eq!((error.kind(), rig.callbacks()), (ErrorKind::OutcomeUnknown, 1), "{error}");
}

#[test]
fn a_request_of_an_earlier_run_that_is_carried_out_late_is_found() {
    let (rig, place) = left_at_complete(false);
    let late = place.folder.path().join("late");
    std::fs::copy(place.checkpoint(), &late).unwrap();
    // Another run takes it up, and ends before it completes it.
    let request = || UploadRequest::new(BUCKET, KEY, place.source(), &rig.callback());
    let stopped = request().options(place.options()).progress_while(|_| false);
    let error = rig.client().upload(stopped).unwrap_err();
    assert_eq!((error.kind(), error.maybe_stored()), (ErrorKind::Cancelled, true), "{error}");
    assert!(!error.to_string().contains("othing"), "{error}");
    // The earlier run's request is carried out after all.
    let theirs = options().checkpoint(late.to_str().unwrap());
    rig.client().upload(request().options(theirs)).unwrap();
    let error = rig.client().upload(request().options(place.options())).unwrap_err();
    assert_eq!((error.kind(), rig.callbacks()), (ErrorKind::OutcomeUnknown, 1), "{error}");
}

#[test]
fn an_upload_that_has_gone_with_its_object_is_not_begun_anew() {
    let (rig, place) = left_at_complete(false);
    rig.emulator.abort_uploads(BUCKET);
    let error = upload(&rig, place.source(), place.options()).unwrap_err();
    assert!(error.maybe_stored() && error.hint().unwrap().contains("delete the checkpoint"), "{error}");
    assert_eq!((rig.count(Operation::InitiateMultipartUpload), rig.callbacks()), (1, 0));
    // Whoever bears a second callback gets on.
    let options = place.options().callback_retry(CallbackRetry::Always);
    upload(&rig, place.source(), options).unwrap();
    assert_eq!(rig.callbacks(), 1);
}

#[test]
fn a_last_request_that_was_refused_leaves_nothing_open() {
    let (rig, place) = (Rig::start(), Place::with(&data()));
    rig.fault("error status=403 code=AccessDenied on=CompleteMultipartUpload times=2");
    for _ in 0..2 {
        let error = upload(&rig, place.source(), place.options()).unwrap_err();
        assert_eq!((error.code(), error.maybe_stored()), (Some("AccessDenied"), false), "{error}");
        assert!(error.hint().unwrap().contains("goes on from there"), "{error}");
    }
    // Nor does the upload stand in the way when OSS has dropped it.
    rig.emulator.abort_uploads(BUCKET);
    upload(&rig, place.source(), place.options()).unwrap();
    assert!(rig.holds(&data()));
    assert_eq!(rig.callbacks(), 1);
}

#[test]
fn the_same_object_from_before_an_earlier_run_is_not_taken_for_its_work() {
    let (rig, place) = (Rig::start(), Place::with(&data()));
    rig.emulator.set_clock_offset_seconds(-3600);
    rig.client().put_object_with_callback(BUCKET, KEY, data(), &rig.callback()).unwrap();
    rig.emulator.set_clock_offset_seconds(0);
    rig.fault("close request=all on=CompleteMultipartUpload");
    let options = place.options().callback_retry(CallbackRetry::Never);
    upload(&rig, place.source(), options).unwrap_err();
    rig.emulator.abort_uploads(BUCKET);
    let error = upload(&rig, place.source(), place.options()).unwrap_err();
    assert_eq!((error.stored(), error.maybe_stored()), (false, true), "{error}");
}

#[test]
fn options_that_are_fixed_when_an_upload_begins_cannot_change_later() {
    let (rig, place) = (Rig::start(), Place::with(&data()));
    uploads::cancelled_after(&rig, &place, 2, place.options().content_type("text/plain"));
    let error = upload(&rig, place.source(), place.options().content_type("image/png")).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("checkpoint")));
    assert!(error.to_string().contains("other options"), "{error}");
    let (other, completed) = left_at_complete(true);
    let error =
        upload(&other, completed.source(), completed.options().content_type("image/png")).unwrap_err();
    assert!(error.maybe_stored() && error.to_string().contains("other options"), "{error}");
    // What concerns the requests alone may.
    let options = place.options().content_type("text/plain").traffic_limit(100 * 1024 * 1024);
    upload(&rig, place.source(), options).unwrap();
    assert_eq!((rig.count(Operation::InitiateMultipartUpload), rig.callbacks()), (1, 1));
}

//! Multipart uploads, and OSS's rules on sizes, order and ETags.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oss_callback::checksum::crc64;
use oss_callback_emulator::Emulator;

use crate::client::{Answer, call};

const FULL: usize = 100 * 1024;

struct Upload<'e> {
    emulator: &'e Emulator,
    id: String,
}

impl<'e> Upload<'e> {
    fn begin(emulator: &'e Emulator) -> Upload<'e> {
        let answer =
            call("POST", "bkt", "k").query("uploads", "").header("Content-Type", "text/x").send(emulator);
        Upload { emulator, id: answer.element("UploadId").unwrap() }
    }

    fn part(&self, number: u32, body: &[u8]) -> Answer {
        let call =
            call("PUT", "bkt", "k").query("partNumber", &number.to_string()).query("uploadId", &self.id);
        call.body(body).send(self.emulator)
    }

    fn complete(&self, parts: &[(u32, &str)]) -> Answer {
        let list: String = parts
            .iter()
            .map(|(number, etag)| {
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        call("POST", "bkt", "k").query("uploadId", &self.id).body(body).send(self.emulator)
    }
}

#[test]
fn the_object_is_its_parts_in_order() {
    let emulator = Emulator::builder().start().unwrap();
    let upload = Upload::begin(&emulator);
    let (first, second) = (vec![1; FULL], vec![2; 10]);
    // Sent in another order, one of them twice, and with a gap between their numbers.
    let two = upload.part(7, &second);
    upload.part(2, b"to be replaced");
    let one = upload.part(2, &first);
    assert_eq!(one.header("x-oss-hash-crc64ecma"), Some(crc64(&first).to_string().as_str()));
    let (one, two) = (one.header("etag").unwrap().to_owned(), two.header("etag").unwrap().to_lowercase());
    let answer = upload.complete(&[(2, &one.replace('"', "&quot;")), (7, two.trim_matches('"'))]);
    assert_eq!(answer.status, 200, "{}", answer.text());

    let whole = [first, second].concat();
    assert_eq!(answer.header("x-oss-hash-crc64ecma"), Some(crc64(&whole).to_string().as_str()));
    assert_eq!(
        answer.element("ETag").map(|etag| etag.replace("&quot;", "\"")).as_deref(),
        answer.header("etag")
    );
    assert!(answer.header("etag").unwrap().ends_with("-2\""));
    let stored = emulator.object("bkt", "k").unwrap();
    assert_eq!((stored.data.to_vec() == whole, stored.crc64, stored.multipart), (true, crc64(&whole), true));
    assert_eq!(stored.content_type, "text/x");
    assert_eq!(call("HEAD", "bkt", "k").send(&emulator).header("x-oss-object-type"), Some("Multipart"));
    assert!(emulator.uploads("bkt").is_empty());
    assert_eq!(upload.complete(&[(2, "x")]).verdict(), (404, "NoSuchUpload".to_owned()));
}

#[test]
fn lists_that_break_a_rule_are_refused_and_the_upload_goes_on() {
    let emulator = Emulator::builder().start().unwrap();
    let upload = Upload::begin(&emulator);
    let etag = |answer: Answer| answer.header("etag").unwrap().to_owned();
    let (one, two) = (etag(upload.part(1, b"small")), etag(upload.part(2, b"last")));
    for (list, code) in [
        (vec![(2, two.as_str()), (1, one.as_str())], "InvalidPartOrder"),
        (vec![(1, one.as_str()), (1, one.as_str())], "InvalidPartOrder"),
        (vec![(1, two.as_str())], "InvalidPart"),
        (vec![(3, one.as_str())], "InvalidPart"),
        (vec![(1, one.as_str()), (2, two.as_str())], "EntityTooSmall"),
        (vec![], "InvalidArgument"),
    ] {
        assert_eq!(upload.complete(&list).verdict(), (400, code.to_owned()), "{list:?}");
    }
    let malformed = call("POST", "bkt", "k").query("uploadId", &upload.id).body("<Complete").send(&emulator);
    assert_eq!(malformed.verdict(), (400, "MalformedXML".to_owned()));
    assert!(emulator.object("bkt", "k").is_none());
    assert_eq!(upload.complete(&[(2, &two)]).status, 200, "a part may be left out");
    assert_eq!(emulator.object("bkt", "k").unwrap().data, "last");
}

#[test]
fn parts_can_be_copied_out_of_other_objects() {
    let emulator = Emulator::builder().start().unwrap();
    let source: Vec<u8> = (0..FULL + 50).map(|number| (number % 251) as u8).collect();
    call("PUT", "bkt", "source").body(source.clone()).send(&emulator);
    let upload = Upload::begin(&emulator);
    let copy = |number: &str, range: &str| {
        let copy = call("PUT", "bkt", "k").query("partNumber", number).query("uploadId", &upload.id);
        copy.header("x-oss-copy-source", "/bkt/source")
            .header("x-oss-copy-source-range", range)
            .send(&emulator)
    };
    let (one, two) = (copy("1", &format!("bytes=0-{}", FULL - 1)), copy("2", &format!("bytes={FULL}-")));
    assert_eq!(copy("3", "bytes=0-999999").verdict(), (416, "InvalidRange".to_owned()));
    let etags = [one, two].map(|answer| answer.element("ETag").unwrap());
    assert_eq!(upload.complete(&[(1, &etags[0]), (2, &etags[1])]).status, 200);
    let stored = emulator.object("bkt", "k").unwrap();
    assert!(stored.data == source && stored.crc64 == crc64(&source));
}

#[test]
fn complete_all_takes_every_part() {
    let emulator = Emulator::builder().start().unwrap();
    let upload = Upload::begin(&emulator);
    upload.part(9, b"end");
    upload.part(3, &vec![b'x'; FULL]);
    let complete = call("POST", "bkt", "k").query("uploadId", &upload.id).header("x-oss-complete-all", "yes");
    let with_list =
        complete.clone().body("<CompleteMultipartUpload></CompleteMultipartUpload>").send(&emulator);
    assert_eq!(with_list.verdict(), (400, "InvalidArgument".to_owned()));
    assert_eq!(complete.send(&emulator).status, 200);
    assert_eq!(emulator.object("bkt", "k").unwrap().data.len(), FULL + 3);
}

#[test]
fn part_numbers_and_upload_ids_are_checked() {
    let emulator = Emulator::builder().start().unwrap();
    let upload = Upload::begin(&emulator);
    for number in [0, 10_001] {
        assert_eq!(upload.part(number, b"x").verdict(), (400, "InvalidArgument".to_owned()), "{number}");
    }
    let stray = Upload { emulator: &emulator, id: "0".repeat(32) };
    assert_eq!(stray.part(1, b"x").verdict(), (404, "NoSuchUpload".to_owned()));
    let other_key =
        call("PUT", "bkt", "other").query("partNumber", "1").query("uploadId", &upload.id).send(&emulator);
    assert_eq!(other_key.verdict(), (404, "NoSuchUpload".to_owned()));
    let abort = call("DELETE", "bkt", "k").query("uploadId", &upload.id);
    assert_eq!((abort.send(&emulator).status, abort.send(&emulator).status), (204, 404));
    assert!(emulator.uploads("bkt").is_empty());
}

#[test]
fn parts_and_uploads_are_listed_page_by_page() {
    let emulator = Emulator::builder().start().unwrap();
    let upload = Upload::begin(&emulator);
    let nothing = call("GET", "bkt", "k").query("uploadId", &upload.id).send(&emulator).text();
    for name in ["PartNumberMarker", "NextPartNumberMarker"] {
        assert!(nothing.contains(&format!("<{name}></{name}>")), "without parts it is empty: {nothing}");
    }
    for number in [1, 5, 9] {
        upload.part(number, b"x");
    }
    let list = |marker: &str| {
        let list = call("GET", "bkt", "k").query("uploadId", &upload.id).query("max-parts", "2");
        list.query("part-number-marker", marker).send(&emulator)
    };
    let page = list("0");
    assert_eq!(page.element("PartNumberMarker").as_deref(), Some("0"));
    assert_eq!(
        (page.elements("PartNumber"), page.element("IsTruncated")),
        (vec!["1".into(), "5".into()], Some("true".into()))
    );
    let page = list(&page.element("NextPartNumberMarker").unwrap());
    assert_eq!(
        (page.elements("PartNumber"), page.element("IsTruncated")),
        (vec!["9".into()], Some("false".into()))
    );

    let mut ids = vec![upload.id.clone()];
    for key in ["k", "dir/1", "dir/2"] {
        ids.extend(call("POST", "bkt", key).query("uploads", "").send(&emulator).element("UploadId"));
    }
    let (mut seen, mut key_marker, mut id_marker) = (Vec::new(), String::new(), String::new());
    loop {
        let page = call("GET", "bkt", "").query("uploads", "").query("max-uploads", "1");
        let page =
            page.query("key-marker", &key_marker).query("upload-id-marker", &id_marker).send(&emulator);
        seen.extend(page.elements("UploadId"));
        if page.element("IsTruncated").as_deref() == Some("false") {
            break;
        }
        key_marker = page.element("NextKeyMarker").unwrap();
        id_marker = page.element("NextUploadIdMarker").unwrap();
    }
    ids.sort();
    seen.sort();
    assert_eq!(seen, ids);
    let rolled_up = call("GET", "bkt", "").query("uploads", "").query("delimiter", "/").send(&emulator);
    assert_eq!((rolled_up.elements("Key").len(), rolled_up.elements("CommonPrefixes").len()), (2, 1));
}

#[test]
fn a_callback_with_another_request_of_the_upload_is_not_looked_at() {
    let emulator = Emulator::builder().start().unwrap();
    // No parameter check would let this pass.
    let nonsense = STANDARD.encode("{\"callbackUrl\":17}");
    let begin =
        call("POST", "bkt", "k").query("uploads", "").header("x-oss-callback", &nonsense).send(&emulator);
    let id = begin.element("UploadId").unwrap();
    let part = call("PUT", "bkt", "k").query("uploadId", &id).query("partNumber", "1");
    assert_eq!(part.header("x-oss-callback", &nonsense).body("x").send(&emulator).status, 200);
    let list = call("GET", "bkt", "k").query("uploadId", &id).header("x-oss-callback", &nonsense);
    assert_eq!(list.send(&emulator).status, 200);
    let both = call("POST", "bkt", "k").query("uploadId", &id).query("callback", &nonsense);
    let both = both.header("x-oss-callback", &nonsense).header("x-oss-complete-all", "yes").send(&emulator);
    assert_eq!((both.status, both.element("EC").as_deref()), (400, Some("0007-00000027")));
    assert!(emulator.object("bkt", "k").is_none());
}

//! Buckets, and what strictness changes.

use oss_callback_emulator::Emulator;

use crate::client::call;

#[test]
fn buckets_come_into_being_at_first_use_unless_strict() {
    let lenient = Emulator::builder().start().unwrap();
    assert_eq!(call("PUT", "fresh", "k").send(&lenient).status, 200);
    assert_eq!(call("GET", "never-used", "k").send(&lenient).verdict(), (404, "NoSuchKey".to_owned()));

    let strict = Emulator::builder().strict(true).start().unwrap();
    for (method, key) in [("PUT", "k"), ("GET", "k"), ("DELETE", "k"), ("GET", ""), ("DELETE", "")] {
        let answer = call(method, "fresh", key).send(&strict);
        assert_eq!(answer.verdict(), (404, "NoSuchBucket".to_owned()), "{method} {key:?}");
    }
    assert_eq!(call("PUT", "fresh", "").send(&strict).status, 200);
    assert_eq!(call("PUT", "fresh", "k").send(&strict).status, 200);
}

#[test]
fn a_bucket_tells_about_itself() {
    let emulator = Emulator::builder().region("cn-beijing").start().unwrap();
    let created =
        call("PUT", "bkt", "").header("x-oss-acl", "public-read").body("<CreateBucketConfiguration/>");
    assert_eq!(created.send(&emulator).status, 200);
    let ask = |name: &str| call("GET", "bkt", "").query(name, "").send(&emulator);
    let info = ask("bucketInfo");
    assert_eq!(info.element("Name").as_deref(), Some("bkt"));
    assert_eq!(info.element("Grant").as_deref(), Some("public-read"));
    assert_eq!(ask("location").element("LocationConstraint").as_deref(), Some("oss-cn-beijing"));
    assert_eq!(
        call("PUT", "bkt", "").query("acl", "").header("x-oss-acl", "private").send(&emulator).status,
        200
    );
    assert_eq!(ask("acl").element("Grant").as_deref(), Some("private"));
    call("PUT", "bkt", "k").body("12345").send(&emulator);
    assert_eq!(
        (ask("stat").element("ObjectCount"), ask("stat").element("Storage")),
        (Some("1".into()), Some("5".into()))
    );
    assert_eq!(ask("versioning").status, 200);
    let bad = call("PUT", "bkt", "").header("x-oss-acl", "open").send(&emulator);
    assert_eq!(bad.verdict(), (400, "InvalidArgument".to_owned()));
}

#[test]
fn only_an_empty_bucket_can_be_deleted() {
    let emulator = Emulator::builder().start().unwrap();
    call("PUT", "bkt", "k").send(&emulator);
    assert_eq!(call("DELETE", "bkt", "").send(&emulator).verdict(), (409, "BucketNotEmpty".to_owned()));
    call("DELETE", "bkt", "k").send(&emulator);
    assert_eq!(call("DELETE", "bkt", "").send(&emulator).status, 204);
    assert_eq!(call("DELETE", "bkt", "").send(&emulator).verdict(), (404, "NoSuchBucket".to_owned()));
}

#[test]
fn the_service_lists_its_buckets_page_by_page() {
    let emulator = Emulator::builder().start().unwrap();
    for bucket in ["aaa", "aab", "bbb"] {
        call("PUT", bucket, "").send(&emulator);
    }
    let page = call("GET", "", "").query("prefix", "aa").query("max-keys", "1").send(&emulator);
    assert_eq!(
        (page.elements("Name"), page.element("NextMarker")),
        (vec!["aaa".to_owned()], Some("aaa".to_owned()))
    );
    let page = call("GET", "", "").query("marker", "aaa").send(&emulator);
    assert_eq!(
        (page.elements("Name"), page.element("IsTruncated")),
        (vec!["aab".into(), "bbb".into()], Some("false".into()))
    );
}

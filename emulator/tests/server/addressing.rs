//! Every way in which clients name a bucket.

use oss_callback_emulator::Emulator;

use crate::client::{call, exchange};

#[test]
fn each_client_s_way_to_address_a_bucket_reaches_the_same_object() {
    let emulator = Emulator::builder().cname("img.example.com", "bkt").start().unwrap();
    call("PUT", "bkt", "dir/k").body("hello").send(&emulator);
    for (host, target) in [
        ("127.0.0.1:80", "/bkt/dir/k"),
        ("localhost", "/bkt/dir/k"),
        ("bkt.localhost:9000", "/dir/k"),
        ("bkt.127.0.0.1", "/dir/k"),
        ("bkt.oss-cn-hangzhou.aliyuncs.com", "/dir/k"),
        // ali-oss with sldEnable names the bucket twice.
        ("bkt.oss-cn-hangzhou.aliyuncs.com", "/bkt/dir/k"),
        ("oss.docker.internal", "/bkt/dir/k"),
        ("IMG.example.com", "/dir/k"),
        ("ignored.example", "http://bkt.oss-cn-beijing.aliyuncs.com/dir/k"),
        ("ignored.example", "http://127.0.0.1:1/bkt/dir%2Fk"),
    ] {
        let answer = call("GET", "bkt", "dir/k").host(host).target(target).send(&emulator);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "hello"),
            "{host} {target}: {}",
            answer.text()
        );
    }
    let answer = call("GET", "", "").host("oss-cn-hangzhou.aliyuncs.com").target("/").send(&emulator);
    assert_eq!(answer.elements("Name"), ["bkt"]);
}

#[test]
fn a_key_that_starts_with_the_bucket_s_name_is_not_mistaken() {
    let emulator = Emulator::builder().start().unwrap();
    let by_host = |method: &str, key: &str, target: &str| {
        call(method, "bkt", key).host("bkt.localhost").target(target).body(key).send(&emulator)
    };
    assert_eq!(by_host("PUT", "bkt/k", "/bkt/k").status, 200);
    assert_eq!(by_host("PUT", "k", "/bkt/k").status, 200, "the signature says which one is meant");
    assert_eq!(emulator.keys("bkt"), ["bkt/k", "k"]);
    assert_eq!(emulator.object("bkt", "bkt/k").unwrap().data, "bkt/k");
    assert_eq!(emulator.object("bkt", "k").unwrap().data, "k");
}

#[test]
fn awkward_keys_come_through_byte_for_byte() {
    let emulator = Emulator::builder().start().unwrap();
    let long = "长".repeat(341);
    let keys = [
        ".",
        "..",
        "a/../b",
        "a//b",
        "a/./b/",
        "a+b c%20d%2F",
        "?x=1&y",
        "#frag",
        "emoji 🦀\u{1}\n",
        "a\\b",
        "k;v,w:x@y!'()*",
        "&lt;<x>\"",
        &long,
    ];
    for key in keys {
        let answer = call("PUT", "bkt", key).body(key).send(&emulator);
        assert_eq!(answer.status, 200, "{key:?}: {}", answer.text());
        assert_eq!(emulator.object("bkt", key).unwrap().data, key);
        assert_eq!(call("GET", "bkt", key).send(&emulator).text(), key);
    }
    let list = call("GET", "bkt", "").query("encoding-type", "url").send(&emulator);
    let mut listed = list.elements("Key");
    let mut wanted: Vec<String> = keys
        .iter()
        .map(|key| percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string())
        .map(|key| key.replace("%2E", ".").replace("%2D", "-").replace("%5F", "_").replace("%7E", "~"))
        .collect();
    listed.sort();
    wanted.sort();
    assert_eq!(listed, wanted);
}

#[test]
fn names_that_oss_does_not_allow_are_refused() {
    let emulator = Emulator::builder().start().unwrap();
    let long = "k".repeat(1024);
    for key in ["/a", "\\a", &long] {
        let answer =
            call("PUT", "bkt", key).target(&format!("/bkt/{}", key.replace('\\', "%5C"))).send(&emulator);
        assert_eq!(answer.verdict(), (400, "InvalidObjectName".to_owned()), "{key}");
    }
    for bucket in ["ab", "Bkt", "a_b"] {
        let answer = call("PUT", bucket, "k").send(&emulator);
        assert_eq!(answer.verdict(), (400, "InvalidBucketName".to_owned()), "{bucket}");
    }
    let not_utf8 = b"GET /bkt/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange(emulator.address(), not_utf8).verdict(), (400, "InvalidObjectName".to_owned()));
    assert!(emulator.keys("bkt").is_empty());
}

//! Objects: put, read, describe, copy, list, delete.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oss_callback_emulator::Emulator;

use crate::client::{call, exchange};

fn emulator() -> Emulator {
    Emulator::builder().start().unwrap()
}

#[test]
fn put_answers_with_the_checksums_of_the_body() {
    let emulator = emulator();
    let answer =
        call("PUT", "bkt", "k").header("Content-Type", "text/plain").body("123456789").send(&emulator);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("etag"), Some("\"25F9E794323B453885F5181F1B624D0B\""));
    assert_eq!(answer.header("x-oss-hash-crc64ecma"), Some("11051210869376104954"));
    assert_eq!(answer.header("content-md5"), Some("JfnnlDI7RTiF9RgfG2JNCw=="));
    assert_eq!(answer.header("server"), Some("AliyunOSS"));
    assert_eq!(answer.header("x-oss-request-id").unwrap().len(), 24);
    assert!(answer.header("x-oss-server-time").is_some() && answer.header("date").is_some());
    assert_eq!(emulator.object("bkt", "k").unwrap().crc64, 11_051_210_869_376_104_954);
}

#[test]
fn what_was_said_at_upload_is_said_again() {
    let emulator = emulator();
    let said = [
        ("content-type", "text/x"),
        ("cache-control", "no-store"),
        ("content-disposition", "attachment; filename=\"a.txt\""),
        ("content-encoding", "identity"),
        ("expires", "Wed, 08 Jul 2026 16:57:01 GMT"),
        ("x-oss-meta-who", "me you"),
        ("x-oss-storage-class", "IA"),
        ("x-oss-server-side-encryption", "AES256"),
    ];
    let mut put = call("PUT", "bkt", "k")
        .header("x-oss-object-acl", "public-read")
        .header("x-oss-tagging", "a=1&b=2")
        .body("x");
    for (name, value) in said {
        put = put.header(name, value);
    }
    assert_eq!(put.send(&emulator).status, 200);
    for method in ["GET", "HEAD"] {
        let answer = call(method, "bkt", "k").send(&emulator);
        for (name, value) in said {
            assert_eq!(answer.header(name), Some(value), "{method} {name}");
        }
        assert_eq!(answer.header("x-oss-tagging-count"), Some("2"));
        assert_eq!(answer.header("content-length"), Some("1"));
        assert_eq!(answer.header("x-oss-object-type"), Some("Normal"));
    }
    let acl = call("GET", "bkt", "k").query("acl", "").send(&emulator);
    assert_eq!(acl.element("Grant").as_deref(), Some("public-read"));
    let changed =
        call("PUT", "bkt", "k").query("acl", "").header("x-oss-object-acl", "private").send(&emulator);
    assert_eq!(changed.status, 200);
    let stored = emulator.object("bkt", "k").unwrap();
    assert_eq!(
        (stored.acl.as_str(), stored.data.as_ref(), stored.storage_class.as_str()),
        ("private", &b"x"[..], "IA")
    );
}

#[test]
fn bad_headers_are_refused_before_anything_is_stored() {
    let emulator = emulator();
    for (name, value, code) in [
        ("x-oss-object-acl", "open", "InvalidArgument"),
        ("x-oss-storage-class", "standard", "InvalidArgument"),
        ("x-oss-server-side-encryption", "ROT13", "InvalidArgument"),
        ("x-oss-traffic-limit", "1", "InvalidArgument"),
        ("content-md5", "nonsense", "InvalidDigest"),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", "InvalidDigest"),
    ] {
        let answer = call("PUT", "bkt", "k").header(name, value).body("x").send(&emulator);
        assert_eq!(answer.verdict(), (400, code.to_owned()), "{name}: {value}");
    }
    let answer = call("PUT", "bkt", "k").header("x-oss-meta-a", &"m".repeat(8192)).body("x").send(&emulator);
    assert_eq!(answer.verdict(), (400, "MetaDataTooLarge".to_owned()));
    assert!(emulator.object("bkt", "k").is_none());
    let right = STANDARD.encode(<md5::Md5 as md5::Digest>::digest("x"));
    let good = call("PUT", "bkt", "k").header("content-md5", &right).header("x-oss-traffic-limit", "819200");
    assert_eq!(good.body("x").send(&emulator).status, 200);
}

#[test]
fn forbid_overwrite_keeps_the_first_object() {
    let emulator = emulator();
    let put = |body: &str| {
        call("PUT", "bkt", "k").header("x-oss-forbid-overwrite", "true").body(body).send(&emulator)
    };
    assert_eq!(put("first").status, 200);
    assert_eq!(put("second").verdict(), (409, "FileAlreadyExists".to_owned()));
    assert_eq!(emulator.object("bkt", "k").unwrap().data, "first");
    assert_eq!(call("PUT", "bkt", "k").body("third").send(&emulator).status, 200);
}

#[test]
fn ranges_follow_oss_and_on_demand_http() {
    let emulator = emulator();
    call("PUT", "bkt", "k").body("0123456789").send(&emulator);
    let get = |range: &str, standard: bool| {
        let get = call("GET", "bkt", "k").header("Range", range);
        if standard {
            get.header("x-oss-range-behavior", "standard").send(&emulator)
        } else {
            get.send(&emulator)
        }
    };
    for (range, body, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-5", "2345", "bytes 2-5/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
    ] {
        for standard in [false, true] {
            let answer = get(range, standard);
            assert_eq!((answer.status, answer.text().as_str()), (206, body), "{range}");
            assert_eq!(answer.header("content-range"), Some(content_range));
        }
    }
    for range in [
        "bytes=5-99",
        "bytes=10-20",
        "bytes=10-",
        "bytes=-0",
        "bytes=5-2",
        "bytes=0-1,3-4",
        "lines=1-2",
        "bytes=x",
    ] {
        assert_eq!(get(range, false).status, 200, "{range}");
    }
    let cut = get("bytes=5-99", true);
    assert_eq!((cut.status, cut.text().as_str()), (206, "56789"));
    for range in ["bytes=10-20", "bytes=10-", "bytes=-0", "bytes=99999999999999999-"] {
        assert_eq!(get(range, true).verdict(), (416, "InvalidRange".to_owned()), "{range}");
    }
    assert_eq!(get("bytes=99999999999999999999999-", true).status, 200, "no number, so no range");
}

#[test]
fn conditions_are_checked() {
    let emulator = emulator();
    let etag = call("PUT", "bkt", "k").body("x").send(&emulator).header("etag").unwrap().to_owned();
    let get = |name: &str, value: &str| call("GET", "bkt", "k").header(name, value).send(&emulator).status;
    assert_eq!((get("If-Match", &etag), get("If-Match", "\"other\"")), (200, 412));
    assert_eq!((get("If-None-Match", "\"other\""), get("If-None-Match", &etag)), (200, 304));
    let (past, future) = ("Wed, 21 Feb 2001 02:42:32 GMT", "Tue, 21 Feb 2096 02:42:32 GMT");
    assert_eq!((get("If-Modified-Since", past), get("If-Modified-Since", future)), (200, 304));
    assert_eq!((get("If-Unmodified-Since", future), get("If-Unmodified-Since", past)), (200, 412));
    assert_eq!(call("HEAD", "bkt", "k").header("If-None-Match", &etag).send(&emulator).status, 304);
}

#[test]
fn head_tells_errors_in_headers() {
    let emulator = emulator();
    let answer = call("HEAD", "bkt", "none").send(&emulator);
    assert_eq!((answer.status, answer.header("x-oss-ec")), (404, Some("0026-00000001")));
    let xml = String::from_utf8(STANDARD.decode(answer.header("x-oss-err").unwrap()).unwrap()).unwrap();
    assert!(xml.contains("<Code>NoSuchKey</Code>"), "{xml}");
    assert!(
        xml.contains(&format!("<RequestId>{}</RequestId>", answer.header("x-oss-request-id").unwrap())),
        "{xml}"
    );
    let answer = call("GET", "bkt", "none").send(&emulator);
    assert_eq!(answer.verdict(), (404, "NoSuchKey".to_owned()));
    assert_eq!(answer.header("content-type"), Some("application/xml"));
}

#[test]
fn copies_are_objects_of_their_own() {
    let emulator = emulator();
    call("PUT", "bkt", "a b").header("x-oss-meta-a", "1").body("data").send(&emulator);
    let copy = |directive: &str| {
        let copy = call("PUT", "other", "copy")
            .header("x-oss-copy-source", "/bkt/a%20b")
            .header("x-oss-meta-a", "2");
        copy.header("x-oss-metadata-directive", directive).send(&emulator)
    };
    for (directive, meta) in [("COPY", "1"), ("REPLACE", "2")] {
        let answer = copy(directive);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(
            answer.element("ETag").as_deref(),
            answer.header("etag").map(|tag| tag.replace('"', "&quot;")).as_deref()
        );
        let stored = emulator.object("other", "copy").unwrap();
        assert_eq!(
            (stored.data.as_ref(), stored.headers),
            (&b"data"[..], vec![("x-oss-meta-a".into(), meta.into())])
        );
    }
    assert_eq!(copy("ADD").verdict(), (400, "InvalidArgument".to_owned()));
    let missing = call("PUT", "other", "x").header("x-oss-copy-source", "/bkt/none").send(&emulator);
    assert_eq!(missing.verdict(), (404, "NoSuchKey".to_owned()));
}

#[test]
fn tags_come_with_an_upload_or_by_themselves() {
    let emulator = emulator();
    call("PUT", "bkt", "k").header("x-oss-tagging", "a=1&b%20c=").body("data").send(&emulator);
    let tags = call("GET", "bkt", "k").query("tagging", "").send(&emulator);
    assert_eq!(tags.elements("Key"), ["a", "b c"]);
    assert_eq!(tags.elements("Value"), ["1", ""]);
    let put = |document: &str| call("PUT", "bkt", "k").query("tagging", "").body(document).send(&emulator);
    let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>v</Value></Tag>");
    let many: String = (0..11).map(|number| tag(&number.to_string())).collect();
    for bad in [many, tag("a") + &tag("a"), tag(""), tag("a&amp;b"), tag(&"k".repeat(129))] {
        let answer = put(&format!("<Tagging><TagSet>{bad}</TagSet></Tagging>"));
        assert_eq!(answer.verdict(), (400, "InvalidTag".to_owned()), "{bad}");
    }
    assert_eq!(put(&format!("<Tagging><TagSet>{}</TagSet></Tagging>", tag("new"))).status, 200);
    assert_eq!(emulator.object("bkt", "k").unwrap().tags, [("new".to_owned(), "v".to_owned())]);
    assert_eq!(call("DELETE", "bkt", "k").query("tagging", "").send(&emulator).status, 204);
    let stored = emulator.object("bkt", "k").unwrap();
    assert_eq!((stored.tags.len(), stored.data.as_ref()), (0, &b"data"[..]));
}

#[test]
fn deletion_is_final_and_may_be_repeated() {
    let emulator = emulator();
    for key in ["a", "b&c", "d"] {
        call("PUT", "bkt", key).send(&emulator);
    }
    assert_eq!(call("DELETE", "bkt", "a").send(&emulator).status, 204);
    assert_eq!(call("DELETE", "bkt", "a").send(&emulator).status, 204);
    let many = |body: &str| call("POST", "bkt", "").query("delete", "").body(body).send(&emulator);
    let answer = many("<Delete><Object><Key>b&amp;c</Key></Object><Object><Key>none</Key></Object></Delete>");
    assert_eq!(answer.elements("Key"), ["b&amp;c", "none"]);
    assert_eq!(emulator.keys("bkt"), ["d"]);
    let quiet = many("<Delete><Quiet>true</Quiet><Object><Key>d</Key></Object></Delete>");
    assert_eq!((quiet.status, quiet.text().as_str()), (200, ""));
    assert!(emulator.keys("bkt").is_empty());
    for bad in ["", "<Delete>", "<Delete></Delete>", "<Delete><Object/></Delete>", "\u{0}"] {
        assert_eq!(many(bad).verdict(), (400, "MalformedXML".to_owned()), "{bad:?}");
    }
}

#[test]
fn lists_page_through_all_keys_in_both_versions() {
    let emulator = emulator();
    for key in ["a/1", "a/2", "b", "c/1", "d"] {
        call("PUT", "bkt", key).body(key).send(&emulator);
    }
    for version in [1, 2] {
        let (mut keys, mut prefixes, mut token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let mut list = call("GET", "bkt", "").query("max-keys", "1").query("delimiter", "/");
            list = match version {
                1 => list.query("marker", &token),
                _ => list.query("list-type", "2").query("continuation-token", &token),
            };
            let page = list.send(&emulator);
            assert_eq!(page.status, 200, "{}", page.text());
            keys.extend(page.elements("Key"));
            prefixes.extend(page.elements("CommonPrefixes"));
            if page.element("IsTruncated").as_deref() == Some("false") {
                break;
            }
            token = page.element(if version == 1 { "NextMarker" } else { "NextContinuationToken" }).unwrap();
        }
        assert_eq!(keys, ["b", "d"], "version {version}");
        assert_eq!(prefixes, ["<Prefix>a/</Prefix>", "<Prefix>c/</Prefix>"], "version {version}");
    }
    let v2 = call("GET", "bkt", "")
        .query("list-type", "2")
        .query("start-after", "b")
        .query("prefix", "")
        .send(&emulator);
    assert_eq!(v2.elements("Key"), ["c/1", "d"]);
    assert_eq!(v2.element("KeyCount").as_deref(), Some("2"));
    assert_eq!(v2.elements("Size"), ["3", "1"]);
    for (name, value) in
        [("max-keys", "0"), ("max-keys", "1001"), ("max-keys", "x"), ("encoding-type", "hex")]
    {
        let answer = call("GET", "bkt", "").query(name, value).send(&emulator);
        assert_eq!(answer.verdict(), (400, "InvalidArgument".to_owned()), "{name}={value}");
    }
    let token =
        call("GET", "bkt", "").query("list-type", "2").query("continuation-token", "%%%").send(&emulator);
    assert_eq!(token.verdict(), (400, "InvalidArgument".to_owned()));
}

#[test]
fn what_the_emulator_lacks_is_said_plainly() {
    let emulator = emulator();
    for (method, key, name) in [
        ("GET", "k", "symlink"),
        ("PUT", "", "lifecycle"),
        ("POST", "k", "append"),
        ("GET", "k", "x-oss-process"),
    ] {
        let answer = call(method, "bkt", key).query(name, "").send(&emulator);
        assert_eq!(answer.verdict(), (501, "NotImplemented".to_owned()), "{name}");
        assert!(answer.element("Message").unwrap().contains(name), "{}", answer.text());
    }
    assert_eq!(call("PATCH", "bkt", "k").send(&emulator).verdict(), (405, "MethodNotAllowed".to_owned()));
    // What OSS does not know either makes no difference.
    assert_eq!(call("PUT", "bkt", "k").query("cache-buster", "1").send(&emulator).status, 200);
    let connect = exchange(
        emulator.address(),
        b"CONNECT bkt.oss-cn-hangzhou.aliyuncs.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert_eq!(connect.status, 501);
}

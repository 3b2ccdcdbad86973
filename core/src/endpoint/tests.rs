use super::*;

fn parse(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

const BUCKET: Option<&str> = Some("examplebucket");

#[test]
fn endpoints_are_scheme_host_and_port() {
    for (text, shown) in [
        ("oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com"),
        ("https://OSS-cn-Hangzhou.aliyuncs.com/", "https://oss-cn-hangzhou.aliyuncs.com"),
        ("HTTP://example.com:80", "http://example.com"),
        ("https://example.com:443/", "https://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("localhost:8080", "https://localhost:8080"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
        ("http://minio_1:9000", "http://minio_1:9000"),
    ] {
        assert_eq!(parse(text).to_string(), shown);
        assert_eq!(parse(shown), parse(text), "{text} reads back");
    }
}

#[test]
fn anything_beyond_scheme_host_and_port_is_refused_by_name_of_field() {
    for (text, message) in [
        ("", "empty"),
        ("ftp://example.com", "https://"),
        ("https://", "host"),
        ("https://user:s3cret@example.com", "user name"),
        ("https://@example.com", "user name"),
        ("https://example.com/path", "path"),
        ("https://example.com//", "path"),
        ("https://example.com\\x", "path"),
        ("https://example.com/?a", "path"),
        ("https://example.com?a=b", "query"),
        ("https://example.com#top", "fragment"),
        (" https://example.com", "blanks"),
        ("https://example.com ", "blanks"),
        ("https://exam\tple.com\n", "blanks"),
        ("https://example.com:99999", "port"),
        ("https://example.com:0", "port"),
        ("https://example.com:", "port"),
        ("https://a..b", "host"),
        ("https://*.example.com", "host"),
        ("https://e%78ample.com", "percent"),
        ("https://[::1", "host"),
        ("https://256.1.1.1", "host"),
    ] {
        let error = Endpoint::parse(text).expect_err(text);
        assert_eq!(error.field(), Some("endpoint"), "{text}");
        let shown = error.to_string();
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains(message), "{text}: {shown}");
    }
}

#[test]
fn each_network_has_its_endpoint() {
    let host = |network| Endpoint::of_region("cn-hangzhou", network).unwrap().to_string();
    assert_eq!(host(Network::Public), "https://oss-cn-hangzhou.aliyuncs.com");
    assert_eq!(host(Network::Internal), "https://oss-cn-hangzhou-internal.aliyuncs.com");
    assert_eq!(host(Network::DualStack), "https://cn-hangzhou.oss.aliyuncs.com");
    assert_eq!(host(Network::Accelerate), "https://oss-accelerate.aliyuncs.com");
    assert_eq!(host(Network::AccelerateOverseas), "https://oss-accelerate-overseas.aliyuncs.com");
    for network in Network::ALL {
        let endpoint = Endpoint::of_region("cn-hangzhou", *network).unwrap();
        assert_eq!(parse(&endpoint.to_string()), endpoint);
    }
    assert_eq!(Endpoint::of_region("oss-cn-hangzhou", Network::Public).unwrap_err().field(), Some("region"));
}

#[test]
fn the_region_is_told_from_official_hosts_only() {
    for (host, region) in [
        ("oss-cn-hangzhou.aliyuncs.com", Some("cn-hangzhou")),
        ("oss-cn-hangzhou-internal.aliyuncs.com", Some("cn-hangzhou")),
        ("cn-hangzhou.oss.aliyuncs.com", Some("cn-hangzhou")),
        ("s3.oss-ap-southeast-1.aliyuncs.com", Some("ap-southeast-1")),
        ("s3.oss-us-west-1-internal.aliyuncs.com", Some("us-west-1")),
        ("bucket.oss-cn-hangzhou.aliyuncs.com", Some("cn-hangzhou")),
        ("oss-rg-china-mainland.aliyuncs.com", Some("rg-china-mainland")),
        ("oss-accelerate.aliyuncs.com", None),
        ("oss-accelerate-overseas.aliyuncs.com", None),
        ("s3.oss-accelerate.aliyuncs.com", None),
        ("oss.aliyuncs.com", None),
        ("cn-hangzhou.oss-data-acc.aliyuncs.com", None),
        ("aliyuncs.com", None),
        ("static.example.com", None),
        ("oss-cn-hangzhou.aliyuncs.com.example.com", None),
        ("127.0.0.1", None),
    ] {
        assert_eq!(parse(host).region(), region, "{host}");
    }
}

#[test]
fn the_bucket_goes_where_the_addressing_says() {
    let show = |endpoint: &str, addressing| {
        parse(endpoint).target(addressing, BUCKET, Some("a b/中.txt")).unwrap().to_string()
    };
    use Addressing::*;
    let official = "https://oss-cn-hangzhou.aliyuncs.com";
    let path = "a%20b/%E4%B8%AD.txt";
    for (endpoint, addressing, expected) in [
        (official, Auto, "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/"),
        (official, Virtual, "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/"),
        (official, Path, "https://oss-cn-hangzhou.aliyuncs.com/examplebucket/"),
        ("https://static.example.com", Cname, "https://static.example.com/"),
        ("http://127.0.0.1:80", Auto, "http://127.0.0.1/examplebucket/"),
        ("http://[::1]:81", Auto, "http://[::1]:81/examplebucket/"),
        ("http://localhost:81", Auto, "http://localhost:81/examplebucket/"),
        ("http://localhost:81", Virtual, "http://examplebucket.localhost:81/"),
        ("http://oss.localhost:81", Auto, "http://examplebucket.oss.localhost:81/"),
    ] {
        assert_eq!(show(endpoint, addressing), format!("{expected}{path}"));
    }
    let target = |addressing, bucket| parse(official).target(addressing, bucket, None).unwrap().to_string();
    assert_eq!(target(Auto, None), "https://oss-cn-hangzhou.aliyuncs.com/");
    assert_eq!(target(Auto, BUCKET), "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/");
    assert_eq!(target(Path, BUCKET), "https://oss-cn-hangzhou.aliyuncs.com/examplebucket/");
    assert_eq!(target(Path, None), "https://oss-cn-hangzhou.aliyuncs.com/");
}

#[test]
fn impossible_places_for_the_bucket_are_refused() {
    let field = |endpoint: &str, addressing, bucket, key| {
        let error = parse(endpoint).target(addressing, bucket, key).unwrap_err();
        error.field().map(str::to_owned)
    };
    use Addressing::*;
    assert_eq!(field("127.0.0.1", Virtual, BUCKET, None).as_deref(), Some("addressing"));
    assert_eq!(field("example.com", Auto, None, Some("key")).as_deref(), Some("bucket"));
    assert_eq!(field("example.com", Auto, Some("No"), Some("key")).as_deref(), Some("bucket"));
    for addressing in [Auto, Virtual, Path, Cname] {
        for key in ["..", ".", "/a", ""] {
            assert_eq!(field("example.com", addressing, BUCKET, Some(key)).as_deref(), Some("key"), "{key}");
        }
    }
}

#[test]
fn an_endpoint_that_already_holds_the_bucket_is_pointed_out() {
    let endpoint = parse("https://examplebucket.oss-cn-hangzhou.aliyuncs.com");
    let error = endpoint.target(Addressing::Auto, BUCKET, Some("key")).unwrap_err();
    assert_eq!(error.field(), Some("endpoint"));
    assert_eq!(error.hint(), Some("Write `https://oss-cn-hangzhou.aliyuncs.com`"));
    // A bucket may bear the name of an endpoint's first label.
    for (host, bucket) in
        [("oss-cn-hangzhou.aliyuncs.com", "oss-cn-hangzhou"), ("cn-hangzhou.oss.aliyuncs.com", "cn-hangzhou")]
    {
        parse(host).target(Addressing::Auto, Some(bucket), Some("key")).unwrap();
    }
}

#[test]
fn loopback_is_told_from_the_rest_of_the_world() {
    for host in ["127.0.0.1", "127.8.8.8:80", "[::1]", "localhost", "LOCALHOST:1", "bucket.localhost"] {
        assert!(parse(host).is_loopback(), "{host}");
    }
    for host in ["10.0.0.1", "[::2]", "localhost.example.com", "notlocalhost", "0.0.0.0"] {
        assert!(!parse(host).is_loopback(), "{host}");
    }
    assert!(!parse("http://localhost").is_https() && parse("localhost").is_https());
}

/// What a URL parser makes of the target, and the key that OSS decodes from it.
fn assert_key_survives(key: &str) {
    for (endpoint, addressing, prefix) in [
        ("https://oss-cn-hangzhou.aliyuncs.com", Addressing::Virtual, "/"),
        ("http://127.0.0.1:9000", Addressing::Path, "/examplebucket/"),
        ("https://static.example.com", Addressing::Cname, "/"),
    ] {
        let target = parse(endpoint).target(addressing, BUCKET, Some(key)).unwrap();
        let url = Url::parse(&target.to_string()).unwrap();
        assert_eq!(url.path(), target.path, "{key:?} changed by the URL parser");
        assert_eq!(url.as_str(), target.to_string(), "{key:?}");
        assert_eq!((url.query(), url.fragment()), (None, None), "{key:?}");
        let on_the_wire = url.path().strip_prefix(prefix).unwrap();
        let decoded = percent_encoding::percent_decode_str(on_the_wire).decode_utf8().unwrap();
        assert_eq!(decoded, key);
    }
}

#[test]
fn nasty_keys_reach_oss_byte_for_byte() {
    for key in [
        "a//b///c.txt",
        "a/../b",
        "a/./b",
        "./a",
        "../a",
        "a/..",
        "a/.",
        "a/",
        "../..",
        "././.",
        ".//..",
        "a/..//b",
        "...",
        "..a",
        "a../b",
        ".hidden",
        "a+b c",
        "100%",
        "%2e",
        "%2e%2e/a",
        "a/%2E%2e/b",
        ".%2e/a",
        "%2F",
        "a?b=c",
        "?acl",
        "a#b",
        "#",
        "~a",
        "a\\..\\b",
        "a\\",
        "a\"b'c`d",
        "a|b^c{d}e[f]",
        "<a>",
        "a;b,c:d@e&f=g$h!i*j(k)",
        "目录/图片.jpg",
        "café",
        "a\u{200b}b\u{a0}",
        "\u{1f600}",
        "a\nb\r\tc\0d\u{7f}",
        " a ",
        "a/ /b",
        "C:/a",
        "C|/..",
        "http://x/../y",
        "@",
        "\u{feff}a",
    ] {
        assert_key_survives(key);
    }
}

#[test]
fn random_keys_reach_oss_byte_for_byte() {
    const PIECES: &[&str] = &[
        "/",
        "/",
        "/",
        ".",
        ".",
        "..",
        "%2e",
        "%2E",
        "%",
        "\\",
        "?",
        "#",
        "+",
        " ",
        "~",
        "a",
        "B",
        "7",
        "中",
        "\u{1f600}",
        "\"",
        "|",
        "^",
        "{}",
        "\n",
        "\t",
        ";",
        ":",
        "@",
        "&",
        "=",
        "\u{e9}",
        "%2f",
        "*",
        "'",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % bound
    };
    let mut tried = 0;
    for _ in 0..20_000 {
        let key: String = (0..=next(12)).map(|_| PIECES[next(PIECES.len())]).collect();
        if check_key(&key).is_ok() {
            assert_key_survives(&key);
            tried += 1;
        }
    }
    assert!(tried > 10_000, "only {tried} keys were valid");
}

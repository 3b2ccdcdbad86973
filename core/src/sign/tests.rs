use std::time::UNIX_EPOCH;

use super::*;

const TOKEN: &str = "CAISt0ken/+=";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_702_743_657)
}

fn credentials() -> Credentials {
    Credentials::new("LTAI5tId", "s3cret").unwrap()
}

fn sts() -> Credentials {
    credentials().with_security_token(TOKEN).unwrap()
}

fn both(credentials: Credentials) -> [Signer; 2] {
    [Signer::v1(credentials.clone()), Signer::v4(credentials, "cn-hangzhou").unwrap()]
}

fn endpoint() -> Endpoint {
    Endpoint::parse("oss-cn-hangzhou.aliyuncs.com").unwrap()
}

fn put() -> SignRequest {
    SignRequest {
        method: "PUT".to_owned(),
        bucket: Some("examplebucket".to_owned()),
        key: Some("a b/中.txt".to_owned()),
        ..SignRequest::default()
    }
}

fn with_headers(headers: &[(&str, &str)]) -> SignRequest {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    SignRequest { headers, ..put() }
}

fn with_query(query: &[(&str, Option<&str>)]) -> SignRequest {
    let query = query.iter().map(|(name, value)| (name.to_string(), value.map(str::to_owned))).collect();
    SignRequest { query, ..put() }
}

fn presign(signer: &Signer, request: &SignRequest, seconds: u64) -> Result<PresignedRequest> {
    signer.presign(request, &endpoint(), Addressing::Auto, Duration::from_secs(seconds), now())
}

/// The field that both ways of signing refuse the request for.
fn refused_field(signer: &Signer, request: &SignRequest) -> String {
    let by_header = signer.sign(request, now()).expect_err("signed by header");
    let by_url = presign(signer, request, 60).expect_err("signed by URL");
    assert_eq!(by_header.field(), by_url.field());
    assert_eq!(by_header.kind(), crate::ErrorKind::InvalidArgument);
    by_header.field().unwrap_or_default().to_owned()
}

#[test]
fn header_signature_ignores_the_order_of_headers_and_query() {
    for signer in both(sts()) {
        let mut request =
            with_headers(&[("x-oss-meta-b", "2"), ("Content-Type", "a/b"), ("X-OSS-Meta-A", "1")]);
        request.query = vec![("uploadId".into(), Some("x".into())), ("partNumber".into(), Some("1".into()))];
        request.additional_headers = vec!["range".into(), "HOST".into()];
        request.headers.extend([("Host".into(), "h".into()), ("Range".into(), "r".into())]);
        let straight = signer.sign(&request, now()).unwrap();
        request.headers.reverse();
        request.query.reverse();
        request.additional_headers.reverse();
        assert_eq!(signer.sign(&request, now()).unwrap().signature, straight.signature);
    }
}

#[test]
fn parts_of_the_signature_are_refused_in_query_and_headers() {
    let signers = both(credentials());
    for name in [
        "x-oss-signature",
        "x-oss-signature-version",
        "x-oss-credential",
        "x-oss-date",
        "x-oss-expires",
        "x-oss-additional-headers",
        "x-oss-security-token",
        "Signature",
        "OSSAccessKeyId",
        "Expires",
        "security-token",
    ] {
        for signer in &signers {
            assert_eq!(refused_field(signer, &with_query(&[(name, Some("1"))])), "query", "{name}");
        }
    }
    for name in
        ["Authorization", "authorization", "X-Oss-Security-Token", "x-oss-signature", "x-oss-credential"]
    {
        for signer in &signers {
            assert_eq!(refused_field(signer, &with_headers(&[(name, "1")])), "headers", "{name}");
        }
    }
    let [v1, v4] = signers;
    for header in [("x-oss-date", "20231216T162057Z"), ("x-oss-content-sha256", "abc")] {
        assert_eq!(refused_field(&v4, &with_headers(&[header])), "headers", "{header:?}");
    }
    v1.sign(&with_headers(&[("x-oss-date", "Sat, 16 Dec 2023 16:20:57 GMT")]), now()).unwrap();
}

#[test]
fn what_cannot_be_sent_as_signed_is_refused() {
    for signer in both(credentials()) {
        for name in ["", "a b", "a:b", "ä", "a\r\nb", "x-oss-meta-\u{e9}"] {
            assert_eq!(refused_field(&signer, &with_headers(&[(name, "1")])), "headers", "{name:?}");
        }
        for value in ["a\nb", "a\r", "\0", "\u{7f}", "a\tb"] {
            let request = with_headers(&[("x-oss-meta-a", value)]);
            assert_eq!(refused_field(&signer, &request), "headers", "{value:?}");
            assert_eq!(refused_field(&signer, &with_headers(&[("Range", value)])), "headers", "{value:?}");
        }
        for headers in
            [[("x-oss-meta-a", "1"), ("X-Oss-Meta-A", "2")], [("content-type", "a"), ("Content-Type", "a")]]
        {
            assert_eq!(refused_field(&signer, &with_headers(&headers)), "headers");
        }
        signer.sign(&with_headers(&[("Accept", "a"), ("accept", "b")]), now()).unwrap();
        assert_eq!(refused_field(&signer, &with_query(&[("a", None), ("a", Some("1"))])), "query");
        assert_eq!(refused_field(&signer, &with_query(&[("", Some("1"))])), "query");
        let additional = SignRequest { additional_headers: vec!["a;b".into()], ..put() };
        assert_eq!(refused_field(&signer, &additional), "additional_headers");
        for method in ["", "put", "PU T", "PUT\n"] {
            assert_eq!(refused_field(&signer, &SignRequest { method: method.into(), ..put() }), "method");
        }
        for (bucket, key, field) in [
            (None, Some("k"), "bucket"),
            (Some("No"), None, "bucket"),
            (Some("bkt"), Some("/k"), "key"),
            (Some("bkt"), Some(".."), "key"),
        ] {
            let request =
                SignRequest { bucket: bucket.map(str::to_owned), key: key.map(str::to_owned), ..put() };
            assert_eq!(refused_field(&signer, &request), field, "{bucket:?} {key:?}");
        }
        let early = signer.sign(&put(), UNIX_EPOCH - Duration::from_secs(1)).unwrap_err();
        assert_eq!(early.field(), Some("time"));
    }
}

#[test]
fn a_repeated_additional_header_is_refused_by_v4_alone() {
    let mut request = with_headers(&[("Range", "a"), ("range", "b")]);
    request.additional_headers.push("range".into());
    let [v1, v4] = both(credentials());
    assert_eq!(refused_field(&v4, &request), "headers");
    v1.sign(&request, now()).unwrap();
}

#[test]
fn v4_urls_live_as_long_as_oss_allows() {
    let [v1, v4] = both(credentials());
    let [_, v4_sts] = both(sts());
    for (signer, seconds, allowed) in [
        (&v4, 0, false),
        (&v4, 1, true),
        (&v4, 604_800, true),
        (&v4, 604_801, false),
        (&v4_sts, 43_200, true),
        (&v4_sts, 43_201, false),
        (&v1, 0, false),
        (&v1, 604_801, true),
        (&v1, u64::MAX, false),
    ] {
        match presign(signer, &put(), seconds) {
            Ok(_) => assert!(allowed, "{seconds}"),
            Err(error) => assert_eq!((error.field(), allowed), (Some("expires_in"), false), "{error}"),
        }
    }
}

#[test]
fn a_query_that_contradicts_a_signed_header_is_refused() {
    let [_, v4] = both(credentials());
    let mut request = with_headers(&[("X-Oss-Traffic-Limit", "819200"), ("range", "a")]);
    request.query = vec![("x-oss-traffic-limit".into(), Some("838860800".into()))];
    assert_eq!(presign(&v4, &request, 60).unwrap_err().field(), Some("query"));
    request.query[0].1 = Some("819200".into());
    presign(&v4, &request, 60).unwrap();
    request.query[0] = ("range".into(), None);
    presign(&v4, &request, 60).unwrap();
    request.additional_headers.push("Range".into());
    assert_eq!(presign(&v4, &request, 60).unwrap_err().field(), Some("query"));
}

#[test]
fn host_in_a_url_is_signed_without_being_given() {
    let [_, v4] = both(credentials());
    let mut request = SignRequest { additional_headers: vec!["Host".into()], ..put() };
    let known = presign(&v4, &request, 60).unwrap();
    let canonical = known.canonical_request.as_deref().unwrap();
    assert!(canonical.contains("\nhost:examplebucket.oss-cn-hangzhou.aliyuncs.com\n\nhost\n"), "{canonical}");
    assert!(known.url.contains("&x-oss-additional-headers=host&"));
    request.headers.push(("Host".into(), "examplebucket.oss-cn-hangzhou.aliyuncs.com".into()));
    let given = presign(&v4, &request, 60).unwrap();
    assert_eq!((&known.url, &known.headers), (&given.url, &given.headers));
    assert!(known.headers.is_empty());
}

#[test]
fn a_url_comes_with_the_headers_that_it_covers() {
    let headers =
        [("Content-Type", " a/b "), ("X-Oss-Callback", "e30="), ("Cache-Control", "no-cache"), ("etag", "1")];
    let request = SignRequest { additional_headers: vec!["CACHE-control".into()], ..with_headers(&headers) };
    let [v1, v4] = both(credentials());
    let names = |signer: &Signer| {
        let presigned = presign(signer, &request, 60).unwrap();
        assert_eq!(presigned.headers[0], ("Content-Type".to_owned(), "a/b".to_owned()));
        presigned.headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&v1), ["Content-Type", "X-Oss-Callback"]);
    assert_eq!(names(&v4), ["Content-Type", "X-Oss-Callback", "Cache-Control"]);
}

#[test]
fn keys_with_dot_segments_are_signed_plain_and_sent_with_hidden_slashes() {
    let request = SignRequest { key: Some("a/../b".into()), ..put() };
    let [v1, v4] = both(credentials());
    let by_v4 = presign(&v4, &request, 60).unwrap();
    assert!(by_v4.canonical_request.unwrap().starts_with("PUT\n/examplebucket/a/../b\n"));
    assert!(by_v4.url.starts_with("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a%2F..%2Fb?"));
    let by_v1 = presign(&v1, &request, 60).unwrap();
    assert!(by_v1.string_to_sign.ends_with("\n/examplebucket/a/../b"), "{}", by_v1.string_to_sign);
}

#[test]
fn debug_output_shows_neither_signature_nor_token() {
    for signer in both(sts()) {
        let signed = signer.sign(&put(), now()).unwrap();
        let presigned = presign(&signer, &put(), 60).unwrap();
        let shown = format!("{signer:?} {signed:?} {presigned:#?}");
        for secret in
            [&signed.signature, &presigned.signature, "s3cret", TOKEN, "CAISt0ken", "aliyun_v4_request"]
        {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("LTAI5tId") && shown.contains("Authorization") && shown.contains("PUT"));
    }
    let key = v4::signing_key("s3cret", "20231216", "cn-hangzhou", "oss");
    assert_eq!(format!("{key:?}"), "SigningKey(***)");
}

#[test]
fn regions_and_products_are_checked() {
    let error = Signer::v4(credentials(), "oss-cn-hangzhou").unwrap_err();
    assert_eq!((error.field(), error.hint()), (Some("region"), Some("Write `cn-hangzhou`")));
    let box_signer = Signer::v4(credentials(), "cb-f8z7yvzgwfkl9q0h").unwrap();
    let plain = box_signer.sign(&put(), now()).unwrap();
    let boxed = box_signer.clone().with_product("oss-cloudbox").unwrap().sign(&put(), now()).unwrap();
    let (_, authorization) = boxed.headers.last().unwrap();
    assert!(authorization.contains("/20231216/cb-f8z7yvzgwfkl9q0h/oss-cloudbox/aliyun_v4_request,"));
    assert_ne!(plain.signature, boxed.signature);
    assert_eq!(plain.signature, box_signer.sign(&put(), now()).unwrap().signature);
    for product in ["", "a/b", "OSS"] {
        let error = box_signer.clone().with_product(product).unwrap_err();
        assert_eq!(error.field(), Some("product"), "{product}");
    }
    assert_eq!(Signer::v1(credentials()).with_product("oss").unwrap_err().field(), Some("product"));
}

#[test]
fn a_cached_day_key_never_signs_another_day() {
    let [_, reused] = both(credentials());
    let day = Duration::from_secs(86_400);
    for time in [now(), now() + day, now(), now() + day * 400, now()] {
        let [_, fresh] = both(credentials());
        let expected = fresh.sign(&put(), time).unwrap().signature;
        assert_eq!(reused.sign(&put(), time).unwrap().signature, expected);
    }
}

#[test]
fn one_signer_serves_many_threads() {
    let [_, signer] = both(credentials());
    let expected: Vec<String> = (0..4).map(|day| on_day(&signer, day)).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..500 {
                    let day = round % 4;
                    assert_eq!(on_day(&signer, day), expected[day as usize]);
                }
            });
        }
    });
}

fn on_day(signer: &Signer, day: u32) -> String {
    signer.sign(&put(), now() + Duration::from_secs(86_400) * day).unwrap().signature
}

#[test]
fn a_policy_is_signed_with_the_fields_that_its_conditions_name() {
    for signer in both(sts()) {
        let conditions = signer.policy_conditions(now()).unwrap();
        let list: Vec<String> =
            conditions.iter().map(|(name, value)| format!("{{\"{name}\":\"{value}\"}}")).collect();
        let policy =
            format!("{{\"expiration\":\"2030-01-01T00:00:00.000Z\",\"conditions\":[{}]}}", list.join(","));
        let fields = signer.sign_policy(&policy, now()).unwrap();
        for condition in &conditions {
            assert!(fields.contains(condition), "{condition:?}");
        }
        assert!(fields.contains(&("x-oss-security-token".to_owned(), TOKEN.to_owned())));
        let later = signer.sign_policy(&policy, now() + Duration::from_secs(1));
        match signer.version() {
            SignatureVersion::V1 => assert_eq!(later.unwrap(), fields),
            SignatureVersion::V4 => assert_eq!(later.unwrap_err().field(), Some("policy")),
        }
    }
}

#[test]
fn absent_choices_have_the_librarys_defaults() {
    let chosen = |version, region, product| Signer::from_choices(credentials(), version, region, product);
    let plain = chosen(None, Some("cn-hangzhou"), None).unwrap();
    assert_eq!((plain.version(), plain.region()), (SignatureVersion::V4, Some("cn-hangzhou")));
    assert_eq!(chosen(None, None, None).unwrap_err().field(), Some("region"));
    let named = chosen(None, Some("cn-hangzhou"), Some("oss-cloudbox")).unwrap();
    assert!(named.sign(&put(), now()).unwrap().string_to_sign.contains("/oss-cloudbox/"));
    assert!(plain.sign(&put(), now()).unwrap().string_to_sign.contains("/oss/"));

    let v1 = Some(SignatureVersion::V1);
    chosen(v1, None, Some("oss")).unwrap();
    assert_eq!(chosen(v1, None, Some("oss-cloudbox")).unwrap_err().field(), Some("product"));
}

#[test]
fn a_signed_urls_endpoint_is_the_named_one_or_the_regions() {
    for version in SignatureVersion::ALL {
        let region = Some("cn-hangzhou");
        let signer = Signer::from_choices(credentials(), Some(*version), region, None).unwrap();
        let told = signer.endpoint(None).unwrap().to_string();
        assert_eq!(told, "https://oss-cn-hangzhou.aliyuncs.com", "{version:?}");
        let named = signer.endpoint(Some("http://127.0.0.1:80")).unwrap();
        assert_eq!(named, Endpoint::parse("http://127.0.0.1:80").unwrap());
    }
    assert!(Signer::v1(credentials()).endpoint(None).is_err());
}

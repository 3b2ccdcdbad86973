//! What goes out when a callback is fired, and what comes back when all is well.

use md5::{Digest, Md5};
use oss_callback::receive::signature::string_to_sign;
use rsa::pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPublicKey};

use super::server::{Behaviour, ClosedPort, Seen, Server};
use super::*;
use crate::callback::image::samples;
use crate::callback::key::MD5_DIGEST_INFO;

fn assert_signed(seen: &Seen, key: &SigningKey) {
    let target = seen.line.strip_prefix("POST ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    assert_signed_over(seen, key, &string_to_sign(target, &seen.body));
}

fn assert_signed_over(seen: &Seen, key: &SigningKey, text: &[u8]) {
    let signature = STANDARD.decode(seen.header("Authorization")).unwrap();
    let scheme = Pkcs1v15Sign { hash_len: Some(16), prefix: MD5_DIGEST_INFO.into() };
    let public = RsaPublicKey::from_public_key_pem(key.public_key_pem()).unwrap();
    public.verify(scheme, &Md5::digest(text), &signature).unwrap();
}

#[tokio::test]
async fn the_request_carries_the_documented_headers_and_a_signature_that_verifies() {
    let server = Server::answering(GOOD);
    let config = CallbackConfig {
        key_url: "https://gosspublic.alicdn.com/callback_pub_key_v1.pem".to_owned(),
        signing_key: SigningKey::generate().unwrap(),
        ..config()
    };
    let callback = json!({
        "callbackUrl": server.url("/index.php?id=1&index=2"),
        "callbackBody": "bucket=${bucket}&object=${object}&my_var=${x:my_var}&size=${size}",
    });
    let vars = encode(&json!({"x:my_var": "for-callback-test & more"}));
    let prepared = prepare(&config, Some(&encode(&callback)), Some(&vars)).await.unwrap().unwrap();
    let (content_type, body) = answered(fire(&config, &prepared, &facts(), None).await);
    assert_eq!((content_type.as_deref(), &body[..]), (Some("application/json"), &b"{\"Status\":\"OK\"}"[..]));

    let seen = server.only();
    assert_eq!(seen.line, "POST /index.php?id=1&index=2 HTTP/1.1");
    let sent = "bucket=examplebucket&object=exampledir%2F%E5%90%8D%201.txt\
        &my_var=for-callback-test%20%26%20more&size=9";
    assert_eq!(String::from_utf8_lossy(&seen.body), sent);
    assert_signed(&seen, &config.signing_key);
    let date = httpdate::parse_http_date(seen.header("Date")).unwrap();
    assert!(date.elapsed().unwrap() < Duration::from_secs(60));
    let expected = [
        ("Host", server.address().to_string()),
        ("Connection", "close".to_owned()),
        ("Content-Length", sent.len().to_string()),
        ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
        ("Content-MD5", STANDARD.encode(Md5::digest(sent))),
        ("Date", seen.header("Date").to_owned()),
        ("User-Agent", "aliyun-oss-callback".to_owned()),
        ("Authorization", seen.header("Authorization").to_owned()),
        ("x-oss-bucket", "examplebucket".to_owned()),
        (
            "x-oss-pub-key-url",
            "aHR0cHM6Ly9nb3NzcHVibGljLmFsaWNkbi5jb20vY2FsbGJhY2tfcHViX2tleV92MS5wZW0=".to_owned(),
        ),
        ("x-oss-request-id", "5C3D9175B6FC201293AD4890".to_owned()),
        ("x-oss-requester", "1234567890".to_owned()),
        ("x-oss-signature-version", "1.0".to_owned()),
        ("x-oss-tag", "CALLBACK".to_owned()),
    ];
    assert_eq!(seen.headers, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[tokio::test]
async fn path_and_query_reach_the_server_byte_for_byte_and_are_signed_decoded_once() {
    for (target, signed) in [
        ("/a/../b", "/a/../b"),
        ("/a%2Fb%2fc/./d%252F", "/a/b/c/./d%2F"),
        ("/a+b%20c?x=%20+&y=%e4&&", "/a+b c?x=%20+&y=%e4&&"),
        ("//x//", "//x//"),
        ("/%E4%BD%A0?a=1?b=/../", "/你?a=1?b=/../"),
        ("/cb?", "/cb?"),
    ] {
        let server = Server::answering(GOOD);
        answered(run(&config(), &simple(&server.url(target))).await);
        let seen = server.only();
        assert_eq!(seen.line, format!("POST {target} HTTP/1.1"));
        let text = [signed.as_bytes(), b"\n", &seen.body].concat();
        assert_signed_over(&seen, &SigningKey::default(), &text);
    }
}

#[tokio::test]
async fn a_url_without_scheme_or_path_is_called_by_http_at_the_root() {
    let server = Server::answering(GOOD);
    answered(run(&config(), &simple(&server.address().to_string())).await);
    assert_eq!(server.only().line, "POST / HTTP/1.1");
}

#[tokio::test]
async fn host_and_additional_headers_are_sent_but_replace_none_of_oss_own() {
    let server = Server::answering(GOOD);
    let mut callback = simple(&server.url("/cb"));
    callback["callbackHost"] = json!("app.example.com");
    callback["additionalHeaders"] = json!({
        "X-Token": "t 1", "authorization": "mine", "content-length": "1", "Transfer-Encoding": "chunked",
    });
    answered(run(&config(), &callback).await);
    let seen = server.only();
    assert_eq!(seen.header("Host"), "app.example.com");
    assert_eq!(seen.header("X-Token"), "t 1");
    assert_signed(&seen, &SigningKey::default());
    assert_eq!(seen.headers.len(), 15, "{:?}", seen.headers);
}

#[tokio::test]
async fn every_system_variable_is_filled_in() {
    let server = Server::answering(GOOD);
    let callback = json!({
        "callbackUrl": server.url("/"),
        "callbackBody": "{\"bucket\":${bucket},\"object\":${object},\"etag\":${etag},\"size\":${size},\
            \"mimeType\":${mimeType},\"h\":${imageInfo.height},\"w\":${imageInfo.width},\
            \"f\":${imageInfo.format},\"crc64\":${crc64},\"contentMd5\":${contentMd5},\"vpcId\":${vpcId},\
            \"clientIp\":${clientIp},\"reqId\":${reqId},\"operation\":${operation}}",
        "callbackBodyType": "application/json",
    });
    let facts = UploadFacts { image_head: Some(samples::png(810, 539).into()), ..facts() };
    let prepared = prepared(&config(), &callback).await;
    answered(fire(&config(), &prepared, &facts, None).await);
    let seen = server.only();
    assert_eq!(seen.header("Content-Type"), "application/json");
    let body: Json = serde_json::from_slice(&seen.body).unwrap();
    let expected = json!({
        "bucket": "examplebucket", "object": "exampledir/名 1.txt", "etag": "D8E8FCA2DC0F896FD7CB4CB0031BA249",
        "size": 9, "mimeType": "text/plain", "h": 539, "w": 810, "f": "png", "crc64": "11051210869376104954",
        "contentMd5": "2Oj8otwPiW/Xy0ywAxuiSQ==", "vpcId": "", "clientIp": "127.0.0.1",
        "reqId": "5C3D9175B6FC201293AD4890", "operation": "PutObject",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn image_info_of_what_is_no_image_is_empty() {
    let server = Server::answering(GOOD);
    let callback = json!({
        "callbackUrl": server.url("/"),
        "callbackBody": "h=${imageInfo.height}&w=${imageInfo.width}&f=${imageInfo.format}&v=${vpcId}",
    });
    answered(run(&config(), &callback).await);
    assert_eq!(server.only().body, b"h=&w=&f=&v=");
}

#[tokio::test]
async fn urls_are_tried_in_turn_until_one_succeeds_and_no_further() {
    let (failing, good, spare) =
        (Server::answering("HTTP/1.1 500 E\r\n\r\n"), Server::answering(GOOD), Server::answering(GOOD));
    let (config, attempts) = watched();
    let nobody = ClosedPort::take();
    let urls = [nobody.url("/0"), failing.url("/1"), good.url("/2"), spare.url("/3")].join(";");
    let (_, body) = answered(run(&config, &simple(&urls)).await);
    assert_eq!(&body[..], b"{\"Status\":\"OK\"}");
    assert_eq!((failing.seen().len(), good.seen().len(), spare.seen().len()), (1, 1, 0));
    assert_signed(&failing.only(), &config.signing_key);
    assert_signed(&good.only(), &config.signing_key);
    let attempts = attempts.lock().unwrap();
    let told: Vec<_> = attempts.iter().map(|a| (a.url.as_str(), a.status, a.succeeded())).collect();
    let expected: Vec<_> =
        urls.split(';').zip([(None, false), (Some(500), false), (Some(200), true)]).collect();
    assert_eq!(told, expected.iter().map(|(url, (status, good))| (*url, *status, *good)).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_last_of_five_urls_still_counts() {
    let good = Server::answering(GOOD);
    let nobody = ClosedPort::take();
    let gone = nobody.url("/");
    let urls = [gone.as_str(), &gone, &gone, &gone, &good.url("/")].join(";");
    answered(run(&config(), &simple(&urls)).await);
    assert_eq!(good.seen().len(), 1);
}

#[tokio::test]
async fn the_observer_is_told_all_and_debug_keeps_the_signature_back() {
    let answer = "HTTP/1.1 401 Unauthorized\r\nX-Why: token\r\nContent-Length: 3\r\n\r\nno!";
    let server = Server::answering(answer);
    let (config, attempts) = watched();
    failure(run(&config, &simple(&server.url("/cb?q=1"))).await);
    let attempts = attempts.lock().unwrap();
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    let seen = server.only();
    assert_eq!(attempt.request_line, seen.line);
    assert_eq!(attempt.headers, seen.headers);
    assert_eq!(attempt.body, seen.body);
    assert_eq!(attempt.request_id, "5C3D9175B6FC201293AD4890");
    assert_eq!((attempt.status, &attempt.answer_body[..]), (Some(401), &b"no!"[..]));
    assert!(attempt.answer_headers.contains(&("X-Why".to_owned(), "token".to_owned())));
    let why = ("0007-00000203".to_owned(), "Error status : 401.".to_owned());
    assert_eq!(attempt.failure, Some(why));
    assert!(attempt.elapsed < Duration::from_secs(5));
    assert!(!format!("{attempt:?}{config:?}").contains(attempt.header("authorization").unwrap()));
}

#[tokio::test]
async fn an_answer_given_before_the_request_was_read_counts() {
    let server = Server::start(Behaviour::AnswerUnread(GOOD.into()));
    answered(run(&config(), &simple(&server.url("/"))).await);
}

#[tokio::test]
async fn interim_answers_and_bytes_after_the_body_are_passed_over() {
    let server = Server::answering(format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n{GOOD}more"
    ));
    let (_, body) = answered(run(&config(), &simple(&server.url("/"))).await);
    assert_eq!(&body[..], b"{\"Status\":\"OK\"}");
}

#[tokio::test]
async fn a_body_of_1_mb_and_a_connection_that_stays_open_are_fine() {
    let json = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
    let answer = format!("HTTP/1.0 200 OK\r\ncontent-length: {}\r\n\r\n{json}", json.len());
    let server = Server::start(Behaviour::AnswerAndHold(answer.into()));
    let (content_type, body) = answered(run(&config(), &simple(&server.url("/"))).await);
    assert_eq!((content_type, body.len()), (None, 1024 * 1024));
}

//! Every cause of `203 CallbackFailed`, with the EC and the words that OSS has for it.

use std::time::Instant;

use super::server::{Behaviour, ClosedPort, Server};
use super::*;
use crate::callback::image::samples;

const UNREACHABLE: &str = "Error status : -1.OSS can not connect to your callbackUrl, please check it.";

async fn failure_of(answer: impl Into<Vec<u8>>) -> (String, String) {
    let server = Server::answering(answer);
    let failure = failure(run(&config(), &simple(&server.url("/"))).await);
    assert_eq!(server.seen().len(), 1, "a failed callback is not repeated");
    failure
}

fn expected(ec: &str, message: &str) -> (String, String) {
    (format!("0007-00000{ec}"), message.to_owned())
}

#[tokio::test]
async fn every_status_but_200_fails_and_redirects_are_not_followed() {
    for status in [101, 201, 202, 204, 206, 304, 400, 401, 403, 404, 500, 502, 503] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(failure_of(answer).await, expected("203", &format!("Error status : {status}.")));
    }
    let elsewhere = Server::answering(GOOD);
    for status in [301, 302, 303, 307, 308] {
        let answer = format!("HTTP/1.1 {status} X\r\nLocation: {}\r\n\r\n", elsewhere.url("/"));
        assert_eq!(failure_of(answer).await, expected("203", &format!("Error status : {status}.")));
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn the_content_length_must_be_there_valid_and_not_too_long() {
    let missing = expected("204", "Error Status : 400.User server missing content-length.");
    assert_eq!(failure_of("HTTP/1.1 200 OK\r\n\r\n{}").await, missing);
    assert_eq!(
        failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n").await,
        missing
    );
    let invalid = expected("204", "Error Status : 400.User server return invalid conent-length value.");
    for value in ["0", "-1", "two", ""] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n{{}}");
        assert_eq!(failure_of(answer).await, invalid, "{value}");
    }
    let long = expected("204", "Error Status : 400.User server return too long content-length value.");
    assert_eq!(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n{}").await, long);
}

#[tokio::test]
async fn a_body_that_is_not_json_fails() {
    let not_json = expected("205", "Response body is not valid json format.");
    for body in [&b"ok"[..], b"\xef\xbb\xbf{}", b"{\"a\":", b"<r/>"] {
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        assert_eq!(failure_of(answer).await, not_json, "{body:?}");
    }
}

#[tokio::test]
async fn xml_passes_only_when_it_is_announced() {
    let answer =
        |kind: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 4\r\n\r\n<r/>");
    let server = Server::answering(answer("application/xml"));
    let (content_type, body) = answered(run(&config(), &simple(&server.url("/"))).await);
    assert_eq!((content_type.as_deref(), &body[..]), (Some("application/xml"), &b"<r/>"[..]));
    let (ec, _) = failure_of(answer("text/html")).await;
    assert_eq!(ec, "0007-00000205");
}

#[tokio::test]
async fn what_cannot_be_reached_or_breaks_off_or_is_no_http_is_one_failure() {
    let unreachable = expected("203", UNREACHABLE);
    let nobody = ClosedPort::take();
    assert_eq!(failure(run(&config(), &simple(&nobody.url("/"))).await), unreachable);
    // RFC 6761: this name never resolves.
    assert_eq!(failure(run(&config(), &simple("http://app.invalid/")).await), unreachable);
    let server = Server::start(Behaviour::Reset);
    assert_eq!(failure(run(&config(), &simple(&server.url("/"))).await), unreachable);
    assert_eq!(failure_of("").await, unreachable);
    assert_eq!(failure_of("HTTP/1.1 200 OK\r\nContent-Le").await, unreachable);
    assert_eq!(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}").await, unreachable);
    assert_eq!(failure_of("SSH-2.0-OpenSSH_9.2\r\n").await, unreachable);
    assert_eq!(failure_of(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000))).await, unreachable);
    assert_eq!(failure_of(format!("HTTP/1.1 200 OK\r\n{}", "X: x\r\n".repeat(200))).await, unreachable);
}

#[tokio::test]
async fn an_answer_that_is_late_or_never_ends_takes_exactly_the_limit() {
    let too_slow = expected("202", "Cost too long time.");
    for start in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}"] {
        let server = Server::start(Behaviour::AnswerAndHold(start.into()));
        let started = Instant::now();
        assert_eq!(failure(run(&hasty(), &simple(&server.url("/"))).await), too_slow, "{start:?}");
        let elapsed = started.elapsed();
        assert!(elapsed >= LIMIT && elapsed < LIMIT * 10, "{elapsed:?}");
    }
}

#[test]
fn the_limit_is_five_seconds_unless_set_otherwise() {
    assert_eq!(CallbackConfig::default().timeout, Duration::from_secs(5));
}

/// A listener whose queue is full drops further connection requests, on Linux.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_never_comes_about_is_a_reply_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        queue.push(connected.unwrap());
        assert!(queue.len() < 100, "the queue never fills");
    }
    let (ec, message) = failure(run(&hasty(), &simple(&format!("http://{address}/"))).await);
    assert_eq!(ec, "0007-00000203");
    let rest = message.strip_prefix(&format!("Error status : -1 {address} reply timeout, cost:")).unwrap();
    let (cost, rest) = rest.split_once("ms").unwrap();
    assert!(cost.parse::<u128>().unwrap() >= LIMIT.as_millis(), "{message}");
    assert_eq!(rest, format!(", timeout:{}ms (err -4, errno115)", LIMIT.as_millis()));
}

#[tokio::test]
async fn of_several_failures_the_last_is_told() {
    let (one, two) =
        (Server::answering("HTTP/1.1 500 X\r\n\r\n"), Server::answering("HTTP/1.1 403 X\r\n\r\n"));
    let nobody = ClosedPort::take();
    let urls = [nobody.url("/"), one.url("/"), two.url("/")].join(";");
    let told = failure(run(&config(), &simple(&urls)).await);
    assert_eq!(told, expected("203", "Error status : 403."));
}

#[tokio::test]
async fn image_info_of_what_is_no_image_can_be_made_to_fail() {
    let server = Server::answering(GOOD);
    let config = CallbackConfig { image_info_fails: true, ..config() };
    let callback = json!({"callbackUrl": server.url("/"), "callbackBody": "w=${imageInfo.width}"});
    let prepared = prepared(&config, &callback).await;
    let text = UploadFacts { image_head: Some(Bytes::from_static(b"Hello OSS")), ..facts() };
    let told = failure(fire(&config, &prepared, &text, None).await);
    assert_eq!(told, expected("302", "Get image info failed."));
    assert!(server.seen().is_empty(), "nothing is sent");
    let image = UploadFacts { image_head: Some(samples::gif(3, 2).into()), ..facts() };
    answered(fire(&config, &prepared, &image, None).await);
    assert_eq!(server.only().body, b"w=3");
    answered(run(&config, &simple(&server.url("/"))).await);
}

#[tokio::test]
async fn more_callbacks_at_a_time_than_allowed_fail_at_once_and_later_ones_do_not() {
    let slow = Server::start(Behaviour::AnswerAndHold(Vec::new()));
    let good = Server::answering(GOOD);
    let config = CallbackConfig { max_concurrent: Some(1), ..hasty() };
    let (slow_url, good_url) = (simple(&slow.url("/")), simple(&good.url("/")));
    let (first, second) = tokio::join!(run(&config, &slow_url), run(&config, &good_url));
    assert_eq!(failure(first).0, "0007-00000202");
    assert_eq!(failure(second), expected("201", "Too many callback requests."));
    assert!(good.seen().is_empty());
    let config = CallbackConfig { timeout: Duration::from_secs(5), ..config };
    answered(run(&config, &good_url).await);
}

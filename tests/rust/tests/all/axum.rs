//! The axum extractor, behind a real server that a real upload makes OSS call.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::IntoResponse;
use oss_callback::receive::{CallbackVerifier, CallbackVerifierBuilder};
use oss_callback::{Callback, CallbackReply, Client, Error, ErrorKind};
use oss_callback_emulator::Emulator;
use tokio::sync::oneshot;

use super::axum_example::app;

const SECRET: &str = "a secret of more than sixteen bytes";
const REFUSED: &str = r#"{"error":"the callback could not be verified"}"#;

/// axum on a thread of its own.
struct Server {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Server {
    fn start(router: Router) -> Server {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let serve = axum::serve(listener, router);
                let _ = serve.with_graceful_shutdown(async { drop(stopped.await) }).await;
            });
        });
        Server { address: told.recv().unwrap(), _stop: stop }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // Whatever is said, the server does not wait for ever.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

fn trusting(emulator: &Emulator) -> CallbackVerifierBuilder {
    CallbackVerifier::builder().trusted_key(emulator.public_key_pem()).bucket("photos").seal_secret(SECRET)
}

fn put(emulator: &Emulator, url: String, secret: &str) -> Result<CallbackReply, Error> {
    let client = Client::builder()
        .endpoint(emulator.endpoint())
        .region(emulator.region())
        .access_key_id(emulator.access_key_id())
        .access_key_secret(emulator.access_key_secret())
        .build()?;
    let callback = Callback::builder(url).seal(secret, Duration::from_secs(60)).build()?;
    client.put_object_with_callback("photos", "ü 1.txt", "Hello OSS", &callback)
}

#[test]
fn a_sealed_upload_reaches_the_handler_and_its_answer_the_uploader() {
    let emulator = Emulator::builder().start().unwrap();
    let router = app(trusting(&emulator).build().unwrap());
    let nested = Server::start(Router::new().nest("/api/v1", router.clone()).merge(router));
    // Nested routers cut their prefix off the URI that handlers see; OSS signed it.
    for path in ["/oss/uploaded?a=%2F&b", "/api/v1/oss/uploaded?a=1"] {
        let reply = put(&emulator, nested.url(path), SECRET).unwrap();
        assert_eq!(reply.json().unwrap()["key"], "ü 1.txt", "{path}");
    }
}

#[test]
fn what_does_not_verify_never_reaches_the_handler() {
    let emulator = Emulator::builder().start().unwrap();
    let server = Server::start(app(trusting(&emulator).max_body(1000).build().unwrap()));
    let error = put(&emulator, server.url("/oss/uploaded"), "another secret of 16 bytes").unwrap_err();
    assert_eq!((error.kind(), error.callback_status()), (ErrorKind::CallbackFailed, Some(403)));
    for (headers, body) in [
        ("", "bucket=photos&object=k".to_owned()),
        ("Authorization: AAAA\r\nx-oss-pub-key-url: aHR0cDovL2V2aWwv\r\n", "bucket=photos".to_owned()),
        ("", "a".repeat(1001)),
    ] {
        let length = body.len();
        let answer = server.exchange(&format!(
            "POST /oss/uploaded HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.ends_with(REFUSED), "{answer}");
    }
}

#[test]
fn a_body_that_comes_late_or_breaks_off_is_refused() {
    let emulator = Emulator::builder().start().unwrap();
    let verifier = trusting(&emulator).body_timeout(Duration::from_secs(2)).build().unwrap();
    let server = Server::start(app(verifier));
    for (rest, late) in
        [("Content-Length: 9\r\n\r\nslow", true), ("Transfer-Encoding: chunked\r\n\r\nno size\r\n", false)]
    {
        let began = Instant::now();
        let answer = server.exchange(&format!("POST /oss/uploaded HTTP/1.1\r\nHost: a\r\n{rest}"));
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with(REFUSED), "{rest:?}: {answer}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{rest:?} was answered after {took:?}");
        assert_eq!(took >= Duration::from_millis(1900), late, "{rest:?} was answered after {took:?}");
    }
}

/// A body's that did not arrive are of the same kinds.
#[test]
fn a_handlers_own_errors_of_the_network_are_failures_and_no_refusals() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::builder()
        .endpoint(format!("http://{}", nowhere.local_addr().unwrap()))
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret("secret")
        .retries(0)
        .timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let callback = Callback::builder("http://a.example.com/").build().unwrap();
    let error = client.put_object_with_callback("photos", "k", "a", &callback).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(error.into_response().status(), 500);
}

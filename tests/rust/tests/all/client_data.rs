//! What becomes of the data of a call: it is let go when the call ends, however it ends, and that costs
//! no connection where nothing is left to send.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use oss_callback::{Callback, Cancel, Client, ErrorKind, PutRequest};
use oss_callback_tests::faulty_oss;
use oss_callback_tests::http::Server;

fn client(endpoint: &str) -> Client {
    let builder = Client::builder().endpoint(endpoint).region("cn-hangzhou");
    builder.access_key_id("LTAI5tExampleKeyId0001").access_key_secret("secret").build().unwrap()
}

fn callback() -> Callback {
    Callback::new("http://app.example.com/cb").unwrap()
}

/// Data that tells when nobody holds it any more.
struct Watched {
    data: Vec<u8>,
    gone: Arc<AtomicBool>,
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
    }
}

fn watched(length: usize) -> (Bytes, Arc<AtomicBool>) {
    let gone = Arc::new(AtomicBool::new(false));
    (Bytes::from_owner(Watched { data: vec![7; length], gone: Arc::clone(&gone) }), gone)
}

/// Answers as soon as the head has arrived, reads no body, and keeps the connection open.
fn hasty_server() -> Server {
    Server::start_raw(|mut stream| {
        let mut head = Vec::new();
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?;
        std::thread::sleep(Duration::from_secs(10));
        Ok(())
    })
    .unwrap()
}

#[test]
fn data_is_let_go_when_the_answer_comes_before_it_was_read() {
    let server = hasty_server();
    let client = client(&server.url());
    let (data, gone) = watched(64 << 20);
    let error = client.put_object_with_callback("examplebucket", "a", data, &callback()).unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Service, Some(403)));
    assert!(gone.load(Ordering::Acquire), "something still holds the data");
}

#[test]
fn data_is_let_go_when_the_call_is_cancelled_half_way() {
    let server = Server::start_raw(|_stream| {
        std::thread::sleep(Duration::from_secs(10));
        Ok(())
    })
    .unwrap();
    let client = client(&server.url());
    let (data, gone) = watched(64 << 20);
    let cancel = Cancel::new();
    let request = PutRequest::new("examplebucket", "a", data, &callback()).cancel(&cancel);
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        client.send(request).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(gone.load(Ordering::Acquire), "something still holds the data");
}

#[test]
fn a_connection_serves_call_after_call_whatever_their_size() {
    let server = faulty_oss::start().unwrap();
    let client = client(&server.url());
    for length in [0, 1, 4096, 300_000, 3 << 20, 5] {
        let (data, gone) = watched(length);
        client.put_object_with_callback("examplebucket", "json/a", data, &callback()).unwrap();
        assert!(gone.load(Ordering::Acquire), "{length} bytes are still held");
    }
    assert_eq!(server.connections(), 1);
}

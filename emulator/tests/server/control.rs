//! The control API, over its own port.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oss_callback_emulator::Emulator;
use serde_json::{Value, json};

use crate::client::call;

fn emulator() -> Emulator {
    Emulator::builder().control(true).start().unwrap()
}

/// One request to the control API: status and document.
fn ask(emulator: &Emulator, head: &str, headers: &str, body: &str) -> (u16, Value) {
    let url = emulator.control_url().unwrap();
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let headers =
        if headers.contains("Host:") { headers.to_owned() } else { format!("Host: {address}\r\n{headers}") };
    let length = body.len();
    let request =
        format!("{head} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn get(emulator: &Emulator, target: &str) -> Value {
    let (status, document) = ask(emulator, &format!("GET {target}"), "", "");
    assert_eq!(status, 200, "{document}");
    document
}

#[test]
fn it_is_closed_unless_asked_for() {
    assert_eq!(Emulator::builder().start().unwrap().control_url(), None);
}

#[test]
fn unfinished_uploads_are_listed_with_their_parts_until_they_end() {
    let emulator = emulator();
    let id = call("POST", "bkt", "a b").query("uploads", "").send(&emulator).element("UploadId").unwrap();
    let other = call("POST", "other", "c").query("uploads", "").send(&emulator).element("UploadId").unwrap();
    let part = call("PUT", "bkt", "a b").query("partNumber", "3").query("uploadId", &id).body(b"hello");
    let etag = part.send(&emulator).header("etag").unwrap().trim_matches('"').to_owned();
    let parts = json!([{ "partNumber": 3, "size": 5, "etag": etag }]);
    let expected = json!([{ "bucket": "bkt", "key": "a b", "uploadId": id, "parts": parts }]);
    assert_eq!(get(&emulator, "/uploads?bucket=bkt"), expected);
    assert_eq!(get(&emulator, "/uploads").as_array().unwrap().len(), 2);
    call("DELETE", "bkt", "a b").query("uploadId", &id).send(&emulator);
    assert_eq!(get(&emulator, "/uploads?bucket=bkt"), json!([]));
    assert_eq!(get(&emulator, "/uploads")[0]["uploadId"], json!(other));
}

#[test]
fn callbacks_are_listed_with_their_outcome() {
    let emulator = emulator();
    // Nobody listens there.
    let url = "http://127.0.0.1:9/cb";
    let callback = STANDARD.encode(json!({ "callbackUrl": url, "callbackBody": "a=1" }).to_string());
    let answer = call("PUT", "bkt", "k").header("x-oss-callback", &callback).body(b"x").send(&emulator);
    assert_eq!(answer.status, 203);
    let told = get(&emulator, "/callbacks?bucket=bkt&key=k");
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    assert_eq!((&told[0]["url"], &told[0]["status"]), (&json!(url), &Value::Null));
    assert_eq!(told[0]["requestId"], json!(answer.header("x-oss-request-id").unwrap()));
    assert!(told[0]["outcome"].as_str().unwrap().starts_with("0007-00000203 "), "{told}");
    assert_eq!(get(&emulator, "/callbacks?bucket=elsewhere"), json!([]));
}

#[test]
fn faults_are_ordered_shown_and_taken_back() {
    let emulator = emulator();
    let put = || call("PUT", "bkt", "k").body(b"x").send(&emulator).status;
    let script = "error status=503 code=SlowDown on=PutObject\n# done";
    let (status, document) = ask(&emulator, "POST /faults", "", script);
    assert_eq!((status, &document[0]["hits"]), (200, &json!(0)));
    assert_eq!([put(), put()], [503, 200]);
    let told = get(&emulator, "/faults");
    assert_eq!((&told[0]["seen"], &told[0]["hits"]), (&json!(2), &json!(1)));
    assert!(told[0]["fault"].as_str().unwrap().starts_with("error status=503 code=SlowDown"), "{told}");
    let (status, document) = ask(&emulator, "POST /faults", "", "crc\nexplode");
    assert_eq!(status, 400);
    assert!(document["error"].as_str().unwrap().contains("line 2: `explode` is no action"), "{document}");
    assert_eq!(get(&emulator, "/faults").as_array().unwrap().len(), 1, "nothing of a bad script");
    assert_eq!(ask(&emulator, "DELETE /faults", "", ""), (200, json!([])));
}

#[test]
fn browsers_and_unknown_paths_are_refused() {
    let emulator = emulator();
    for headers in
        ["Host: evil.example\r\n", "Origin: http://evil.example\r\n", "Host: 127.0.0.1.evil.example:1\r\n"]
    {
        assert_eq!(ask(&emulator, "GET /uploads", headers, "").0, 403, "{headers}");
    }
    let (status, document) = ask(&emulator, "GET /nothing", "", "");
    assert_eq!(status, 404);
    assert!(document["error"].as_str().unwrap().contains("GET /uploads"), "{document}");
}

#[test]
fn it_ends_with_the_emulator() {
    let emulator = emulator();
    let url = emulator.control_url().unwrap();
    emulator.stop();
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());
}

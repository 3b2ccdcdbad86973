//! Uploads with a callback, through the whole emulator; the callback's own rules are tested beside its code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oss_callback::receive::{PublicKey, signature};
use oss_callback_emulator::{Emulator, Event};

use crate::client::{Answer, call, connect};

/// An application server that answers every callback with the same text.
struct App {
    url: String,
    seen: Receiver<(String, String)>,
}

impl App {
    fn start(answer: &'static str) -> App {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/cb?a=1", listener.local_addr().unwrap());
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, answer, &sender);
            }
        });
        App { url, seen }
    }

    fn callback(&self) -> String {
        let body = "o=${object}&size=${size}&etag=${etag}&crc=${crc64}&op=${operation}&who=${x:who}";
        STANDARD.encode(format!("{{\"callbackUrl\":\"{}\",\"callbackBody\":\"{body}\"}}", self.url))
    }

    /// Head and body of the next callback.
    fn next(&self) -> (String, String) {
        self.seen.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

fn serve(stream: std::net::TcpStream, answer: &str, seen: &Sender<(String, String)>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let _ = seen.send((head, String::from_utf8(body).unwrap()));
    let _ = reader.into_inner().write_all(answer.as_bytes());
}

const YES: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";
const NO: &str = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";

fn variables() -> String {
    STANDARD.encode("{\"x:who\":\"me & you\"}")
}

fn put(emulator: &Emulator, app: &App) -> Answer {
    let put = call("PUT", "bkt", "a b").header("x-oss-callback", &app.callback());
    put.header("x-oss-callback-var", &variables()).body("123456789").send(emulator)
}

#[test]
fn the_answer_of_the_application_server_comes_back_to_the_uploader() {
    let (emulator, app) = (Emulator::builder().start().unwrap(), App::start(YES));
    let answer = put(&emulator, &app);
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"ok\":true}"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-oss-hash-crc64ecma"), Some("11051210869376104954"));
    assert_eq!(answer.header("etag"), Some("\"25F9E794323B453885F5181F1B624D0B\""));

    let (head, body) = app.next();
    assert_eq!(
        body,
        "o=a%20b&size=9&etag=25F9E794323B453885F5181F1B624D0B&crc=11051210869376104954&op=PutObject\
         &who=me%20%26%20you"
    );
    let authorization = head.lines().find_map(|line| line.strip_prefix("Authorization: ")).unwrap();
    let key = PublicKey::from_pem(emulator.public_key_pem()).unwrap();
    assert!(signature::is_valid(&key, "/cb?a=1", body.as_bytes(), authorization), "{head}");
    assert!(head.contains(answer.header("x-oss-request-id").unwrap()), "{head}");
    assert_eq!(emulator.callbacks().len(), 1);
}

#[test]
fn a_callback_in_the_query_works_as_one_in_headers() {
    let (emulator, app) = (Emulator::builder().start().unwrap(), App::start(YES));
    let by_query =
        call("PUT", "bkt", "k").query("callback", &app.callback()).query("callback-var", &variables());
    assert_eq!(by_query.clone().send(&emulator).text(), "{\"ok\":true}");
    for (header, value, name, ec) in [
        ("x-oss-callback", app.callback(), "callback", Some("0007-00000027")),
        // OSS's number for the variables is not known.
        ("x-oss-callback-var", variables(), "callback-var", None),
    ] {
        let both = by_query.clone().header(header, &value).send(&emulator);
        assert_eq!(both.verdict(), (400, "InvalidArgument".to_owned()), "{header}");
        assert!(both.element("Message").unwrap().contains(header), "{header}");
        assert_eq!(both.element("ArgumentName").as_deref(), Some(name));
        assert_eq!(both.element("EC").as_deref(), ec, "{header}");
    }
    assert_eq!(emulator.callbacks().len(), 1);
}

#[test]
fn a_failed_callback_is_203_and_the_object_stays() {
    let (emulator, app) = (Emulator::builder().start().unwrap(), App::start(NO));
    let answer = put(&emulator, &app);
    assert_eq!(answer.verdict(), (203, "CallbackFailed".to_owned()));
    assert_eq!(answer.element("EC").as_deref(), Some("0007-00000203"));
    assert_eq!(answer.header("etag"), Some("\"25F9E794323B453885F5181F1B624D0B\""));
    assert_eq!(answer.header("x-oss-hash-crc64ecma"), Some("11051210869376104954"));
    assert!(answer.header("content-md5").is_some());
    assert_eq!(emulator.object("bkt", "a b").unwrap().data, "123456789");
    let record = emulator.requests().pop().unwrap();
    assert_eq!((record.status, record.error.unwrap().0.as_str()), (203, "CallbackFailed"));
}

#[test]
fn a_bad_callback_is_refused_before_anything_is_stored() {
    let emulator = Emulator::builder().start().unwrap();
    let answer = call("PUT", "bkt", "k").header("x-oss-callback", "e30").body("x").send(&emulator);
    assert_eq!(answer.verdict(), (400, "InvalidArgument".to_owned()));
    let private = STANDARD.encode("{\"callbackUrl\":\"http://127.0.0.1:9/\",\"callbackBody\":\"a=b\"}");
    let strict = Emulator::builder().strict(true).start().unwrap();
    call("PUT", "bkt", "").send(&strict);
    let answer = call("PUT", "bkt", "k").header("x-oss-callback", &private).body("x").send(&strict);
    assert_eq!((answer.status, answer.element("EC").as_deref()), (400, Some("0007-00000008")));
    assert!(emulator.object("bkt", "k").is_none() && strict.object("bkt", "k").is_none());
}

#[test]
fn the_callback_of_a_multipart_upload_fires_when_it_is_completed_and_only_then() {
    let (emulator, app) = (Emulator::builder().start().unwrap(), App::start(YES));
    let begin = call("POST", "bkt", "k").query("uploads", "").header("x-oss-callback", &app.callback());
    let id = begin.send(&emulator).element("UploadId").unwrap();
    let part = call("PUT", "bkt", "k").query("uploadId", &id).query("partNumber", "1");
    part.header("x-oss-callback", &app.callback()).body("123456789").send(&emulator);
    assert!(emulator.callbacks().is_empty());
    let complete = call("POST", "bkt", "k").query("uploadId", &id).header("x-oss-complete-all", "yes");
    let answer = complete.header("x-oss-callback", &app.callback()).send(&emulator);
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"ok\":true}"));
    let etag = answer.header("etag").unwrap().trim_matches('"').to_owned();
    let (_, body) = app.next();
    assert!(
        body.starts_with(&format!(
            "o=k&size=9&etag={etag}&crc=11051210869376104954&op=CompleteMultipartUpload"
        )),
        "{body}"
    );
    assert_eq!(emulator.callbacks().len(), 1);
}

#[test]
fn a_client_that_leaves_does_not_stop_the_callback() {
    let (emulator, app) = (Emulator::builder().start().unwrap(), App::start(YES));
    let wire =
        call("PUT", "bkt", "k").header("x-oss-callback", &app.callback()).body("123456789").wire(&emulator);
    let mut stream = connect(emulator.address());
    stream.write_all(&wire).unwrap();
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    assert!(app.next().1.starts_with("o=k&size=9"));
    assert_eq!(emulator.object("bkt", "k").unwrap().data, "123456789");
}

#[test]
fn the_story_is_told_in_order() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let observer = move |event: &Event| {
        let word = match event {
            Event::Arrived(_) => "arrived",
            Event::Callback(_) => "callback",
            Event::Answered(_) => "answered",
            _ => "other",
        };
        teller.lock().unwrap().push(word);
    };
    let (emulator, app) = (Emulator::builder().observer(observer).start().unwrap(), App::start(YES));
    put(&emulator, &app);
    assert_eq!(*told.lock().unwrap(), ["arrived", "callback", "answered"]);
}

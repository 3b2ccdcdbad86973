//! The callback side as a whole, against small application servers on loopback.

mod delivery;
mod failures;
mod https;
mod parameters;
mod server;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::*;
use crate::OssError;

/// What a server answers when it is content.
const GOOD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"Status\":\"OK\"}";

/// For servers that keep OSS waiting until the end.
const LIMIT: Duration = Duration::from_millis(300);

/// The default, with the 5 s of OSS: enough for every server that does answer.
fn config() -> CallbackConfig {
    CallbackConfig::default()
}

fn hasty() -> CallbackConfig {
    CallbackConfig { timeout: LIMIT, ..config() }
}

fn facts() -> UploadFacts {
    UploadFacts {
        bucket: "examplebucket".to_owned(),
        key: "exampledir/名 1.txt".to_owned(),
        etag: "D8E8FCA2DC0F896FD7CB4CB0031BA249".to_owned(),
        size: 9,
        mime_type: "text/plain".to_owned(),
        crc64: 11_051_210_869_376_104_954,
        content_md5: Some("2Oj8otwPiW/Xy0ywAxuiSQ==".to_owned()),
        client_ip: "127.0.0.1".parse().unwrap(),
        request_id: "5C3D9175B6FC201293AD4890".to_owned(),
        operation: "PutObject",
        requester: "1234567890".to_owned(),
        image_head: None,
    }
}

fn encode(json: &Json) -> String {
    STANDARD.encode(json.to_string())
}

/// A callback to `url` with a short form body.
fn simple(url: &str) -> Json {
    json!({"callbackUrl": url, "callbackBody": "bucket=${bucket}&object=${object}"})
}

async fn prepared(config: &CallbackConfig, callback: &Json) -> Prepared {
    prepare(config, Some(&encode(callback)), None).await.unwrap().unwrap()
}

async fn run(config: &CallbackConfig, callback: &Json) -> Outcome {
    fire(config, &prepared(config, callback).await, &facts(), None).await
}

/// EC and message of a failed callback.
fn failure(outcome: Outcome) -> (String, String) {
    match outcome {
        Outcome::Failed(OssError { status, code, message, ec, .. }) => {
            assert_eq!((status, &*code), (203, "CallbackFailed"));
            (ec.unwrap(), message)
        }
        Outcome::Answered { body, .. } => panic!("the callback succeeded: {body:?}"),
    }
}

fn answered(outcome: Outcome) -> (Option<String>, Bytes) {
    match outcome {
        Outcome::Answered { content_type, body } => (content_type, body),
        Outcome::Failed(error) => panic!("the callback failed: {error:?}"),
    }
}

/// A configuration that writes down every attempt.
fn watched() -> (CallbackConfig, Arc<Mutex<Vec<CallbackAttempt>>>) {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let sink = attempts.clone();
    let observer = CallbackObserver::new(move |attempt| sink.lock().unwrap().push(attempt.clone()));
    (CallbackConfig { observer: Some(observer), ..config() }, attempts)
}

//! An application server that answers callbacks as their path asks, and remembers what it got.
//!
//! | path | answer |
//! |---|---|
//! | `/ok` | `{"Status":"OK"}` |
//! | `/echo` | JSON with the callback's method, target, headers and body |
//! | `/xml` | an XML document |
//! | `/text`, `/binary`, `/empty`, `/bom` | what is not JSON, 200 bytes that are not text, nothing, JSON behind a byte order mark |
//! | `/status/N` | status N with a JSON body |
//! | `/redirect` | 302 to `/ok` |
//! | `/chunked` | JSON in chunks, without Content-Length |
//! | `/delay/MS` | `/ok` after that time |
//! | `/hang` | nothing, for 20 s |
//! | `/reset` | closes without an answer |
//! | `/large/BYTES` | a JSON string of that length |
//! | `GET /__count/TEXT` | how many callbacks so far held TEXT in their body |

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::http::{Request, Server, Then, answer};

/// The running server.
pub struct AppServer {
    server: Server,
    seen: Arc<Mutex<Vec<Request>>>,
}

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];
const OK: &[u8] = br#"{"Status":"OK"}"#;

impl AppServer {
    /// Starts on a free loopback port.
    pub fn start() -> std::io::Result<AppServer> {
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let record = Arc::clone(&seen);
        let server = Server::start(move |request, stream| {
            let mut seen = record.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(text) = request.path().strip_prefix("/__count/") {
                let count = seen.iter().filter(|r| contains(&r.body, text.as_bytes())).count();
                drop(seen);
                answer(stream, 200, JSON, count.to_string().as_bytes())?;
                return Ok(Then::KeepAlive);
            }
            seen.push(request.clone());
            drop(seen);
            respond(request, stream)?;
            Ok(Then::Close)
        })?;
        Ok(AppServer { server, seen })
    }

    /// The URL of one of the paths.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    /// The callbacks so far.
    pub fn callbacks(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

fn respond(request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
    let words: Vec<&str> = request.path().trim_start_matches('/').split('/').collect();
    let number = || words.get(1).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    match words[0] {
        "echo" => {
            let echo = json!({
                "method": request.method,
                "target": request.target,
                "headers": request.headers,
                "body": String::from_utf8_lossy(&request.body),
            });
            answer(stream, 200, JSON, echo.to_string().as_bytes())
        }
        "xml" => answer(stream, 200, &[("Content-Type", "application/xml")], b"<ok>yes</ok>"),
        "text" => answer(stream, 200, &[("Content-Type", "text/plain")], b"thank you"),
        "binary" => answer(stream, 200, &[("Content-Type", "application/octet-stream")], &[0xfe; 200]),
        "empty" => answer(stream, 200, JSON, b""),
        "bom" => answer(stream, 200, JSON, b"\xef\xbb\xbf{}"),
        "status" => answer(stream, u16::try_from(number()).unwrap_or(500), JSON, OK),
        "redirect" => answer(stream, 302, &[("Location", "/ok")], b""),
        "chunked" => stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        ),
        "delay" => {
            std::thread::sleep(Duration::from_millis(number() as u64));
            answer(stream, 200, JSON, OK)
        }
        "hang" => {
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        }
        "reset" => Ok(()),
        "large" => {
            let mut body = vec![b'a'; number().max(2)];
            body[0] = b'"';
            *body.last_mut().expect("at least two bytes") = b'"';
            answer(stream, 200, JSON, &body)
        }
        _ => answer(stream, 200, JSON, OK),
    }
}

//! An OSS that misbehaves as the key's first segment says. It checks no signature and calls nobody:
//! it is there for what the emulator, which behaves, cannot show.
//!
//! | key starts with | answer |
//! |---|---|
//! | `json/`, `text/`, `binary/`, `empty/` | 200 with such a body in place of the callback's |
//! | `wrong-crc/` | 200 with another CRC-64 |
//! | `portal/` | 200 with a page that bears no mark of OSS |
//! | `failed/` | 203 with OSS's error document |
//! | `failed-bare/` | 203 without a body |
//! | `no-content/` | 204 |
//! | `rubbish/` | what is not HTTP |
//! | `truncated/` | less body than announced, then the end |
//! | `endless/` | body without end |
//! | `hang/` | nothing, for 20 s |
//! | `reset/` | the end, without an answer |
//! | `redirect/` | 307 to another host |
//! | `html/` | 502 with a page that is no XML |
//! | `header-error/` | 403 without a body, the error in `x-oss-err` |
//! | `close/` | 200, and the connection ends right after, unannounced |
//! | `busy/N/NAME` | 503 `SlowDown`, N times for each such key, then 200 as for `json/` |
//! | `lost/NAME` | the PUT is taken whole and stored, then the end, without an answer |
//!
//! HEAD finds what a PUT to `busy/` or `lost/` has stored, with its ETag, CRC-64, length and time; keys of
//! the other rows are met as any request. The bucket stands in the path, as for any endpoint that is an IP address.

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use oss_callback::checksum::crc64;
use oss_callback::{Callback, CallbackReply, Client, Result};

use crate::http::{Request, Server, Then, answer};

/// How long `hang/` says nothing. A call that ended long before did not wait for it.
pub const HANG: Duration = Duration::from_secs(20);

const ETAG: &str = "\"D41D8CD98F00B204E9800998ECF8427E\"";
const REQUEST_ID: &str = "6555AC0C0000000000000001";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const FAILED: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>CallbackFailed</Code>\
<Message>Error status : 502.</Message><RequestId>6555AC0C0000000000000001</RequestId>\
<HostId>examplebucket.oss-cn-hangzhou.aliyuncs.com</HostId><EC>0007-00000203</EC>\
<RecommendDoc>https://api.aliyun.com/troubleshoot?q=0007-00000203</RecommendDoc></Error>";
const DENIED: &[u8] =
    b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No &amp; never.</Message>\
<RequestId>6555AC0C0000000000000002</RequestId><HostId>h</HostId><EC>0003-00000001</EC></Error>";

const BUSY: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code>\
<Message>Please reduce your request rate.</Message><RequestId>6555AC0C0000000000000003</RequestId>\
<HostId>examplebucket.oss-cn-hangzhou.aliyuncs.com</HostId></Error>";

/// What the server remembers, by path.
#[derive(Default)]
struct Memory {
    /// How often `busy/` was answered 503.
    turned_away: HashMap<String, u32>,
    stored: HashMap<String, Stored>,
}

struct Stored {
    length: usize,
    crc64: u64,
    at: SystemTime,
}

/// One of its own, and a client of it that tries a request twice.
///
/// # Panics
/// If there is no port left.
pub fn with_client() -> (Server, Client, Callback) {
    let server = start().unwrap();
    let client = Client::builder()
        .endpoint(server.url())
        .region("cn-hangzhou")
        .access_key_id("id")
        .access_key_secret("secret")
        .retries(1)
        .build()
        .unwrap();
    (server, client, Callback::builder("http://app.example.com/cb").build().unwrap())
}

/// Two ways of the same upload have come to the same.
///
/// # Panics
/// If they have not.
pub fn assert_same(expected: &Result<CallbackReply>, other: &Result<CallbackReply>, kind: &str) {
    match (expected, other) {
        (Ok(expected), Ok(reply)) => {
            assert_eq!((expected.body(), expected.etag()), (reply.body(), reply.etag()), "{kind}")
        }
        (Err(expected), Err(error)) => assert_eq!(
            (expected.kind(), expected.message(), expected.hint()),
            (error.kind(), error.message(), error.hint()),
            "{kind}"
        ),
        _ => panic!("{kind}: {expected:?}, but {other:?}"),
    }
}

/// Starts it on a free loopback port.
pub fn start() -> std::io::Result<Server> {
    let memory: Mutex<Memory> = Mutex::default();
    Server::start(move |request, stream| {
        let mut words = request.path().split('/').skip(2);
        let kind = words.next().unwrap_or_default().to_owned();
        // A request on a connection that is just being closed is lost, and its client then looks: nothing is stored.
        if request.method == "HEAD" && matches!(kind.as_str(), "busy" | "lost" | "json") {
            return show(request, &memory, stream);
        }
        match kind.as_str() {
            "busy" => {
                let times = words.next().and_then(|text| text.parse().ok()).unwrap_or(0);
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                let so_far = memory.turned_away.entry(request.path().to_owned()).or_default();
                if *so_far < times {
                    *so_far += 1;
                    drop(memory);
                    answer(stream, 503, &[("Content-Type", "application/xml")], BUSY)?;
                    return Ok(Then::KeepAlive);
                }
                memory.store(request);
            }
            "lost" => {
                memory.lock().unwrap_or_else(PoisonError::into_inner).store(request);
                return Ok(Then::Close);
            }
            _ => {}
        }
        respond(&kind, request, stream)
    })
}

impl Memory {
    fn store(&mut self, request: &Request) {
        let (length, crc64) = (request.body.len(), crc64(&request.body));
        self.stored.insert(request.path().to_owned(), Stored { length, crc64, at: SystemTime::now() });
    }
}

/// The answer to HEAD.
fn show(request: &Request, memory: &Mutex<Memory>, stream: &mut TcpStream) -> std::io::Result<Then> {
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let now = httpdate::fmt_http_date(SystemTime::now());
    let head = match memory.stored.get(request.path()) {
        None => {
            format!("404 Not Found\r\nDate: {now}\r\nContent-Length: 0\r\nx-oss-request-id: {REQUEST_ID}\r\n")
        }
        Some(Stored { length, crc64, at }) => format!(
            "200 OK\r\nDate: {now}\r\nContent-Length: {length}\r\nLast-Modified: {}\r\nETag: {ETAG}\r\n\
             x-oss-hash-crc64ecma: {crc64}\r\nx-oss-request-id: {REQUEST_ID}\r\n",
            httpdate::fmt_http_date(*at)
        ),
    };
    stream.write_all(format!("HTTP/1.1 {head}\r\n").as_bytes())?;
    Ok(Then::KeepAlive)
}

fn respond(kind: &str, request: &Request, stream: &mut TcpStream) -> std::io::Result<Then> {
    let crc = crc64(&request.body).to_string();
    let common = [
        ("ETag", ETAG),
        ("x-oss-request-id", REQUEST_ID),
        ("x-oss-version-id", "CAEQ"),
        ("x-oss-server-time", "7"),
    ];
    let mut headers = common.to_vec();
    headers.push(("x-oss-hash-crc64ecma", if kind == "wrong-crc" { "1" } else { &crc }));
    let encoded = BASE64.encode(DENIED);
    match kind {
        "text" => {
            answer(stream, 200, &[&headers[..], &[("Content-Type", "text/plain")]].concat(), b"thank you")?
        }
        "binary" => answer(stream, 200, &headers, &[0xfe, 0x00, 0xff])?,
        "empty" => answer(stream, 200, &headers, b"")?,
        "failed" => answer(stream, 203, &headers, FAILED)?,
        "failed-bare" => answer(stream, 203, &headers, b"")?,
        "portal" => answer(stream, 200, &[("Content-Type", "text/html")], b"<html>Log in first</html>")?,
        "no-content" => answer(stream, 204, &headers, b"")?,
        "rubbish" => stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")?,
        "truncated" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Status\"")?;
            return Ok(Then::Close);
        }
        "endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
            let piece = [b'a'; 65536];
            for _ in 0..1000 {
                stream.write_all(&piece)?;
            }
            return Ok(Then::Close);
        }
        "hang" => std::thread::sleep(HANG),
        "reset" => return Ok(Then::Close),
        "redirect" => answer(stream, 307, &[("Location", "http://127.0.0.1:9/elsewhere")], b"")?,
        "html" => answer(
            stream,
            502,
            &[("Content-Type", "text/html")],
            b"<html><body>Bad <br> Gateway</body></html>",
        )?,
        "header-error" => {
            answer(stream, 403, &[("x-oss-err", &encoded), ("x-oss-ec", "0003-00000001")], b"")?
        }
        "close" => {
            answer(stream, 200, &[&headers[..], &[JSON]].concat(), b"{}")?;
            return Ok(Then::Close);
        }
        _ => answer(stream, 200, &[&headers[..], &[JSON]].concat(), br#"{"Status":"OK"}"#)?,
    }
    Ok(Then::KeepAlive)
}

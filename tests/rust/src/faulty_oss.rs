//! An OSS that misbehaves as the key's first segment says. It checks no signature and calls nobody:
//! it is there for what the emulator, which behaves, cannot show.
//!
//! | key starts with | answer |
//! |---|---|
//! | `json/`, `text/`, `binary/`, `empty/` | 200 with such a body in place of the callback's |
//! | `wrong-crc/` | 200 with another CRC-64 |
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
//!
//! The bucket stands in the path, as for any endpoint that is an IP address.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use oss_callback::checksum::crc64;

use crate::http::{Request, Server, Then, answer};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const FAILED: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>CallbackFailed</Code>\
<Message>Error status : 502.</Message><RequestId>6555AC0C0000000000000001</RequestId>\
<HostId>examplebucket.oss-cn-hangzhou.aliyuncs.com</HostId><EC>0007-00000203</EC>\
<RecommendDoc>https://api.aliyun.com/troubleshoot?q=0007-00000203</RecommendDoc></Error>";
const DENIED: &[u8] =
    b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No &amp; never.</Message>\
<RequestId>6555AC0C0000000000000002</RequestId><HostId>h</HostId><EC>0003-00000001</EC></Error>";

/// Starts it on a free loopback port.
pub fn start() -> std::io::Result<Server> {
    Server::start(|request, stream| {
        let kind = request.path().split('/').nth(2).unwrap_or_default().to_owned();
        respond(&kind, request, stream)
    })
}

fn respond(kind: &str, request: &Request, stream: &mut TcpStream) -> std::io::Result<Then> {
    let crc = crc64(&request.body).to_string();
    let common = [
        ("ETag", "\"D41D8CD98F00B204E9800998ECF8427E\""),
        ("x-oss-request-id", "6555AC0C0000000000000001"),
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
        "hang" => std::thread::sleep(Duration::from_secs(20)),
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

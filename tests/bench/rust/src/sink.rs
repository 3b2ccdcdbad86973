//! One connection of the sink: reads requests, throws their bodies away, answers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crc_fast::CrcAlgorithm;
use nix::sys::socket::{MsgFlags, recv};

use crate::tls::TlsStream;

/// Bodies up to this length are read and summed, as OSS does it, so that clients check a real CRC-64. Larger
/// ones are dropped in the kernel, and no CRC-64 is told.
const SUMMED_MAX: u64 = 64 << 10;

/// Most bytes that one call drops. The pages behind it are never touched, so they cost no memory.
const DROP_BYTES: usize = 4 << 20;

const HEAD_BYTES: usize = 128 << 10;

/// What the sink has seen since it was started.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicU64,
    requests: AtomicU64,
    callbacks: AtomicU64,
    body_bytes: AtomicU64,
    chunked: AtomicU64,
}

impl Counts {
    fn json(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{{\"connections\":{},\"requests\":{},\"callbacks\":{},\"body_bytes\":{},\"chunked\":{}}}",
            of(&self.connections),
            of(&self.requests),
            of(&self.callbacks),
            of(&self.body_bytes),
            of(&self.chunked)
        )
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

/// What bytes come from and go to.
pub enum Wire {
    /// A socket.
    Plain(TcpStream),
    /// A socket with TLS.
    Tls(Box<TlsStream>),
}

impl Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => {
                let mut filled = 0;
                stream.take(buffer.len(), |piece| {
                    buffer[filled..filled + piece.len()].copy_from_slice(piece);
                    filled += piece.len();
                })
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes),
            Wire::Tls(stream) => stream.write_all(bytes),
        }
    }

    /// Takes up to `most` bytes off the wire, and says how many.
    fn discard(&mut self, most: u64, scratch: &mut [u8]) -> io::Result<usize> {
        let most = scratch.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        match self {
            // Linux drops the bytes where they are; elsewhere the flag means something else.
            Wire::Plain(stream) if cfg!(target_os = "linux") => {
                let flags = MsgFlags::MSG_TRUNC;
                Ok(recv(stream.as_raw_fd(), &mut scratch[..most], flags)?)
            }
            Wire::Plain(stream) => stream.read(&mut scratch[..most.min(64 << 10)]),
            Wire::Tls(stream) => stream.take(most, |_| ()),
        }
    }
}

/// A connection and what was read of it ahead.
pub struct Connection<'a> {
    wire: Wire,
    service_time: Duration,
    counts: &'a Counts,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are read and not yet used: from here …
    start: usize,
    /// … to here.
    end: usize,
    scratch: Vec<u8>,
}

/// What matters of a request's head.
struct Head {
    method: String,
    target: String,
    /// `None` if it comes in chunks.
    length: Option<u64>,
    expects: bool,
    closes: bool,
    callback: bool,
}

struct Body {
    bytes: u64,
    crc64: Option<u64>,
}

fn closed() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl<'a> Connection<'a> {
    /// A fresh connection; each answer is held back for `service_time`.
    pub fn new(wire: Wire, service_time: Duration, counts: &'a Counts) -> Connection<'a> {
        add(&counts.connections, 1);
        let (buffer, scratch) = (vec![0; HEAD_BYTES], vec![0; DROP_BYTES]);
        Connection { wire, service_time, counts, buffer, start: 0, end: 0, scratch }
    }

    /// Serves until the client closes.
    pub fn serve(mut self) -> io::Result<()> {
        while let Some(head) = self.head()? {
            if head.expects && self.start == self.end {
                self.wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = match head.length {
                Some(length) => self.body(length)?,
                None => self.chunks()?,
            };
            if head.target == "/__counts" {
                add(&self.counts.connections, 0_u64.wrapping_sub(1));
                let counts = self.counts.json();
                return self.wire.write_all(answer("200 OK", "application/json", &counts, None).as_bytes());
            }
            add(&self.counts.requests, 1);
            add(&self.counts.callbacks, u64::from(head.callback));
            add(&self.counts.body_bytes, body.bytes);
            if !self.service_time.is_zero() {
                std::thread::sleep(self.service_time);
            }
            self.wire.write_all(respond(&head, &body).as_bytes())?;
            if head.closes {
                break;
            }
        }
        Ok(())
    }

    /// The next request's head; `None` once the client has closed.
    fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(&self.buffer[self.start..self.end]).map_err(io::Error::other)?;
            if let httparse::Status::Complete(length) = parsed {
                let head = head_of(&request);
                self.start += length;
                return Ok(Some(head));
            }
            let fresh = self.start == self.end;
            match self.fill() {
                Err(error) if fresh && error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                outcome => outcome?,
            }
        }
    }

    /// Reads more.
    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start.., 0);
            self.end -= self.start;
            self.start = 0;
        }
        match self.wire.read(&mut self.buffer[self.end..])? {
            0 => Err(closed()),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }

    fn body(&mut self, length: u64) -> io::Result<Body> {
        let mut crc = (length <= SUMMED_MAX).then(|| crc_fast::Digest::new(CrcAlgorithm::Crc64Xz));
        let mut left = length;
        while left > 0 {
            let ready = (self.end - self.start).min(usize::try_from(left).unwrap_or(usize::MAX));
            if ready > 0 {
                if let Some(crc) = &mut crc {
                    crc.update(&self.buffer[self.start..self.start + ready]);
                }
                self.start += ready;
                left -= ready as u64;
            } else if crc.is_some() {
                self.fill()?;
            } else {
                match self.wire.discard(left, &mut self.scratch)? {
                    0 => return Err(closed()),
                    dropped => left -= dropped as u64,
                }
            }
        }
        Ok(Body { bytes: length, crc64: crc.map(|crc| crc.finalize()) })
    }

    fn chunks(&mut self) -> io::Result<Body> {
        add(&self.counts.chunked, 1);
        let mut bytes = 0;
        loop {
            let length = loop {
                match httparse::parse_chunk_size(&self.buffer[self.start..self.end]) {
                    Ok(httparse::Status::Complete((head, length))) => {
                        self.start += head;
                        break length;
                    }
                    Ok(httparse::Status::Partial) => self.fill()?,
                    Err(_) => return Err(io::Error::other("not a chunk")),
                }
            };
            let mut left = length;
            while left > 0 {
                let ready = ((self.end - self.start) as u64).min(left);
                self.start += ready as usize;
                left -= ready;
                if left > 0 {
                    match self.wire.discard(left, &mut self.scratch)? {
                        0 => return Err(closed()),
                        dropped => left -= dropped as u64,
                    }
                }
            }
            bytes += length;
            // The line end behind the chunk, or the one behind the empty trailer.
            while self.end - self.start < 2 {
                self.fill()?;
            }
            self.start += 2;
            if length == 0 {
                return Ok(Body { bytes, crc64: None });
            }
        }
    }
}

fn head_of(request: &httparse::Request<'_, '_>) -> Head {
    let mut head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        length: Some(0),
        expects: false,
        closes: false,
        callback: false,
    };
    for header in request.headers.iter() {
        let value = || std::str::from_utf8(header.value).unwrap_or_default();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            6 if is("expect") => head.expects = true,
            10 if is("connection") => head.closes = value().eq_ignore_ascii_case("close"),
            14 if is("content-length") => head.length = value().parse().ok(),
            14 if is("x-oss-callback") => head.callback = true,
            17 if is("transfer-encoding") => head.length = None,
            _ => {}
        }
    }
    head.callback |= query(&head.target, "callback").is_some();
    head
}

fn query<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

const ETAG: &str = "\"5D41402ABC4B2A76B9719D911017C592\"";

fn respond(head: &Head, body: &Body) -> String {
    let upload_id = query(&head.target, "uploadId");
    let (status, content_type, text) = match (head.method.as_str(), upload_id) {
        ("POST", None) if query(&head.target, "uploads").is_some() => (
            "200 OK",
            "application/xml",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><InitiateMultipartUploadResult><Bucket>bench</Bucket>\
             <Key>k</Key><UploadId>0004B9894A22E5B1888A1E29F8236E2D</UploadId></InitiateMultipartUploadResult>"
                .to_owned(),
        ),
        ("GET", Some(id)) => (
            "200 OK",
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListPartsResult><Bucket>bench</Bucket><Key>k</Key>\
                 <UploadId>{id}</UploadId><NextPartNumberMarker>0</NextPartNumberMarker><MaxParts>1000\
                 </MaxParts><IsTruncated>false</IsTruncated></ListPartsResult>"
            ),
        ),
        // The emulator's benchmark has its callbacks come here, too.
        ("PUT" | "POST", _) if head.callback || head.target.starts_with("/callback") => {
            ("200 OK", "application/json", "{\"Status\":\"OK\"}".to_owned())
        }
        ("POST", Some(_)) => (
            "200 OK",
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><CompleteMultipartUploadResult>\
                 <Location>http://bench/k</Location><Bucket>bench</Bucket><Key>k</Key><ETag>{ETAG}</ETag>\
                 </CompleteMultipartUploadResult>"
            ),
        ),
        ("PUT", _) => ("200 OK", "application/xml", String::new()),
        ("DELETE", _) => ("204 No Content", "application/xml", String::new()),
        _ => ("404 Not Found", "application/xml", String::new()),
    };
    // That of the object, which only a PUT's body is.
    answer(status, content_type, &text, body.crc64.filter(|_| head.method == "PUT"))
}

fn answer(status: &str, content_type: &str, body: &str, crc64: Option<u64>) -> String {
    let mut text = format!(
        "HTTP/1.1 {status}\r\nServer: AliyunOSS\r\nDate: Mon, 01 Jan 2029 00:00:00 GMT\r\n\
         Content-Length: {}\r\nConnection: keep-alive\r\nx-oss-request-id: 65A1B2C3D4E5F60718293A4B\r\n",
        body.len()
    );
    if !body.is_empty() {
        text += &format!("Content-Type: {content_type}\r\n");
    }
    text += &format!("ETag: {ETAG}\r\nContent-MD5: XUFAKrxLKna5cZ2REBfFkg==\r\nx-oss-server-time: 1\r\n");
    if let Some(crc64) = crc64 {
        text += &format!("x-oss-hash-crc64ecma: {crc64}\r\n");
    }
    text + "\r\n" + body
}

//! A small HTTP client that sends exactly what it is told, so that tests see the wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use oss_callback::Credentials;
use oss_callback::sign::{Parts, SignRequest, Signer, v4};
use oss_callback_emulator::{AccessKey, Emulator};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &COMPONENT.remove(b'/');

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text of an element of the body's XML, wherever it is.
    pub fn element(&self, name: &str) -> Option<String> {
        self.elements(name).into_iter().next()
    }

    pub fn elements(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let pieces = text.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
        pieces.map(|(value, _)| value.to_owned()).collect()
    }

    /// Status and code, to be compared at once.
    pub fn verdict(&self) -> (u16, String) {
        (self.status, self.element("Code").unwrap_or_default())
    }
}

/// One signed request in the making: V4, path style, by header.
#[derive(Clone)]
pub struct Call {
    method: String,
    bucket: Option<String>,
    key: Option<String>,
    query: Vec<(String, Option<String>)>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    host: Option<String>,
    target: Option<String>,
    signer: Option<Signer>,
}

pub fn call(method: &str, bucket: &str, key: &str) -> Call {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Call {
        method: method.to_owned(),
        bucket: some(bucket),
        key: some(key),
        query: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        host: None,
        target: None,
        signer: None,
    }
}

impl Call {
    pub fn query(mut self, name: &str, value: &str) -> Call {
        self.query.push((name.to_owned(), Some(value.to_owned()).filter(|value| !value.is_empty())));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Call {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Call {
        self.body = body.into();
        self
    }

    /// Another `Host` than the emulator's address.
    pub fn host(mut self, host: &str) -> Call {
        self.host = Some(host.to_owned());
        self
    }

    /// Another request target than path style's; the query is added.
    pub fn target(mut self, target: &str) -> Call {
        self.target = Some(target.to_owned());
        self
    }

    pub fn signer(mut self, signer: Signer) -> Call {
        self.signer = Some(signer);
        self
    }

    /// The bytes that go over the wire.
    pub fn wire(&self, emulator: &Emulator) -> Vec<u8> {
        let mut headers = self.headers.clone();
        match &self.signer {
            Some(signer) => {
                headers.extend(signer.sign(&self.sign_request(), SystemTime::now()).unwrap().headers)
            }
            None => self.sign_anything(emulator, &mut headers),
        }
        let host = self.host.clone().unwrap_or_else(|| emulator.address().to_string());
        headers.push(("Host".to_owned(), host));
        let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if matches!(self.method.as_str(), "PUT" | "POST")
            && !has("content-length")
            && !has("transfer-encoding")
        {
            headers.push(("Content-Length".to_owned(), self.body.len().to_string()));
        }
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target_with_query());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut wire = text.into_bytes();
        wire.extend(&self.body);
        wire
    }

    fn sign_request(&self) -> SignRequest {
        SignRequest {
            method: self.method.clone(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            additional_headers: Vec::new(),
        }
    }

    /// V4 by hand: unlike the signer, it does not mind what no client should send.
    fn sign_anything(&self, emulator: &Emulator, headers: &mut Vec<(String, String)>) {
        let now = time::OffsetDateTime::now_utc();
        let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
        let date_time = now.format(format).unwrap();
        headers.push(("x-oss-date".to_owned(), date_time.clone()));
        headers.push(("x-oss-content-sha256".to_owned(), v4::UNSIGNED_PAYLOAD.to_owned()));
        let parts = Parts {
            method: &self.method,
            bucket: self.bucket.as_deref(),
            key: self.key.as_deref(),
            query: self.query.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect(),
            headers: headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        };
        let canonical_request = v4::canonical_request(&parts, &[""; 0]);
        let scope = v4::scope(&date_time[..8], emulator.region(), v4::PRODUCT);
        let string_to_sign = v4::string_to_sign(&date_time, &scope, &canonical_request);
        let key =
            v4::signing_key(emulator.access_key_secret(), &date_time[..8], emulator.region(), v4::PRODUCT);
        let signature = v4::signature(&key, &string_to_sign);
        let credential = format!("{}/{scope}", emulator.access_key_id());
        let value = format!("{} Credential={credential},Signature={signature}", v4::ALGORITHM);
        headers.push(("Authorization".to_owned(), value));
    }

    fn target_with_query(&self) -> String {
        let bucket = self.bucket.as_deref().map(|bucket| format!("/{bucket}/")).unwrap_or("/".to_owned());
        let key = utf8_percent_encode(self.key.as_deref().unwrap_or_default(), PATH);
        let mut target = self.target.clone().unwrap_or_else(|| format!("{bucket}{key}"));
        for (position, (name, value)) in self.query.iter().enumerate() {
            target.push(if position == 0 { '?' } else { '&' });
            target.extend(utf8_percent_encode(name, COMPONENT));
            if let Some(value) = value {
                target.push('=');
                target.extend(utf8_percent_encode(value, COMPONENT));
            }
        }
        target
    }

    pub fn send(&self, emulator: &Emulator) -> Answer {
        exchange(emulator.address(), &self.wire(emulator))
    }
}

pub fn v4_signer(key: &AccessKey, region: &str) -> Signer {
    Signer::v4(credentials(key), region).unwrap()
}

pub fn v1_signer(key: &AccessKey) -> Signer {
    Signer::v1(credentials(key))
}

fn credentials(key: &AccessKey) -> Credentials {
    let pair = Credentials::new(key.id(), key.secret()).unwrap();
    match key.security_token() {
        Some(token) => pair.with_security_token(token).unwrap(),
        None => pair,
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends bytes over a connection of their own and reads one answer.
pub fn exchange(address: SocketAddr, wire: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(wire).unwrap();
    let bodiless = wire.starts_with(b"HEAD ");
    read_answer(&mut stream, bodiless)
}

pub fn read_answer(stream: &mut TcpStream, bodiless: bool) -> Answer {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(
            stream.read(&mut byte).unwrap(),
            1,
            "the connection ended after {:?}",
            String::from_utf8_lossy(&head)
        );
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned())).unwrap();
    let headers: Vec<(String, String)> = lines.map(header).collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    if status == 100 {
        return read_answer(stream, bodiless);
    }
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    if !bodiless && status != 304 {
        answer.body.resize(length, 0);
        stream.read_exact(&mut answer.body).unwrap();
    }
    answer
}

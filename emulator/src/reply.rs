//! Answers on their way out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::clock::{http_time, unix_ms};
use crate::error::OssError;
use crate::request::Request;
use crate::store::BlobReader;

/// What an operation answers; the headers that every answer has are added later.
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// Headers whose names are the user's.
    pub more_headers: Vec<(String, String)>,
    pub content: Content,
    /// The error that the answer tells of, for the log.
    pub error: Option<OssError>,
}

pub(crate) enum Content {
    Empty,
    Bytes(Bytes),
    Blob(BlobReader),
    /// Nothing is sent, but `Content-Length` says this: the answer to HEAD.
    Length(u64),
}

impl Reply {
    pub fn new(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), more_headers: Vec::new(), content: Content::Empty, error: None }
    }

    pub fn xml(document: String) -> Reply {
        let mut reply = Reply::new(200);
        reply.set_body("application/xml", document);
        reply
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.push(("content-type", content_type.to_owned()));
        self.content = Content::Bytes(body.into());
    }

    /// Turns the answer into an error's, keeping its headers: a failed callback tells of a stored object.
    pub fn set_error(&mut self, error: OssError, request: &Request) {
        self.status = error.status;
        let xml = error.to_xml(&request.id, bare_host(&request.host));
        if let Some(ec) = &error.ec {
            self.headers.push(("x-oss-ec", ec.clone()));
        }
        if request.method == hyper::Method::HEAD {
            self.headers.push(("x-oss-err", STANDARD.encode(xml)));
            self.content = Content::Empty;
        } else {
            self.set_body("application/xml", xml);
        }
        self.error = Some(error);
    }

    pub fn of_error(error: OssError, request: &Request) -> Reply {
        let mut reply = Reply::new(error.status);
        reply.set_error(error, request);
        reply
    }

    pub fn into_response(self, request: &Request, elapsed_ms: u128) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::default());
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut put = |name: HeaderName, value: &str| {
            // Stored values came in as headers, so they can go out as such.
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                response.headers_mut().insert(name, value);
            }
        };
        put(hyper::header::SERVER, "AliyunOSS");
        put(hyper::header::DATE, &http_time(unix_ms(request.now)));
        put(HeaderName::from_static("x-oss-request-id"), &request.id);
        put(HeaderName::from_static("x-oss-server-time"), &elapsed_ms.to_string());
        for (name, value) in &self.headers {
            put(HeaderName::from_static(name), value);
        }
        for (name, value) in &self.more_headers {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                put(name, value);
            }
        }
        let length = match &self.content {
            Content::Empty => 0,
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Blob(reader) => reader.left(),
            Content::Length(length) => *length,
        };
        // 204 and 304 have no body and no length (RFC 9110, 8.6).
        if !matches!(self.status, 204 | 304) {
            put(hyper::header::CONTENT_LENGTH, &length.to_string());
        }
        response.body_mut().0 = match self.content {
            Content::Blob(reader) => Some(Out::Blob(reader)),
            Content::Bytes(bytes) => Some(Out::Bytes(bytes)),
            Content::Empty | Content::Length(_) => None,
        };
        response
    }
}

fn bare_host(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The body of an answer.
#[derive(Default)]
pub(crate) struct ReplyBody(Option<Out>);

enum Out {
    Bytes(Bytes),
    Blob(BlobReader),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let chunk = match &mut self.0 {
            None => Ok(None),
            Some(Out::Bytes(bytes)) => Ok(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Some(Out::Blob(reader)) if reader.on_disk() => {
                tokio::task::block_in_place(|| reader.next_chunk())
            }
            Some(Out::Blob(reader)) => reader.next_chunk(),
        };
        Poll::Ready(chunk.transpose().map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            None => 0,
            Some(Out::Bytes(bytes)) => bytes.len() as u64,
            Some(Out::Blob(reader)) => reader.left(),
        })
    }
}

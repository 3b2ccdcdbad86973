//! The callback request: its line, its headers, its signature.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use oss_callback::callback::CallbackUrl;
use oss_callback::receive::signature::string_to_sign;

use super::{CallbackConfig, Prepared, UploadFacts};

/// A callback request, ready to be written.
pub(super) struct Request {
    /// `POST … HTTP/1.1`.
    pub line: String,
    /// In the order in which they are sent.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Request {
    /// The request to `url`, with the header set that OSS prints since 2024 (OSS, Callback) and the
    /// additional headers after it. `body` is the filled template.
    pub(super) fn new(
        config: &CallbackConfig,
        prepared: &Prepared,
        facts: &UploadFacts,
        url: &CallbackUrl,
        body: Bytes,
    ) -> Result<Request, rsa::Error> {
        let signature = config.signing_key.sign(&string_to_sign(url.target(), &body))?;
        let parameters = &prepared.parameters;
        let authority = url.authority();
        let mut headers: Vec<(String, String)> = [
            ("Host", parameters.host.as_deref().unwrap_or(&authority)),
            ("Connection", "close"),
            ("Content-Length", &body.len().to_string()),
            ("Content-Type", parameters.body_type.media_type()),
            // Base64 of the MD5 of the body (inferred from the name; no page says what it holds).
            ("Content-MD5", &STANDARD.encode(Md5::digest(&body))),
            ("Date", &httpdate::fmt_http_date(SystemTime::now())),
            ("User-Agent", "aliyun-oss-callback"),
            ("Authorization", &signature),
            ("x-oss-bucket", &facts.bucket),
            ("x-oss-pub-key-url", &STANDARD.encode(&config.key_url)),
            ("x-oss-request-id", &facts.request_id),
            ("x-oss-requester", &facts.requester),
            ("x-oss-signature-version", "1.0"),
            ("x-oss-tag", "CALLBACK"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        // A header that OSS sets itself is not set twice: a second length would break the framing, a
        // second Authorization the verification. What OSS does with such names is not documented.
        let own = headers.len();
        for (name, value) in &parameters.headers {
            let taken = headers[..own].iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
            if !taken && !name.eq_ignore_ascii_case("transfer-encoding") {
                headers.push((name.clone(), value.clone()));
            }
        }
        Ok(Request { line: format!("POST {} HTTP/1.1", url.target()), headers, body })
    }

    /// The bytes for the wire.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024 + self.body.len());
        bytes.extend_from_slice(self.line.as_bytes());
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("\r\n{name}: {value}").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

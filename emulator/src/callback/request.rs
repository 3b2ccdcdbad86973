//! The callback request: its line, its headers, its signature.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use oss_callback::callback::CallbackUrl;
use percent_encoding::percent_decode_str;

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

/// What OSS signs: the path decoded once (a `+` stays), the query as it is sent, a line feed and the body.
/// (OSS, Callback, "Verify the signature of callback requests")
pub(super) fn string_to_sign(target: &str, body: &[u8]) -> Vec<u8> {
    let (path, query) =
        target.split_at_checked(target.find('?').unwrap_or(target.len())).unwrap_or((target, ""));
    let mut text: Vec<u8> = percent_decode_str(path).collect();
    text.extend_from_slice(query.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(body);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_to_sign_decodes_the_path_once_and_leaves_the_query() {
        let signed = |target: &str| String::from_utf8(string_to_sign(target, b"bucket=b")).unwrap();
        assert_eq!(signed("/%e4%bd%a0/a%2Fb+c?d=%20+"), "/你/a/b+c?d=%20+\nbucket=b");
        assert_eq!(signed("/a%252Fb/../c"), "/a%2Fb/../c\nbucket=b");
        assert_eq!(signed("/cb?"), "/cb?\nbucket=b");
        assert_eq!(signed("/?a=1?b"), "/?a=1?b\nbucket=b");
        assert_eq!(signed("/"), "/\nbucket=b");
    }
}

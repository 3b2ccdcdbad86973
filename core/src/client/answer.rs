//! What an answer of OSS means: a reply, a failed callback, an integrity failure, a service error.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use http::HeaderMap;
use quick_xml::events::Event;

use super::reply::CallbackReply;
use crate::error::{CallbackCause, Error, ErrorKind, Result, ServiceFacts, StoredObject};
use crate::transport::Response;

/// How much of an answer that is no OSS error document is shown.
const SNIPPET_CHARS: usize = 200;

/// Judges the answer to an upload with a callback, wherever the callback travelled.
pub(super) fn judge_put(response: Response, sent_crc64: Option<u64>) -> Result<CallbackReply> {
    let Response { status, headers, body } = &response;
    if !matches!(status, 200 | 203) {
        return Err(service_error(&response));
    }
    let stored = stored(headers);
    // Comes first: whatever the callback did, the object is not what was meant.
    if let (Some(sent), Some(theirs)) = (sent_crc64, stored.crc64)
        && sent != theirs
    {
        let request_id = text(headers, "x-oss-request-id");
        return Err(Error::new(
            ErrorKind::Integrity,
            format!("OSS stored other data than was sent: its CRC-64 is {theirs}, that of the data {sent}"),
        )
        .with_service(ServiceFacts { status: Some(*status), request_id, ..ServiceFacts::default() })
        .with_stored(stored)
        .with_hint("Upload it again; the callback may already have announced the damaged object."));
    }
    // 203 is OSS's way to say that the object is stored and the callback failed (OSS, Callback). It
    // is a 2xx, and most SDKs take it for success.
    if *status == 203 {
        return Err(callback_failed(&response, stored));
    }
    Ok(CallbackReply {
        content_type: text(headers, "content-type"),
        etag: stored.etag,
        crc64: stored.crc64,
        version_id: stored.version_id,
        request_id: text(headers, "x-oss-request-id"),
        server_time: text(headers, "x-oss-server-time")
            .and_then(|ms| ms.parse().ok())
            .map(Duration::from_millis),
        body: body.clone(),
    })
}

/// Refuses a success that OSS cannot have meant: one that came before it had all, or that bears none of its
/// marks, such as a captive portal's page.
pub(super) fn check_speaker(response: &Response, all_sent: bool) -> Result<()> {
    let Response { status, headers, .. } = response;
    if !matches!(status, 200 | 203) {
        return Ok(());
    }
    let facts = ServiceFacts { status: Some(*status), ..ServiceFacts::default() };
    if !all_sent {
        let message = format!("the server answered with status {status} before it had all data");
        return Err(Error::new(ErrorKind::Service, message).with_service(facts).not_stored());
    }
    let marks = ["x-oss-request-id", "x-oss-hash-crc64ecma", "etag"];
    if !marks.iter().any(|mark| headers.contains_key(*mark)) {
        let message =
            format!("the answer, of status {status}, has neither ETag nor request id: it is not from OSS");
        return Err(Error::new(ErrorKind::Service, message)
            .with_service(facts)
            .with_hint("Check the endpoint, and that no proxy or portal answers in its place.")
            .undecided());
    }
    Ok(())
}

/// Whether OSS says it, and not a gateway before it.
pub(super) fn is_from_oss(response: &Response) -> bool {
    response.headers.contains_key("x-oss-request-id")
}

/// What an answer's headers say of the object.
pub(super) fn stored(headers: &HeaderMap) -> StoredObject {
    StoredObject {
        etag: text(headers, "etag").map(|etag| etag.trim_matches('"').to_owned()),
        crc64: text(headers, "x-oss-hash-crc64ecma").and_then(|crc| crc.parse().ok()),
        version_id: text(headers, "x-oss-version-id"),
    }
}

fn callback_failed(response: &Response, stored: StoredObject) -> Error {
    let document = ErrorDocument::of(response);
    let message = document.message.clone().unwrap_or_default();
    let (cause, callback_status) = cause_of(document.ec.as_deref(), &message);
    let text = if message.is_empty() {
        "the object is stored, but the callback failed".to_owned()
    } else {
        format!("the object is stored, but the callback failed: {}", message.trim_end_matches('.'))
    };
    let error =
        Error::new(ErrorKind::CallbackFailed, text).with_stored(stored).with_cause(cause, callback_status);
    document.onto(error, response)
}

/// The cause by EC where the EC is specific, else by the message, whose spelling varies between OSS's
/// own pages (`Error status : 502.`, `Error Status : -1 …`).
fn cause_of(ec: Option<&str>, message: &str) -> (CallbackCause, Option<u16>) {
    let lower = message.to_ascii_lowercase();
    let status =
        lower.split_once("error status").map(|(_, rest)| rest.trim_start_matches([' ', ':'])).map(|rest| {
            rest.split_once(|c: char| !c.is_ascii_digit() && c != '-').map_or(rest, |(number, _)| number)
        });
    let callback_status = status.and_then(|status| status.parse::<u16>().ok());
    if lower.contains("content-length") || lower.contains("conent-length") {
        return (CallbackCause::BadContentLength, callback_status);
    }
    if let Some(cause) = ec.and_then(CallbackCause::from_ec) {
        return (cause, callback_status);
    }
    let cause = match status {
        _ if lower.contains("too many callback") => CallbackCause::Busy,
        _ if lower.contains("cost too long") || lower.contains("reply timeout") => CallbackCause::Timeout,
        _ if lower.contains("not valid json") => CallbackCause::NotJson,
        _ if lower.contains("image info") => CallbackCause::ImageInfo,
        // OSS says 502 itself when the TLS handshake with the application server fails.
        Some(status) if status.starts_with('-') => CallbackCause::Unreachable,
        Some(_) if callback_status.is_some() => CallbackCause::BadStatus,
        _ => CallbackCause::Other,
    };
    (cause, callback_status)
}

/// Any answer that is neither success nor a failed callback.
pub(super) fn service_error(response: &Response) -> Error {
    let document = ErrorDocument::of(response);
    let message = match &document.message {
        Some(message) if !message.is_empty() => message.trim_end_matches('.').to_owned(),
        _ => snippet(response),
    };
    let mut error = Error::new(ErrorKind::Service, message);
    if let Some(hint) = hint(response.status, document.code.as_deref()) {
        error = error.with_hint(hint);
    }
    document.onto(error, response)
}

fn hint(status: u16, code: Option<&str>) -> Option<&'static str> {
    Some(match (status, code) {
        (_, Some("SignatureDoesNotMatch")) => {
            "Check the AccessKey secret; compare string_to_sign with the client's, a proxy may have changed a header."
        }
        (_, Some("InvalidAccessKeyId")) => "Check the AccessKey id, and that the key is enabled.",
        (_, Some("RequestTimeTooSkewed")) => {
            "Set this machine's clock: it differs from OSS's by over 15 minutes."
        }
        (_, Some("NoSuchBucket")) => {
            "Check the bucket's name and the region: buckets are known in their region only."
        }
        (_, Some("SecondLevelDomainForbidden")) => {
            "Use virtual-hosted addressing (addressing `auto` or `virtual`)."
        }
        (_, Some("AccessDenied")) => {
            "Check that the key may write to this bucket, and the region or endpoint."
        }
        (300..=399, _) => {
            "Redirects are not followed, as they would carry the signature elsewhere: set the bucket's own region or endpoint."
        }
        _ => return None,
    })
}

fn snippet(response: &Response) -> String {
    let status = response.status;
    let body = String::from_utf8_lossy(&response.body);
    let body = body.trim();
    if body.is_empty() {
        return format!("the server answered with status {status} and no explanation");
    }
    let mut shown: String =
        body.chars().take(SNIPPET_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if body.chars().nth(SNIPPET_CHARS).is_some() {
        shown.push('…');
    }
    format!("the server answered with status {status} and no OSS error document: {shown}")
}

/// OSS's error document, from the body or, where an answer has none, from the `x-oss-err` header.
#[derive(Debug, Default)]
struct ErrorDocument {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    host_id: Option<String>,
    ec: Option<String>,
    recommend_doc: Option<String>,
    string_to_sign: Option<String>,
}

impl ErrorDocument {
    fn of(response: &Response) -> ErrorDocument {
        let from_header = || {
            let encoded = text(&response.headers, "x-oss-err")?;
            Some(ErrorDocument::parse(&String::from_utf8_lossy(&BASE64.decode(encoded).ok()?)))
        };
        let mut document = ErrorDocument::parse(&String::from_utf8_lossy(&response.body));
        if document.code.is_none() {
            document = from_header().unwrap_or(document);
        }
        document.ec = document.ec.or_else(|| text(&response.headers, "x-oss-ec"));
        document.request_id = document.request_id.or_else(|| text(&response.headers, "x-oss-request-id"));
        document
    }

    /// Reads the children of the root `Error`; anything else gives an empty document.
    fn parse(xml: &str) -> ErrorDocument {
        let mut document = ErrorDocument::default();
        let mut reader = quick_xml::Reader::from_str(xml);
        let mut path: Vec<String> = Vec::new();
        let mut content = String::new();
        loop {
            match reader.read_event() {
                Ok(Event::Start(tag)) => {
                    path.push(tag.local_name().as_ref().to_owned());
                    content.clear();
                    if path.len() > 8 {
                        return document;
                    }
                }
                Ok(Event::Text(piece)) => content.push_str(&piece.xml10_content()),
                Ok(Event::CData(piece)) => content.push_str(&piece),
                Ok(Event::GeneralRef(entity)) => content.push_str(&resolve(&entity)),
                Ok(Event::End(_)) => {
                    if let [root, name] = path.as_slice()
                        && root == "Error"
                    {
                        document.take(name, std::mem::take(&mut content));
                    }
                    path.pop();
                }
                Ok(Event::Eof) | Err(_) => return document,
                Ok(_) => {}
            }
        }
    }

    fn take(&mut self, name: &str, value: String) {
        let member = match name {
            "Code" => &mut self.code,
            "Message" => &mut self.message,
            "RequestId" => &mut self.request_id,
            "HostId" => &mut self.host_id,
            "EC" => &mut self.ec,
            "RecommendDoc" => &mut self.recommend_doc,
            "StringToSign" => {
                self.string_to_sign = Some(without_token(&value));
                return;
            }
            _ => return,
        };
        *member = Some(value);
    }

    fn onto(self, error: Error, response: &Response) -> Error {
        let error = match self.ec {
            Some(ec) => error.with_ec(ec),
            None => error,
        };
        error.with_service(ServiceFacts {
            status: Some(response.status),
            code: self.code,
            request_id: self.request_id,
            host_id: self.host_id,
            recommend_doc: self.recommend_doc,
            string_to_sign: self.string_to_sign,
        })
    }
}

/// With V1 the STS token is part of what is signed: as a header, or in a presigned URL's resource.
fn without_token(string_to_sign: &str) -> String {
    let mut shown = String::with_capacity(string_to_sign.len());
    let mut rest = string_to_sign;
    while let Some((before, mark)) = ["x-oss-security-token:", "security-token="]
        .iter()
        .filter_map(|mark| Some((rest.find(mark)?, mark)))
        .min()
    {
        let from = before + mark.len();
        shown.push_str(&rest[..from]);
        shown.push_str("***");
        let token = &rest[from..];
        rest = &token[token.find(['\n', '&']).unwrap_or(token.len())..];
    }
    shown + rest
}

/// The five entities of XML, and character references.
fn resolve(entity: &quick_xml::events::BytesRef<'_>) -> String {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return character.to_string();
    }
    quick_xml::escape::resolve_predefined_entity(entity).unwrap_or("").to_owned()
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sts_token_is_left_out_of_the_string_to_sign() {
        let xml = "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>PUT\n\n\n\
            x-oss-date:today\nx-oss-security-token:s3cret==\n/b/k?acl&amp;security-token=s3cret&amp;uploads</StringToSign></Error>";
        assert_eq!(
            ErrorDocument::parse(xml).string_to_sign.unwrap(),
            "PUT\n\n\nx-oss-date:today\nx-oss-security-token:***\n/b/k?acl&security-token=***&uploads"
        );
        assert_eq!(without_token("GET\n\n\n1\n/b/k"), "GET\n\n\n1\n/b/k");
        assert_eq!(without_token("x-oss-security-token:"), "x-oss-security-token:***");
    }
}

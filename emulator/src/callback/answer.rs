//! Whether an application server's answer counts as success.

use bytes::Bytes;
use quick_xml::events::Event;
use serde::de::IgnoredAny;

use super::failure::Failure;

/// The longest answer. OSS's pages say 1 MB (203 errors: "too long content-length") and 3 MB (the row of
/// `callbackUrl`); the error page describes the check itself, and an answer that passes here passes both.
pub(super) const MAX_BODY: u64 = 1024 * 1024;

/// Status line and headers of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub status: u16,
    /// As they came; bytes that are no UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
}

impl Head {
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let matching = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(matching).map(|(_, value)| value.trim())
    }

    /// The Content-Type as it came, where there is one.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.all("content-type").next().filter(|value| !value.is_empty())
    }

    /// How long the body is, if status and Content-Length are what OSS accepts: exactly 200 ("not another
    /// 20x"), and a positive integer. A chunked body has no length that OSS would read. (OSS, Callback)
    pub(super) fn accepted_length(&self) -> Result<u64, Failure> {
        if self.status != 200 {
            return Err(Failure::Status(self.status));
        }
        if self.all("transfer-encoding").any(|value| !value.eq_ignore_ascii_case("identity")) {
            return Err(Failure::LengthMissing);
        }
        let mut lengths = self.all("content-length");
        let length = lengths.next().ok_or(Failure::LengthMissing)?;
        if lengths.any(|other| other != length)
            || length.is_empty()
            || !length.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(Failure::LengthInvalid);
        }
        match length.parse() {
            Ok(0) => Err(Failure::LengthInvalid),
            Ok(length) if length <= MAX_BODY => Ok(length),
            // Digits that do not fit into 64 bits are a length too.
            _ => Err(Failure::LengthTooLong),
        }
    }
}

/// Whether `body` is what OSS hands on: JSON without a byte order mark whatever its Content-Type says, or
/// well-formed XML with `Content-Type: application/xml`. (OSS, Callback, Chinese page of September 2025)
pub(super) fn check_body(content_type: Option<&str>, body: &Bytes) -> Result<(), Failure> {
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    match std::str::from_utf8(body) {
        Ok(text) if is_json(text) => Ok(()),
        Ok(text) if essence.eq_ignore_ascii_case("application/xml") && is_xml(text) => Ok(()),
        _ => Err(Failure::NotJson),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// One element with everything inside it closed, and nothing but blanks, comments and the like around it.
fn is_xml(text: &str) -> bool {
    let mut reader = quick_xml::Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let (mut depth, mut roots) = (0_usize, 0_usize);
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) => {
                roots += usize::from(depth == 0);
                depth += 1;
            }
            Ok(Event::Empty(_)) => roots += usize::from(depth == 0),
            // The reader itself refuses an end that matches no start.
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Text(text)) if depth == 0 && !text.trim_ascii().is_empty() => return false,
            Ok(Event::CData(_) | Event::GeneralRef(_)) if depth == 0 => return false,
            Ok(Event::Eof) => return depth == 0 && roots == 1,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(status: u16, headers: &[(&str, &str)]) -> Result<u64, Failure> {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Head { status, headers }.accepted_length()
    }

    #[test]
    fn only_status_200_counts() {
        for status in [100, 101, 199, 201, 202, 204, 206, 301, 302, 307, 400, 401, 403, 404, 500, 502, 999] {
            assert_eq!(length(status, &[("Content-Length", "2")]), Err(Failure::Status(status)));
        }
        assert_eq!(length(200, &[("Content-Length", "2")]), Ok(2));
    }

    #[test]
    fn content_length_must_be_a_positive_integer_of_at_most_1_mb() {
        let one = |value: &str| length(200, &[("content-LENGTH", value)]);
        assert_eq!(one(" 9 "), Ok(9));
        assert_eq!(one("1048576"), Ok(MAX_BODY));
        for invalid in ["", "0", "00", "-1", "+1", "1.0", "0x10", "nine", "1 2", "1,1"] {
            assert_eq!(one(invalid), Err(Failure::LengthInvalid), "{invalid:?}");
        }
        for long in ["1048577", "3145728", "99999999999999999999999999"] {
            assert_eq!(one(long), Err(Failure::LengthTooLong), "{long}");
        }
        assert_eq!(length(200, &[]), Err(Failure::LengthMissing));
        assert_eq!(length(200, &[("Transfer-Encoding", "chunked")]), Err(Failure::LengthMissing));
        let both = [("Transfer-Encoding", "chunked"), ("Content-Length", "2")];
        assert_eq!(length(200, &both), Err(Failure::LengthMissing));
        assert_eq!(length(200, &[("Content-Length", "2"), ("Content-Length", "2")]), Ok(2));
        let differing = [("Content-Length", "2"), ("Content-Length", "3")];
        assert_eq!(length(200, &differing), Err(Failure::LengthInvalid));
    }

    #[test]
    fn json_is_accepted_under_any_type_and_nothing_else_is() {
        let ok = |body: &[u8]| check_body(Some("text/html"), &Bytes::copy_from_slice(body)).is_ok();
        for good in [
            &b"{\"Status\":\"OK\"}"[..],
            b" [1, 2.5e3, null]\n",
            b"\"ok\"",
            b"true",
            "{\"a\":\"你\"}".as_bytes(),
        ] {
            assert!(ok(good), "{good:?}");
        }
        for bad in [
            &b"\xef\xbb\xbf{}"[..],
            b"ok",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"{}{}",
            b"{\"a\":\"\xff\"}",
            b" ",
            b"<a/>",
        ] {
            assert!(!ok(bad), "{bad:?}");
        }
    }

    #[test]
    fn xml_is_accepted_when_it_is_announced_and_well_formed() {
        let ok = |kind, body: &'static str| check_body(kind, &Bytes::from_static(body.as_bytes())).is_ok();
        let document = "<?xml version=\"1.0\"?>\n<!-- c --><r a=\"1\"><b/>text &amp; more<![CDATA[<]]></r>\n";
        assert!(ok(Some("application/xml"), document));
        assert!(ok(Some("Application/XML; charset=utf-8"), document));
        assert!(!ok(Some("text/xml"), document));
        assert!(!ok(None, document));
        for bad in ["<a>", "<a></b>", "</a>", "<a/><b/>", "<a/>x", "x<a/>", "<a", "nothing", "<a><b></a></b>"]
        {
            assert!(!ok(Some("application/xml"), bad), "{bad}");
        }
    }
}

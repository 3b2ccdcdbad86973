//! Answers that OSS accepts (OSS, Callback; error pages of CallbackFailed): status 200 exactly, a
//! Content-Length, and valid JSON without a byte order mark, of at most 1 MB.

use bytes::Bytes;

use crate::error::{Error, Result};

/// OSS's pages name 1 MB and 3 MB; the smaller one is safe.
const MAX_ANSWER: usize = 1024 * 1024;
const JSON: &str = "application/json";

/// An HTTP answer to a callback request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type` and `Content-Length`.
    pub headers: [(&'static str, String); 2],
    /// The body, which OSS passes on to the uploader unchanged.
    pub body: Bytes,
}

impl Reply {
    fn new(status: u16, body: Bytes) -> Reply {
        let length = body.len().to_string();
        let headers = [("Content-Type", JSON.to_owned()), ("Content-Length", length)];
        Reply { status, headers, body }
    }
}

/// The answer that makes the upload succeed; the uploader gets `json` as it is.
///
/// # Errors
/// `invalid_argument` for what OSS refuses: nothing at all, a byte order mark, invalid JSON, or more
/// than 1 MB.
pub fn reply(json: impl Into<Bytes>) -> Result<Reply> {
    let body = json.into();
    let refuse = |message: String| Error::invalid_argument("answer", message);
    if body.is_empty() {
        return Err(
            refuse("must not be empty".to_owned()).with_hint("Answer `{}` if there is nothing to say.")
        );
    }
    if body.len() > MAX_ANSWER {
        let message = format!("is {} bytes long; OSS takes at most {MAX_ANSWER}", body.len());
        return Err(refuse(message).with_ec("0007-00000204"));
    }
    if body.starts_with(b"\xef\xbb\xbf") {
        return Err(refuse("must not start with a byte order mark".to_owned()).with_ec("0007-00000205"));
    }
    let text = std::str::from_utf8(&body)
        .map_err(|_| refuse("is not UTF-8, as JSON must be".to_owned()).with_ec("0007-00000205"))?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|error| refuse(format!("is not valid JSON: {error}")).with_ec("0007-00000205"))?;
    Ok(Reply::new(200, body))
}

/// The answer to a request that did not verify: status 403, the same for every reason, so that a forger
/// learns nothing from it. Should the request be from OSS all the same, the upload ends as
/// `callback_failed` with "Error status : 403.".
pub fn refusal() -> Reply {
    Reply::new(403, Bytes::from_static(br#"{"error":"the callback could not be verified"}"#))
}

/// The answer when a callback did verify, but could not be acted on: status 500. The upload ends as
/// `callback_failed`.
pub fn failure() -> Reply {
    Reply::new(500, Bytes::from_static(br#"{"error":"the callback could not be answered"}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_answer_is_complete() {
        for json in ["{}", r#"{"Status":"OK","猫":[1,2]}"#, "[]", "\"x\"", "null", " {} \n"] {
            let reply = reply(json.to_owned()).unwrap();
            assert_eq!((reply.status, reply.body.as_ref()), (200, json.as_bytes()));
            let headers =
                [("Content-Type", "application/json".to_owned()), ("Content-Length", json.len().to_string())];
            assert_eq!(reply.headers, headers);
        }
    }

    #[test]
    fn what_oss_refuses_is_refused_before_it_is_sent() {
        for (answer, ec) in [
            (String::new(), None),
            (" ".to_owned(), Some("0007-00000205")),
            ("OK".to_owned(), Some("0007-00000205")),
            ("{}{}".to_owned(), Some("0007-00000205")),
            ("{'a':1}".to_owned(), Some("0007-00000205")),
            ("\u{feff}{}".to_owned(), Some("0007-00000205")),
            ("[".repeat(100_000), Some("0007-00000205")),
            (format!("\"{}\"", "a".repeat(MAX_ANSWER)), Some("0007-00000204")),
        ] {
            let error = reply(answer.clone()).unwrap_err();
            assert_eq!((error.field(), error.ec()), (Some("answer"), ec), "{answer:.40}");
        }
        assert!(reply(&b"\"\xff\""[..]).is_err());
        assert!(reply(format!("\"{}\"", "a".repeat(MAX_ANSWER - 2))).is_ok());
    }

    #[test]
    fn refusals_do_not_tell_why() {
        for (answer, status) in [(refusal(), 403), (failure(), 500)] {
            assert_eq!((answer.status, &answer.headers[1].1), (status, &answer.body.len().to_string()));
            assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok());
        }
    }
}

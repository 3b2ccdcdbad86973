//! The `http` crate's types, which most of Rust's servers share.

use ::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;

use super::answer::Reply;
use super::{CallbackEvent, CallbackVerifier};
use crate::error::Result;

impl CallbackVerifier {
    /// [`verify`](CallbackVerifier::verify) for a request whose body has been read whole and unchanged.
    ///
    /// The request's URI must be the one that arrived: routers that serve a part of the path tree cut its
    /// prefix off.
    ///
    /// # Errors
    /// As [`verify`](CallbackVerifier::verify).
    pub fn verify_request<B: AsRef<[u8]>>(&self, request: &Request<B>) -> Result<CallbackEvent> {
        let headers = pairs(request.headers());
        self.verify(request.method().as_str(), target(request.uri()), headers, request.body().as_ref())
    }
}

pub(super) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// Path and query as they arrived; the type does not touch their encoding.
pub(super) fn target(uri: &::http::Uri) -> &str {
    uri.path_and_query().map_or("", |target| target.as_str())
}

impl From<Reply> for Response<Bytes> {
    fn from(reply: Reply) -> Response<Bytes> {
        let mut response = Response::new(reply.body);
        *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::FORBIDDEN);
        for (name, value) in reply.headers {
            // Both are of this library's making.
            if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), HeaderValue::try_from(value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::*;

    /// OSS's own worked example (OSS, Callback).
    fn real(uri: &str) -> Request<&'static [u8]> {
        let authorization =
            "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==";
        let key_url = "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ==";
        let request =
            Request::post(uri).header("Authorization", authorization).header("x-oss-pub-key-url", key_url);
        request.body(b"bucket=yonghu-test".as_slice()).unwrap()
    }

    #[test]
    fn a_request_verifies_by_its_target_in_both_forms() {
        let verifier = CallbackVerifier::builder().build().unwrap();
        for uri in ["/index.php?id=1&index=2", "http://app.example.com/index.php?id=1&index=2"] {
            assert_eq!(verifier.verify_request(&real(uri)).unwrap().bucket(), Some("yonghu-test"));
        }
        let error = verifier.verify_request(&real("/index.php?id=1")).unwrap_err();
        assert_eq!(error.reason(), Some(crate::VerificationReason::WrongSignature));
        let error = verifier.verify_request(&real("*")).unwrap_err();
        assert_eq!(error.reason(), Some(crate::VerificationReason::BadTarget));
    }

    #[test]
    fn targets_keep_their_encoding() {
        for text in ["/a%2Fb+c//d?x=%20&y=", "/cb?", "/", "/%E4%B8%AD?a=b?c"] {
            assert_eq!(target(&text.parse().unwrap()), text);
        }
    }

    #[test]
    fn answers_become_responses_with_what_oss_demands() {
        let response = Response::from(answer::reply("{}").unwrap());
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, b"{}".as_slice()));
        assert_eq!(response.headers()["content-length"], "2");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(Response::from(answer::refusal()).status(), StatusCode::FORBIDDEN);
    }
}

//! What the verifier takes from a callback request, checked for form only.

use super::signature::split_target;
use crate::error::{Error, Result, VerificationReason as Reason};

/// Longer targets than any server accepts.
const MAX_TARGET: usize = 16 * 1024;
/// Headers by which proxies tell the target they were asked for; only read to explain a failure.
const ORIGINAL_TARGET: [&str; 4] = ["x-original-uri", "x-original-url", "x-forwarded-uri", "x-rewrite-url"];

/// A callback request as it arrived.
pub(super) struct Request<'a> {
    pub target: &'a str,
    pub headers: Headers,
    pub body: &'a [u8],
}

/// The headers that matter. Those that decide stand at most once.
#[derive(Default)]
pub(super) struct Headers {
    pub authorization: Option<String>,
    pub key_url: Option<String>,
    pub version: Option<String>,
    pub content_type: Option<String>,
    // The rest is not trusted and only read to explain a failure.
    pub content_md5: Option<String>,
    pub content_length: Option<String>,
    pub forwarded_prefix: Option<String>,
    pub original_targets: Vec<(&'static str, String)>,
}

impl<'a> Request<'a> {
    pub(super) fn read<N: AsRef<str>, V: AsRef<[u8]>>(
        method: &str,
        target: &'a str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &'a [u8],
        max_body: usize,
    ) -> Result<Request<'a>> {
        // Methods are case-sensitive (RFC 9110, 9.1).
        if method != "POST" {
            return Err(Error::verification(Reason::WrongMethod, "the request's method is not POST"));
        }
        if body.len() > max_body {
            let message = format!("the body has {} bytes; at most {max_body} are allowed", body.len());
            return Err(Error::verification(Reason::BodyTooLarge, message));
        }
        Ok(Request { target: origin_form(target)?, headers: Headers::read(headers)?, body })
    }
}

/// Path and query of a target, which may also be a whole URL (RFC 9112, 3.2.2).
fn origin_form(target: &str) -> Result<&str> {
    let refuse = |message: &str| Err(Error::verification(Reason::BadTarget, message));
    if target.len() > MAX_TARGET {
        return refuse("the request target is longer than 16 KiB");
    }
    let after_scheme = ["http://", "https://"].iter().find_map(|scheme| {
        let start = target.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme));
        start.and_then(|start| target.get(start.len()..))
    });
    let target = match after_scheme {
        Some(rest) => rest.get(rest.find(['/', '?']).unwrap_or(rest.len())..).unwrap_or_default(),
        None => target,
    };
    // `http://host` and `http://host?a=1` mean the path `/`, which OSS signs; a bare `?a=1` does not.
    let target = if after_scheme.is_some() && target.is_empty() { "/" } else { target };
    if !target.starts_with('/') {
        return refuse("the request target is not a path that starts with `/`");
    }
    // OSS signs path, line feed, body: a line feed in the path would let the start of a signed body be
    // passed off as a part of the path. No callback URL has one.
    let path = percent_encoding::percent_decode_str(split_target(target).0);
    if target.bytes().any(|byte| byte.is_ascii_control()) || path.into_iter().any(|b| b.is_ascii_control()) {
        return refuse("the request target holds a control character");
    }
    Ok(target)
}

impl Headers {
    fn read<N: AsRef<str>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (N, V)>) -> Result<Headers> {
        let mut read = Headers::default();
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref().trim_ascii());
            let text = || String::from_utf8_lossy(value).into_owned();
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            let decisive = if is("authorization") {
                Some(&mut read.authorization)
            } else if is("x-oss-pub-key-url") {
                Some(&mut read.key_url)
            } else if is("x-oss-signature-version") {
                Some(&mut read.version)
            } else if is("content-type") {
                Some(&mut read.content_type)
            } else {
                None
            };
            if let Some(slot) = decisive {
                if slot.replace(text()).is_some() {
                    let message = format!("the header {} stands twice", name.to_ascii_lowercase());
                    return Err(Error::verification(Reason::DuplicateHeader, message));
                }
            } else if is("content-md5") {
                read.content_md5 = Some(text());
            } else if is("content-length") {
                read.content_length = Some(text());
            } else if is("x-forwarded-prefix") {
                read.forwarded_prefix = Some(text());
            } else if let Some(known) = ORIGINAL_TARGET.into_iter().find(|known| is(known))
                && value.len() <= MAX_TARGET
                && read.original_targets.len() < ORIGINAL_TARGET.len()
            {
                read.original_targets.push((known, text()));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T>(result: Result<T>) -> &'static str {
        result.err().and_then(|error| error.reason()).map_or("none", Reason::name)
    }

    #[test]
    fn a_whole_url_as_target_means_its_path_and_query() {
        for (target, wanted) in [
            ("/cb?a=1", "/cb?a=1"),
            ("http://app.example.com/cb?a=http://x/", "/cb?a=http://x/"),
            ("HTTPS://app.example.com:8443/", "/"),
            ("http://app.example.com", "/"),
            ("//cb", "//cb"),
            ("/a%20b", "/a%20b"),
        ] {
            assert_eq!(origin_form(target).unwrap(), wanted, "{target}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET));
        for target in [
            "",
            "cb",
            "*",
            "app.example.com:443",
            "?a=1",
            "http://h?a=1",
            "ftp://h/",
            "/a\nb",
            "/a%0ab",
            "/a%00",
            &long,
        ] {
            assert_eq!(reason(origin_form(target)), "bad_target", "{target:.40}");
        }
    }

    #[test]
    fn only_post_in_capitals_is_a_callback() {
        for method in ["GET", "PUT", "post", "Post", "", "POST "] {
            let none: [(&str, &str); 0] = [];
            assert_eq!(reason(Request::read(method, "/", none, b"", 10)), "wrong_method", "{method}");
        }
    }

    #[test]
    fn names_of_headers_are_read_in_any_case_and_decisive_ones_but_once() {
        let headers =
            [("AUTHORIZATION", "a"), ("X-Oss-Pub-Key-Url", " u\t"), ("Accept", "x"), ("accept", "y")];
        let read = Headers::read(headers).unwrap();
        assert_eq!((read.authorization.as_deref(), read.key_url.as_deref()), (Some("a"), Some("u")));
        for name in ["Authorization", "x-oss-pub-key-url", "x-oss-signature-version", "Content-Type"] {
            let twice = [(name.to_owned(), "1.0"), (name.to_ascii_uppercase(), "1.0")];
            assert_eq!(reason(Headers::read(twice)), "duplicate_header", "{name}");
        }
    }
}

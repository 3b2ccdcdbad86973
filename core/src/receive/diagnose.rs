//! Why a signature does not fit: which usual accident would explain it.
//!
//! Runs only after a verification has failed, and cannot turn it into a success: it returns text. A
//! signature tells the digest that it was made over, and that needs the private key; so only somebody
//! who has a real signature can make this code try anything, and what it tries is bounded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};

use super::fields::{decode_form, split_pair};
use super::request::Request;
use super::signature::{digest_of, split_target};
use crate::encode;

/// Larger bodies are not tried in variants.
const MAX_BODY: usize = 64 * 1024;
/// The order of so many query parameters is tried out: 24 orders.
const MAX_PARAMETERS: usize = 4;
/// What a URL cannot hold unencoded, and what a decoding proxy leaves of it.
const NOT_IN_URL: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}');

/// The finding on a request whose signature was made by the right key over `signed`.
pub(super) fn explain(request: &Request<'_>, signed: [u8; 16]) -> String {
    if request.body.len() <= MAX_BODY {
        let heads = targets(request);
        let by_target = heads.iter().find(|(head, _)| digest_of(head, request.body) == signed);
        if let Some((_, finding)) = by_target {
            return finding.clone();
        }
        let head = decoded_head(request.target);
        let by_body = bodies(request.body).into_iter().find(|(body, _)| digest_of(&head, body) == signed);
        if let Some((_, finding)) = by_body {
            return finding.to_owned();
        }
    }
    circumstances(request)
}

/// The first line of the string to sign.
fn decoded_head(target: &str) -> Vec<u8> {
    let (path, query) = split_target(target);
    [decode(path.as_bytes()), query.as_bytes().to_vec()].concat()
}

fn decode(text: &[u8]) -> Vec<u8> {
    percent_decode(text).collect()
}

/// First lines that would have been signed if the target had been altered on its way.
fn targets(request: &Request<'_>) -> Vec<(Vec<u8>, String)> {
    let (path, query) = split_target(request.target);
    let once = decode(path.as_bytes());
    let mut heads: Vec<(Vec<u8>, String)> = Vec::new();
    let mut add = |path: &[u8], query: &[u8], finding: &str| {
        heads.push(([path, query].concat(), finding.to_owned()));
    };
    let raw = query.as_bytes();
    add(
        path.as_bytes(),
        raw,
        "The path was percent-decoded before it was handed over: hand over the raw request target.",
    );
    add(
        &decode(&once),
        raw,
        "The path was percent-encoded once more on its way: hand over the raw request target.",
    );
    let replaced =
        |from: u8, to: u8| once.iter().map(|b| if *b == from { to } else { *b }).collect::<Vec<u8>>();
    add(
        &replaced(b'+', b' '),
        raw,
        "A `+` in the path was signed as a blank: keep `+` out of the callback URL's path.",
    );
    add(
        &replaced(b' ', b'+'),
        raw,
        "A `+` in the path was turned into a blank: hand over the raw request target.",
    );
    match once.strip_suffix(b"/") {
        Some(bare) => add(
            bare,
            raw,
            "A `/` was added to the end of the path: by a proxy, or by a framework's redirect.",
        ),
        None => add(&[&once[..], b"/"].concat(), raw, "The `/` at the end of the path was dropped."),
    }
    if query.is_empty() {
        add(&once, b"?", "The `?` of an empty query was dropped: do not end the callback URL in `?`.");
    } else {
        add(&once, b"", "A query was added on the way: hand over the raw request target.");
        add(
            &once,
            &decode(raw),
            "The query was percent-encoded on its way: hand over the raw request target.",
        );
        let encoded: String = percent_encode(raw, NOT_IN_URL).collect();
        add(
            &once,
            encoded.as_bytes(),
            "The query was percent-decoded on its way: hand over the raw request target.",
        );
        for order in orders(query.strip_prefix('?').unwrap_or_default()) {
            add(
                &once,
                order.as_bytes(),
                "The query's parameters were put into another order: hand over the raw request target.",
            );
        }
    }
    for (header, target) in &request.headers.original_targets {
        let finding = format!("A proxy rewrote the target: the signed one is in the header {header}.");
        heads.push((decoded_head(target), finding));
    }
    if let Some(prefix) = &request.headers.forwarded_prefix {
        let whole = format!("{}{}", prefix.trim_end_matches('/'), request.target);
        let finding =
            "A proxy stripped a prefix off the path: it is in the header x-forwarded-prefix.".to_owned();
        heads.push((decoded_head(&whole), finding));
    }
    heads
}

/// The query in every order of its parameters.
fn orders(query: &str) -> Vec<String> {
    let parameters: Vec<&str> = query.split('&').collect();
    if !(2..=MAX_PARAMETERS).contains(&parameters.len()) {
        return Vec::new();
    }
    let mut orders = vec![Vec::new()];
    for _ in &parameters {
        let longer = orders.iter().flat_map(|order: &Vec<usize>| {
            let left = (0..parameters.len()).filter(|index| !order.contains(index));
            left.map(|index| [order.as_slice(), &[index]].concat())
        });
        orders = longer.collect();
    }
    let spell = |order: &Vec<usize>| {
        let names: Vec<&str> = order.iter().filter_map(|index| parameters.get(*index).copied()).collect();
        format!("?{}", names.join("&"))
    };
    orders.iter().map(spell).collect()
}

/// Bodies that would have been signed if this one had been altered on its way.
fn bodies(body: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    const RAW: &str = "A line end was added to the body: verify the raw bytes.";
    const CUT: &str = "A line end was cut off the body: verify the raw bytes.";
    const ENDS: &str = "The body's line ends were converted: verify the raw bytes.";
    const FORM: &str = "The form body was parsed and written anew: verify the raw bytes.";
    let mut bodies = vec![(Vec::new(), "A body was added to an empty one on the way.")];
    bodies.extend(body.strip_suffix(b"\n").map(|cut| (cut.to_vec(), RAW)));
    bodies.extend(body.strip_suffix(b"\r\n").map(|cut| (cut.to_vec(), RAW)));
    bodies.push(([body, b"\n"].concat(), CUT));
    bodies.push(([body, b"\r\n"].concat(), CUT));
    let unix = replace(body, b"\r\n", b"\n");
    bodies.push((replace(&unix, b"\n", b"\r\n"), ENDS));
    bodies.push((unix, ENDS));
    let write = |part: &[u8]| encode::component(&decode_form(part)).into_owned();
    let pairs = || body.split(|byte| *byte == b'&').map(split_pair);
    let values: Vec<String> =
        pairs().map(|(name, value)| format!("{}={}", String::from_utf8_lossy(name), write(value))).collect();
    let whole: Vec<String> =
        pairs().map(|(name, value)| format!("{}={}", write(name), write(value))).collect();
    for form in [values.join("&"), whole.join("&")] {
        bodies.push((form.replace("%20", "+").into_bytes(), FORM));
        bodies.push((form.into_bytes(), FORM));
    }
    bodies
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = match rest.strip_prefix(from) {
            Some(after) => {
                out.extend_from_slice(to);
                after
            }
            None => {
                out.push(*first);
                after
            }
        };
    }
    out
}

/// No variant fits: what can be said from the outside.
fn circumstances(request: &Request<'_>) -> String {
    let headers = &request.headers;
    let length = headers.content_length.as_deref().and_then(|length| length.trim().parse::<usize>().ok());
    // Content-MD5 is not signed and so proves nothing; it is a good clue all the same.
    let body_is_whole =
        headers.content_md5.as_deref().map(|sent| sent == STANDARD.encode(Md5::digest(request.body)));
    let finding = match (length, body_is_whole) {
        (_, Some(true)) => {
            "The body fits its Content-MD5, so look at the target: \
             a proxy rewrote the path, or the query was dropped or changed."
        }
        _ if request.body.is_empty() => {
            "The body is empty: a framework may have read it before; keep the raw bytes."
        }
        (Some(length), _) if length != request.body.len() => {
            "The body is not as long as its Content-Length says: \
             a framework parsed and re-serialised it; verify the raw bytes."
        }
        (_, Some(false)) => {
            "The body does not fit its Content-MD5: it was altered on its way; verify the raw bytes."
        }
        _ => {
            "Something changed target or body on the way: a proxy that rewrites the path, \
             a query that was dropped, or a framework that parses and re-serialises the body. \
             Hand over the raw request target and the raw body bytes."
        }
    };
    finding.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::request::Headers;
    use super::super::signature::digest;
    use super::*;

    fn finding(signed: (&str, &str), arrived: (&str, &str), headers: Headers) -> String {
        let request = Request { target: arrived.0, headers, body: arrived.1.as_bytes() };
        explain(&request, digest(signed.0, signed.1.as_bytes()))
    }

    #[test]
    fn each_usual_accident_is_named() {
        let form = "object=a%2Fb%20c&size=1";
        for (signed, arrived, word) in [
            (("/a%252Fb", ""), ("/a%2Fb", ""), "percent-decoded before"),
            (("/a%20b", ""), ("/a%2520b", ""), "once more"),
            (("/a%20b", ""), ("/a+b", ""), "signed as a blank"),
            (("/a+b", ""), ("/a%20b", ""), "into a blank"),
            (("/cb", ""), ("/cb/", ""), "added to the end"),
            (("/cb/?x", ""), ("/cb?x", ""), "at the end of the path was dropped"),
            (("/cb?", ""), ("/cb", ""), "empty query"),
            (("/cb", ""), ("/cb?id=1", ""), "query was added"),
            (("/cb?q=a b", ""), ("/cb?q=a%20b", ""), "query was percent-encoded"),
            (("/cb?q=%E4%B8%AD", ""), ("/cb?q=中", ""), "query was percent-decoded"),
            (("/cb?a=1&b=2&c=3", ""), ("/cb?c=3&a=1&b=2", ""), "another order"),
            (("/cb", "a=1"), ("/cb", "a=1\n"), "line end was added"),
            (("/cb", "a=1"), ("/cb", "a=1\r\n"), "line end was added"),
            (("/cb", "a=1\n"), ("/cb", "a=1"), "line end was cut"),
            (("/cb", "a\r\nb"), ("/cb", "a\nb"), "line ends were converted"),
            (("/cb", "a\nb"), ("/cb", "a\r\nb"), "line ends were converted"),
            (("/cb", form), ("/cb", "object=a%2Fb+c&size=1"), "written anew"),
            (("/cb", form), ("/cb", "object=a/b c&size=1"), "written anew"),
            (("/cb", "object=a%2Fb+c"), ("/cb", "object=a/b%20c"), "written anew"),
            (("/cb", ""), ("/cb", "{}"), "added to an empty one"),
            (("/cb", "a=1"), ("/cb", ""), "body is empty"),
            (("/cb", "a=1"), ("/cb", "b=2"), "Something changed"),
        ] {
            let finding = finding(signed, arrived, Headers::default());
            assert!(finding.contains(word), "{signed:?} {arrived:?}: {finding}");
        }
    }

    #[test]
    fn headers_of_proxies_and_of_oss_give_clues() {
        let text = |text: &str| Some(text.to_owned());
        let original = vec![("x-original-uri", "/api/cb?a=1".to_owned())];
        let by_original = Headers { original_targets: original, ..Headers::default() };
        assert!(finding(("/api/cb?a=1", "b"), ("/cb", "b"), by_original).contains("x-original-uri"));
        let by_prefix = Headers { forwarded_prefix: text("/api/"), ..Headers::default() };
        assert!(finding(("/api/cb", "b"), ("/cb", "b"), by_prefix).contains("x-forwarded-prefix"));
        let md5 = |body: &str| Some(STANDARD.encode(Md5::digest(body)));
        let whole = Headers { content_md5: md5("b=2"), ..Headers::default() };
        assert!(finding(("/x", "b=2"), ("/y", "b=2"), whole).contains("look at the target"));
        let altered = Headers { content_md5: md5("b=1"), ..Headers::default() };
        assert!(finding(("/cb", "b=1"), ("/cb", "b=2"), altered).contains("was altered"));
        let shorter = Headers { content_length: text("9"), ..Headers::default() };
        assert!(finding(("/cb", "{\"a\": 1} "), ("/cb", "{\"a\":1}"), shorter).contains("Content-Length"));
    }

    #[test]
    fn large_bodies_and_long_queries_are_not_tried_out() {
        let body = "a".repeat(MAX_BODY + 1);
        let headers = Headers::default();
        assert!(finding(("/cb/", &body), ("/cb", &body), headers).contains("Something changed"));
        assert_eq!(orders("a&b&c&d").len(), 24);
        assert_eq!(orders("a&b&c&d&e").len(), 0);
    }
}

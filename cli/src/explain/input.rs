//! What was given: told by its form, unless `--as` says it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::app_server::Message;
use crate::failure::Failure;

/// Values of `--as`.
pub const KINDS: [&str; 5] = ["callback", "vars", "policy", "url", "request"];

/// What is to be explained.
pub enum Input {
    /// Both as Base64.
    Callback { callback: String, vars: Option<String> },
    /// Base64 of variables without a callback.
    Vars(String),
    /// Base64 of a POST policy.
    Policy(String),
    /// A presigned URL.
    Url(String),
    /// A request, or only its headers.
    Request(Message),
}

impl Input {
    /// Tells what it is.
    pub fn recognise(given: Vec<u8>, kind: Option<&str>) -> Result<Input, Failure> {
        let text = String::from_utf8_lossy(&given).trim().to_owned();
        if text.is_empty() {
            return Err(Failure::usage("there is nothing to explain")
                .with_hint("Give it as an argument or on standard input; see oss-callback explain --help"));
        }
        // A header as it was copied.
        let (name, value) = text.split_once(':').unwrap_or(("", &text));
        let one_line = !text.contains('\n');
        let value = value.trim();
        match (kind, name.to_ascii_lowercase().as_str()) {
            (Some("callback"), "x-oss-callback") | (None, "x-oss-callback") if one_line => {
                Ok(Input::Callback { callback: as_base64(value), vars: None })
            }
            (Some("callback"), _) => Ok(Input::Callback { callback: as_base64(&text), vars: None }),
            (Some("vars"), "x-oss-callback-var") | (None, "x-oss-callback-var") if one_line => {
                Ok(Input::Vars(as_base64(value)))
            }
            (Some("vars"), _) => Ok(Input::Vars(as_base64(&text))),
            (Some("policy"), _) => Ok(Input::Policy(as_base64(&text))),
            (Some("url"), _) => Ok(Input::Url(text)),
            (Some(_), _) => request(&given).map(Input::Request),
            (None, "http" | "https") => Ok(Input::Url(text)),
            (None, _) => guess(&given, &text),
        }
    }
}

fn guess(given: &[u8], text: &str) -> Result<Input, Failure> {
    let compact: String = text.split_whitespace().collect();
    let decoded = STANDARD.decode(&compact).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let json = serde_json::from_str::<Value>(decoded.as_deref().unwrap_or(text)).ok();
    if let Some(Value::Object(members)) = json {
        let base64 = if decoded.is_some() { compact } else { STANDARD.encode(text) };
        let has = |name: &str| members.contains_key(name);
        if has("conditions") || has("expiration") {
            return Ok(Input::Policy(base64));
        }
        if !members.is_empty() && members.keys().all(|name| name.to_ascii_lowercase().starts_with("x:")) {
            return Ok(Input::Vars(base64));
        }
        return Ok(Input::Callback { callback: base64, vars: None });
    }
    if text.lines().next().is_some_and(|line| line.contains(": ") || line.contains(" HTTP/")) {
        return request(given).map(Input::Request);
    }
    if decoded.as_deref().unwrap_or(text).contains("\"conditions\"") {
        return Ok(Input::Policy(as_base64(text)));
    }
    // Base64 of something else is a callback that went wrong.
    if decoded.is_some() || text.starts_with('{') {
        return Ok(Input::Callback { callback: as_base64(text), vars: None });
    }
    Err(Failure::usage("this is neither a callback, nor a presigned URL, a policy or an HTTP request")
        .with_hint("Name what it is by --as, to be told what is wrong with it"))
}

/// JSON is taken for what the Base64 would hold; line breaks of a mail or terminal are dropped.
fn as_base64(text: &str) -> String {
    if text.trim_start().starts_with('{') { STANDARD.encode(text) } else { text.split_whitespace().collect() }
}

/// A captured request: a request line (or none), headers, an empty line, the body's bytes. Line ends of the
/// head may have lost their carriage returns.
fn request(given: &[u8]) -> Result<Message, Failure> {
    let bad = |what: String| {
        Failure::usage(format!("the HTTP request cannot be read: {what}"))
            .with_hint("Write the request line, the headers, an empty line, and the body as it arrived")
    };
    let mut message = Message::default();
    let mut rest = given;
    let mut first = true;
    loop {
        let (line, after) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => rest.split_at(end.saturating_add(1)),
            None => (rest, &[][..]),
        };
        rest = after;
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        match line.split_once(':') {
            _ if first && line.contains(' ') && !line.split(' ').next().unwrap_or_default().contains(':') => {
                message.start = line.to_owned();
            }
            Some((name, value)) if !name.trim().is_empty() => {
                message.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => return Err(bad(format!("`{line:.60}` is no header"))),
        }
        first = false;
    }
    message.body = rest.to_vec();
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match Input::recognise(text.as_bytes().to_vec(), None) {
            Ok(Input::Callback { .. }) => "callback",
            Ok(Input::Vars(_)) => "vars",
            Ok(Input::Policy(_)) => "policy",
            Ok(Input::Url(_)) => "url",
            Ok(Input::Request(_)) => "request",
            Err(_) => "nothing",
        }
    }

    #[test]
    fn each_form_is_recognised_also_as_it_was_copied() {
        let callback = r#"{"callbackUrl":"http://a/","callbackBody":"b"}"#;
        let policy = r#"{"expiration":"2030-01-01T00:00:00.000Z","conditions":[]}"#;
        let wrapped = format!("{}\n{}", &STANDARD.encode(callback)[..20], &STANDARD.encode(callback)[20..]);
        for (text, expected) in [
            (callback, "callback"),
            (&STANDARD.encode(callback), "callback"),
            (&wrapped, "callback"),
            (&format!("X-OSS-Callback: {}", STANDARD.encode(callback)), "callback"),
            (r#"{"callbackUrl":"http://a/","#, "callback"),
            (r#"{"x:a":"1"}"#, "vars"),
            (policy, "policy"),
            (&STANDARD.encode(policy), "policy"),
            ("https://b.oss-cn-hangzhou.aliyuncs.com/k?Expires=1", "url"),
            ("POST /cb HTTP/1.1\r\nhost: a\r\n\r\nbody", "request"),
            ("x-oss-callback: e30=\nx-oss-callback-var: e30=\n", "request"),
            ("hello", "nothing"),
            ("", "nothing"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn a_captured_request_keeps_the_bytes_of_its_body() {
        for head in ["POST /cb?a=1 HTTP/1.1\r\nA: b:c\r\n\r\n", "POST /cb?a=1 HTTP/1.1\nA: b:c\n\n"] {
            let message = request(format!("{head}x=1\r\n\n").as_bytes()).ok().unwrap();
            assert_eq!(message.method_and_target(), Some(("POST", "/cb?a=1")));
            assert_eq!(
                (message.header("a"), message.body.as_slice()),
                (Some("b:c"), b"x=1\r\n\n".as_slice())
            );
        }
        assert!(request(b"POST / HTTP/1.1\nno header\n\n").is_err());
        assert_eq!(request(b"POST / HTTP/1.1").ok().unwrap().body, b"");
    }
}

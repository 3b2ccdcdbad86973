//! Callback URLs: what OSS takes as one, and the form that a wrong one should have.

use std::fmt;
use std::net::Ipv4Addr;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What stands between the URLs of one `callbackUrl`; inside a URL it must be `%3B`.
pub(super) const SEPARATOR: char = ';';

/// Characters that no URL may hold as they are (RFC 3986), beside those above ASCII.
const ILLEGAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// One URL of a callback, taken apart. The scheme may be missing and is http then (OSS, Callback).
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl {
    text: String,
    https: bool,
    host: String,
    explicit_port: Option<u16>,
    target: String,
}

/// Why OSS does not take a URL.
#[derive(Debug)]
pub(super) struct UrlFault {
    pub detail: String,
    pub hint: Option<String>,
    /// The form is right, but no name server can know the host.
    pub unresolvable: bool,
}

impl UrlFault {
    fn new(detail: impl Into<String>, hint: impl Into<String>) -> UrlFault {
        UrlFault { detail: detail.into(), hint: Some(hint.into()), unresolvable: false }
    }
}

impl CallbackUrl {
    /// Takes one URL apart by OSS's rules (EC 0007-00000004). A fragment is cut off: it never reaches a
    /// server.
    pub(super) fn parse(text: &str) -> Result<CallbackUrl, UrlFault> {
        if text.is_empty() {
            return Err(UrlFault::new(
                "holds an empty URL",
                "Write `https://app.example.com/callback`; `;` stands only between URLs.",
            ));
        }
        let Split { scheme, authority, target } = split(text);
        if authority.contains('@') {
            return Err(UrlFault::new(
                "must not hold a user name or password",
                "Leave out what stands before `@`; put a token into the query or into a variable.",
            ));
        }
        let https = match scheme {
            None => false,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(_) => {
                return Err(UrlFault::new(
                    "has another scheme than http or https",
                    "Write `http://` or `https://`.",
                ));
            }
        };
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || !c.is_ascii()) {
            return Err(UrlFault::new(
                "holds blanks, control characters or characters above ASCII",
                encoding_hint(text),
            ));
        }
        let (host, explicit_port) = host_and_port(authority)?;
        let target = target.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(CallbackUrl { text: text.to_owned(), https, host: host.to_owned(), explicit_port, target })
    }

    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is called by TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Host name or IPv4 address, as given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host, where it is an address rather than a name.
    pub fn ip(&self) -> Option<Ipv4Addr> {
        self.host.parse().ok()
    }

    /// The given port, else 80 or 443.
    pub fn port(&self) -> u16 {
        self.explicit_port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Host, and port where one was given: the default `Host` header of the callback request.
    pub fn authority(&self) -> String {
        match self.explicit_port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Path and query as they go on the wire, beginning with `/`: also what the signature covers.
    pub fn target(&self) -> &str {
        &self.target
    }
}

/// Without the query, which may hold a token.
impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackUrl({})", shown(&self.text))
    }
}

/// The URL as it may be shown: without its query and user information, which may hold secrets.
pub(super) fn shown(text: &str) -> String {
    let Split { scheme, authority, target } = split(text);
    let scheme = scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    match target.split_once(['?', '#']) {
        Some((path, _)) => format!("{scheme}{authority}{path}?…"),
        None => format!("{scheme}{authority}{target}"),
    }
}

/// What a URL holds that OSS may take, but that would go wrong on the way: `Some(what, advice)`.
pub(super) fn misfit(url: &CallbackUrl) -> Option<(&'static str, String)> {
    let text = url.as_str();
    if text.contains('#') {
        return Some((
            "holds a fragment, which never reaches a server",
            "Leave out `#…`; a `#` in path or query is `%23`.".to_owned(),
        ));
    }
    if utf8_percent_encode(text, ILLEGAL).to_string() != text {
        return Some(("holds characters that no URL may hold", encoding_hint(text)));
    }
    let mut parts = text.split('%');
    parts.next();
    let broken = |part: &str| !part.get(..2).is_some_and(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
    if parts.any(broken) {
        return Some(("holds a `%` without two hexadecimal digits", "A `%` itself is `%25`.".to_owned()));
    }
    None
}

/// What of a URL makes application servers disagree about the signature, and what to write instead.
pub(super) fn doubts(url: &CallbackUrl) -> Option<&'static str> {
    let (path, query) = match url.target().split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (url.target(), None),
    };
    if path.contains('+') {
        return Some("has a `+` in its path, which some verifiers read as a blank; write %2B or %20");
    }
    if query == Some("") {
        return Some("ends with `?`, which some verifiers drop; leave it out");
    }
    None
}

struct Split<'a> {
    scheme: Option<&'a str>,
    authority: &'a str,
    target: &'a str,
}

fn split(text: &str) -> Split<'_> {
    let (scheme, rest) = match text.split_once("://") {
        // `host/path?next=http://…` has no scheme of its own.
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => (Some(scheme), rest),
        _ => (None, text),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    Split { scheme, authority, target }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), UrlFault> {
    if authority.contains(['[', ']']) || authority.matches(':').count() > 1 {
        return Err(UrlFault::new(
            "must not have an IPv6 address as its host",
            "OSS calls back by IPv4 only: give a host name or an IPv4 address.",
        ));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => {
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            let number = port.parse::<u16>().ok().filter(|number| digits && *number > 0);
            let number = number.ok_or_else(|| {
                UrlFault::new("has a port that is not a number from 1 to 65535", "Write `host:8080`.")
            })?;
            (host, Some(number))
        }
        None => (authority, None),
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if host.is_empty() || !host.bytes().all(legal) || host.starts_with('.') || host.contains("..") {
        return Err(UrlFault::new(
            format!("has no proper host name (`{host}`)"),
            "Write `https://app.example.com/callback`; a `;` inside a URL must be `%3B`.",
        ));
    }
    let last_label = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if last_label.bytes().all(|b| b.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        let detail = format!("has a host that is neither a name nor an IPv4 address (`{host}`)");
        return Err(UrlFault { detail, hint: None, unresolvable: true });
    }
    Ok((host, port))
}

/// What to write instead. The query may hold a token, and is not repeated.
fn encoding_hint(text: &str) -> String {
    match encoded_form(text) {
        Some(encoded) if encoded.contains('?') => {
            format!("Write `{}`, with the query percent-encoded too.", shown(&encoded))
        }
        Some(encoded) => format!("Write `{encoded}`."),
        None => "Percent-encode them.".to_owned(),
    }
}

/// The URL with what may not stand in it percent-encoded, and its host in its ASCII form. What is
/// encoded already stays as it is.
fn encoded_form(text: &str) -> Option<String> {
    let Split { scheme, authority, target } = split(text.trim());
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, format!(":{port}")),
        None => (authority, String::new()),
    };
    let host = if host.is_ascii() { host.to_owned() } else { url::Host::parse(host).ok()?.to_string() };
    let scheme = scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default();
    Some(format!("{scheme}{host}{port}{}", utf8_percent_encode(target, ILLEGAL)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> CallbackUrl {
        CallbackUrl::parse(text).unwrap()
    }

    #[test]
    fn a_url_is_taken_apart_without_being_changed() {
        let url = parse("HTTPS://app.example.com:8443/a%20b?x=http://y/;");
        assert!(url.is_https());
        assert_eq!((url.host(), url.port()), ("app.example.com", 8443));
        assert_eq!(url.authority(), "app.example.com:8443");
        assert_eq!(url.target(), "/a%20b?x=http://y/;");
        let url = parse("121.43.113.8:23456/index.html?next=http://a");
        assert!(!url.is_https() && url.ip().is_some());
        assert_eq!((url.port(), url.target()), (23456, "/index.html?next=http://a"));
        assert_eq!(parse("a.example?x=1#top").target(), "/?x=1");
        assert_eq!(parse("https://a.example").target(), "/");
        assert_eq!(parse("https://a.example").port(), 443);
    }

    #[test]
    fn malformed_urls_are_refused_with_the_reason() {
        for (text, detail) in [
            ("", "empty"),
            ("ftp://a.example/", "scheme"),
            ("://a.example/", "scheme"),
            ("http://", "host name"),
            ("http:///path", "host name"),
            ("http://a..b/", "host name"),
            ("v=1/a", "host name"),
            ("www.callback-example.com:test", "port"),
            ("a.example:0", "port"),
            ("a.example:65536", "port"),
            ("a.example:+80", "port"),
            ("a.example:", "port"),
            ("http://[::1]:80/", "IPv6"),
            ("2001:db8::1", "IPv6"),
            ("http://user:secret@a.example/", "user name"),
            ("http://a.example/a b", "blanks"),
            ("http://a.example/\r\n", "control"),
            ("http://a.example/名", "above ASCII"),
        ] {
            let fault = CallbackUrl::parse(text).unwrap_err();
            assert!(fault.detail.contains(detail), "{text}: {}", fault.detail);
            assert!(fault.hint.as_ref().is_some_and(|hint| !hint.contains("secret")), "{text}");
        }
        assert!(CallbackUrl::parse("123.456").unwrap_err().unresolvable);
        assert!(CallbackUrl::parse("1.2.3.400/x").unwrap_err().unresolvable);
    }

    #[test]
    fn the_encoded_form_is_told_and_never_encodes_twice() {
        let hint = CallbackUrl::parse("http://例子.cn:8080/a%2F b/名").unwrap_err().hint.unwrap();
        assert_eq!(hint, "Write `http://xn--fsqu00a.cn:8080/a%2F%20b/%E5%90%8D`.");
    }

    #[test]
    fn a_query_is_not_repeated_as_it_may_hold_a_token() {
        let text = "http://a.example/a b?token=s3cret ü";
        let hint = CallbackUrl::parse(text).unwrap_err().hint.unwrap();
        assert_eq!(hint, "Write `http://a.example/a%20b?…`, with the query percent-encoded too.");
        let (_, hint) = misfit(&parse("http://a.example/{x}?token=s3cret")).unwrap();
        assert!(hint.contains("%7Bx%7D") && !hint.contains("s3cret"), "{hint}");
    }

    #[test]
    fn what_would_go_wrong_on_the_way_is_found() {
        assert!(misfit(&parse("http://a.example/x?y=%2F")).is_none());
        assert!(misfit(&parse("http://a.example/x#y")).unwrap().0.contains("fragment"));
        assert_eq!(misfit(&parse("http://a.example/{x}")).unwrap().1, "Write `http://a.example/%7Bx%7D`.");
        for broken in ["http://a.example/%", "http://a.example/%4", "http://a.example/%zz"] {
            assert!(misfit(&parse(broken)).unwrap().0.contains('%'), "{broken}");
        }
        assert!(doubts(&parse("http://a.example/a+b")).is_some());
        assert!(doubts(&parse("http://a.example/a?")).is_some());
        assert!(doubts(&parse("http://a.example/a?b=c+d")).is_none());
    }

    #[test]
    fn debug_leaves_out_what_may_be_secret() {
        assert_eq!(
            format!("{:?}", parse("http://a.example/x?token=t0p")),
            "CallbackUrl(http://a.example/x?…)"
        );
    }
}

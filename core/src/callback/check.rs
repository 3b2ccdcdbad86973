//! OSS's own rules on the encoded parameters, in the order in which OSS is believed to apply them.
//!
//! The builder takes them as its last word, and an emulator of OSS as its first: so they live once.
//! What only a running OSS can tell (whether a host resolves, and to what) is in [`check_addresses`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;

pub use super::rejection::{Parameter, Rejection};
use super::template::{Template, Value};
use super::url::{CallbackUrl, SEPARATOR};
use crate::options::BodyType;

/// Longest Base64 text of callback and of variables, each, in bytes (EC 0007-00000001 and 0007-00000101).
pub const MAX_BASE64: usize = 5 * 1024;
/// Most URLs of one callback (EC 0007-00000005).
pub const MAX_URLS: usize = 5;
/// Most additional headers (EC 0007-00000022, a number inferred from its neighbours).
pub const MAX_HEADERS: usize = 10;

/// A callback as OSS understands it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parameters {
    /// Tried in this order until one succeeds. Empty only with `policy`.
    pub urls: Vec<CallbackUrl>,
    /// `Host` of the callback request, in place of the URL's.
    pub host: Option<String>,
    /// The body's template. Empty only with `policy`.
    pub body: Template,
    /// Media type of the body.
    pub body_type: BodyType,
    /// Whether the TLS handshake names the server.
    pub sni: bool,
    /// Headers to add to the callback request.
    pub headers: Vec<(String, String)>,
    /// Custom variables; names begin with `x:`.
    pub vars: Vec<(String, String)>,
    /// Name of the callback policy that is stored with the bucket.
    pub policy: Option<String>,
}

impl Parameters {
    /// The body of the callback request; `system` knows the system variables. Of a custom variable that
    /// is given twice the last one counts (not documented).
    pub fn expand<'v>(&'v self, system: impl Fn(&str) -> Option<Value<'v>>) -> String {
        self.body.expand(self.body_type, |name| {
            let var = self.vars.iter().rev().find(|(var, _)| var == name);
            var.map(|(_, value)| Value::text(value.as_str())).or_else(|| system(name))
        })
    }
}

/// Applies OSS's rules to a callback and its variables, both as Base64.
///
/// # Errors
/// The answer that OSS would give.
pub fn check_parameters(callback: &str, vars: Option<&str>) -> Result<Parameters, Rejection> {
    let mut parameters = check_callback(callback)?;
    if let Some(vars) = vars {
        parameters.vars = check_vars(vars)?;
    }
    Ok(parameters)
}

/// The one place where a parameter was given, if any.
///
/// # Errors
/// Given both ways (EC 0007-00000027).
pub fn one_place<'a>(
    parameter: Parameter,
    header: Option<&'a str>,
    query: Option<&'a str>,
) -> Result<Option<&'a str>, Rejection> {
    match (header, query) {
        (Some(_), Some(_)) => Err(Rejection::two_places(parameter)),
        (value, None) | (None, value) => Ok(value),
    }
}

/// The callback alone, without variables: a form upload gives those as fields of their own.
///
/// # Errors
/// The answer that OSS would give.
pub fn check_callback(base64: &str) -> Result<Parameters, Rejection> {
    let members = decode(Parameter::Callback, base64)?;
    let policy = match members.get("callbackPolicy") {
        None => None,
        Some(Json::String(name)) if !name.is_empty() => Some(name.clone()),
        Some(other) => return Err(Rejection::bad_policy(shown(other))),
    };
    let urls = urls(members.get("callbackUrl"), policy.is_some())?;
    let host = host(members.get("callbackHost"))?;
    let body = body(members.get("callbackBody"), policy.is_some())?;
    let body_type = body_type(members.get("callbackBodyType"))?;
    let sni = match members.get("callbackSNI") {
        None => false,
        Some(Json::Bool(sni)) => *sni,
        Some(other) => return Err(Rejection::bad_sni(shown(other))),
    };
    let headers = headers(members.get("additionalHeaders"))?;
    Ok(Parameters { urls, host, body, body_type, sni, headers, vars: Vec::new(), policy })
}

/// The variables alone.
///
/// # Errors
/// The answer that OSS would give.
pub fn check_vars(base64: &str) -> Result<Vec<(String, String)>, Rejection> {
    let members = decode(Parameter::Vars, base64)?;
    let shown = || members.decoded.clone();
    let mut vars = Vec::with_capacity(members.pairs.len());
    for (name, value) in &members.pairs {
        let Json::String(value) = value else {
            return Err(
                Rejection::bad_vars(shown()).with_detail(format!("gives `{name}` a value that is no string"))
            );
        };
        check_var_name(name)?;
        vars.push((name.clone(), value.clone()));
    }
    Ok(vars)
}

/// One variable's name: `x:` and lowercase (OSS, Callback).
///
/// # Errors
/// The answer that OSS would give.
pub fn check_var_name(name: &str) -> Result<(), Rejection> {
    let rejection = || Rejection::bad_var_name(name);
    match name.strip_prefix("x:") {
        None => Err(rejection().with_detail(format!("holds `{name}`, which does not start with `x:`"))),
        Some("") => Err(rejection().with_detail("holds `x:` without a name")),
        Some(rest) if rest.chars().any(char::is_uppercase) => {
            Err(rejection().with_detail(format!("holds `{name}`, and names must be in lowercase")))
        }
        Some(_) => Ok(()),
    }
}

/// What a running OSS asks of a URL whose host has these addresses.
///
/// # Errors
/// No IPv4 address at all (EC 0007-00000007), or one that is not public (EC 0007-00000008).
pub fn check_addresses(url: &CallbackUrl, addresses: &[IpAddr]) -> Result<(), Rejection> {
    let v4: Vec<Ipv4Addr> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(v6) => v6.to_ipv4_mapped(),
        })
        .collect();
    // The IPv6 loopback stands for a host that has an IPv4 one as well.
    if v4.iter().copied().any(is_private) || v4.is_empty() && addresses.iter().any(IpAddr::is_loopback) {
        return Err(Rejection::private_address(url.as_str()));
    }
    if v4.is_empty() {
        return Err(Rejection::unresolvable_host(url.as_str()));
    }
    Ok(())
}

/// Not reachable from the public Internet. 100.64.0.0/10 serves Alibaba Cloud's own network.
fn is_private(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || a == 0
        || a == 100 && (64..128).contains(&b)
}

fn urls(member: Option<&Json>, optional: bool) -> Result<Vec<CallbackUrl>, Rejection> {
    let text = match member {
        None if optional => return Ok(Vec::new()),
        None => return Err(Rejection::bad_url("").with_detail("is missing")),
        Some(Json::String(text)) => text,
        Some(other) => return Err(Rejection::bad_url(shown(other)).with_detail("is not a string")),
    };
    let urls: Vec<&str> = text.split(SEPARATOR).collect();
    if urls.len() > MAX_URLS {
        let detail = format!("holds {} URLs, and OSS allows {MAX_URLS}", urls.len());
        return Err(Rejection::too_many_urls(text.as_str()).with_detail(detail));
    }
    let parse = |(index, url): (usize, &&str)| {
        CallbackUrl::parse(url).map_err(|fault| {
            let rejection = match fault.unresolvable {
                true => Rejection::unresolvable_host(*url),
                false => Rejection::bad_url(text.as_str()),
            };
            let which = if urls.len() > 1 { format!("(URL {}) ", index + 1) } else { String::new() };
            rejection.with_detail(format!("{which}{}", fault.detail)).with_hint(fault.hint)
        })
    };
    urls.iter().enumerate().map(parse).collect()
}

/// An empty host counts as none (not documented).
fn host(member: Option<&Json>) -> Result<Option<String>, Rejection> {
    match member {
        None => Ok(None),
        Some(Json::String(host)) if host.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            Err(Rejection::bad_host(host.as_str())
                .with_detail("holds a blank, line break or control character"))
        }
        Some(Json::String(host)) => Ok(Some(host.clone()).filter(|host| !host.is_empty())),
        Some(other) => Err(Rejection::bad_host(shown(other)).with_detail("is not a string")),
    }
}

fn body(member: Option<&Json>, optional: bool) -> Result<Template, Rejection> {
    let text = match member {
        None if optional => "",
        Some(Json::String(text)) if !text.is_empty() => text,
        None | Some(Json::String(_)) => return Err(Rejection::empty_body().with_detail("is empty")),
        Some(other) => return Err(Rejection::bad_body(shown(other)).with_detail("is not a string")),
    };
    Template::parse(text).map_err(|error| Rejection::bad_template(&error, text))
}

fn body_type(member: Option<&Json>) -> Result<BodyType, Rejection> {
    match member {
        None => Ok(BodyType::Form),
        Some(Json::String(name)) => {
            BodyType::from_media_type(name).ok_or_else(|| Rejection::unknown_body_type(name.as_str()))
        }
        Some(other) => Err(Rejection::bad_body_type(shown(other)).with_detail("is not a string")),
    }
}

fn headers(member: Option<&Json>) -> Result<Vec<(String, String)>, Rejection> {
    let Some(member) = member else { return Ok(Vec::new()) };
    let Json::Object(map) = member else {
        return Err(Rejection::bad_headers("0007-00000021", "is not a map"));
    };
    if map.len() > MAX_HEADERS {
        let detail = format!("holds {} headers, and OSS allows {MAX_HEADERS}", map.len());
        return Err(Rejection::bad_headers("0007-00000022", detail));
    }
    map.iter().map(|(name, value)| header(name, value)).collect()
}

fn header(name: &str, value: &Json) -> Result<(String, String), Rejection> {
    if name.is_empty() {
        return Err(Rejection::bad_headers("0007-00000023", "holds a header without a name"));
    }
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(Rejection::bad_headers(
            "0007-00000024",
            format!("holds `{name}`, which is no header name"),
        ));
    }
    if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-oss-")) {
        let detail = format!("holds `{name}`, and names must not start with `x-oss-`");
        return Err(Rejection::bad_headers("0007-00000026", detail));
    }
    match value {
        Json::String(value) if !value.chars().any(char::is_control) => Ok((name.to_owned(), value.clone())),
        Json::String(_) => {
            let detail = format!("gives `{name}` a value with a line break or control character");
            Err(Rejection::bad_headers("0007-00000025", detail))
        }
        _ => {
            Err(Rejection::bad_headers("0007-00000025", format!("gives `{name}` a value that is no string")))
        }
    }
}

fn decode(parameter: Parameter, base64: &str) -> Result<Members, Rejection> {
    if base64.len() > MAX_BASE64 {
        return Err(Rejection::too_long(parameter, base64));
    }
    let bytes = BASE64_STANDARD.decode(base64).map_err(|_| Rejection::not_base64(parameter, base64))?;
    let decoded = String::from_utf8(bytes)
        .map_err(|error| Rejection::not_json(parameter, String::from_utf8_lossy(error.as_bytes())))?;
    match serde_json::from_str::<Members>(&decoded) {
        Ok(members) => Ok(Members { decoded, ..members }),
        Err(error) => {
            Err(Rejection::not_json(parameter, decoded).with_detail(format!("is no JSON object: {error}")))
        }
    }
}

fn shown(value: &Json) -> String {
    value.to_string()
}

/// A JSON object with its members in order, repeated ones included.
struct Members {
    decoded: String,
    pairs: Vec<(String, Json)>,
}

impl Members {
    fn get(&self, name: &str) -> Option<&Json> {
        self.pairs.iter().rev().find(|(member, _)| member == name).map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, Json)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        let pairs = deserializer.deserialize_map(Pairs)?;
        Ok(Members { decoded: String::new(), pairs })
    }
}

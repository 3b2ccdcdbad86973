//! Where requests go: endpoint, region, and the bucket's place in host or path.

mod names;

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::error::{Error, Result};
use crate::options::{Addressing, Network};

pub(crate) use names::{check_bucket, check_key, check_label, check_region};

/// A parsed endpoint: scheme, host and port, nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    https: bool,
    /// As it stands in a URL: lower case, IPv6 in brackets.
    host: String,
    /// Set where the host is an IP address.
    ip: Option<IpAddr>,
    /// Set where it is not the scheme's own.
    port: Option<u16>,
}

/// Host and path of one request, as they go over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host, with the port where it is not the scheme's own: the `Host` header.
    pub authority: String,
    /// Percent-encoded path, starting with `/`. URL parsers leave it unchanged.
    pub path: String,
}

/// The target's URL, without a query.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// `https://host[:port]`, which [`Endpoint::parse`] reads back.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority(None))
    }
}

impl Endpoint {
    /// Parses `https://host[:port]`; https where no scheme is given. A `/` at the end is allowed.
    ///
    /// # Errors
    /// `invalid_argument` for `endpoint` if it is not such a text: another scheme, a user name, path,
    /// query or fragment, blanks, or a host that is none.
    pub fn parse(text: &str) -> Result<Endpoint> {
        let (https, rest) = split_scheme(text)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        check_authority(authority)?;
        let scheme = if https { "https" } else { "http" };
        let not_a_host = |_| {
            Error::invalid_argument("endpoint", format!("has no valid host or port: `{authority}`"))
                .with_hint("Write a host such as `oss-cn-hangzhou.aliyuncs.com` or `127.0.0.1:8080`")
        };
        let url = Url::parse(&format!("{scheme}://{authority}/")).map_err(not_a_host)?;
        let (host, ip) = match url.host() {
            Some(Host::Domain(name)) if is_host_name(name) => (name.to_owned(), None),
            Some(Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => (format!("[{address}]"), Some(IpAddr::V6(address))),
            _ => return Err(not_a_host(url::ParseError::EmptyHost)),
        };
        if url.port() == Some(0) || authority.ends_with(':') {
            return Err(Error::invalid_argument("endpoint", "has no valid port; ports are 1 to 65535"));
        }
        Ok(Endpoint { https, host, ip, port: url.port() })
    }

    /// The endpoint of a region on a network, by https (OSS, "Regions and endpoints").
    ///
    /// # Errors
    /// `invalid_argument` for `region` if it is no region's name, such as `oss-cn-hangzhou`.
    pub fn of_region(region: &str, network: Network) -> Result<Endpoint> {
        check_region(region)?;
        let host = match network {
            Network::Public => format!("oss-{region}.aliyuncs.com"),
            Network::Internal => format!("oss-{region}-internal.aliyuncs.com"),
            Network::DualStack => format!("{region}.oss.aliyuncs.com"),
            Network::Accelerate => "oss-accelerate.aliyuncs.com".to_owned(),
            Network::AccelerateOverseas => "oss-accelerate-overseas.aliyuncs.com".to_owned(),
        };
        Ok(Endpoint { https: true, host, ip: None, port: None })
    }

    /// The region that the host names, such as `cn-hangzhou` for `oss-cn-hangzhou-internal.aliyuncs.com`.
    ///
    /// None for accelerate endpoints, which serve every region, and for custom domains.
    pub fn region(&self) -> Option<&str> {
        region_of(&self.host)
    }

    /// Whether it is `https`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the host is a loopback address or `localhost`, so that requests never leave the machine.
    pub fn is_loopback(&self) -> bool {
        match self.ip {
            Some(address) => address.is_loopback(),
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    /// Host and path for a bucket and key; neither for a request to the service.
    ///
    /// # Errors
    /// `invalid_argument` for `bucket` or `key` if OSS does not allow the name, or if there is a key but
    /// no bucket; for `addressing` or `endpoint` if the bucket cannot stand before the host.
    pub fn target(&self, addressing: Addressing, bucket: Option<&str>, key: Option<&str>) -> Result<Target> {
        check_names(bucket, key)?;
        let mut path = String::with_capacity(key.map_or(1, |key| key.len() + key.len() / 2 + 66));
        path.push('/');
        let mut before_host = None;
        if let Some(bucket) = bucket {
            match self.resolve(addressing) {
                Addressing::Path => {
                    path.push_str(bucket);
                    path.push('/');
                }
                Addressing::Virtual | Addressing::Auto => {
                    self.check_virtual(bucket)?;
                    before_host = Some(bucket);
                }
                Addressing::Cname => {}
            }
        }
        if let Some(key) = key {
            names::push_key(&mut path, key);
        }
        Ok(Target { scheme: self.scheme(), authority: self.authority(before_host), path })
    }

    /// `auto` settled: never [`Addressing::Auto`].
    fn resolve(&self, addressing: Addressing) -> Addressing {
        match addressing {
            Addressing::Auto if self.ip.is_some() || self.host == "localhost" => Addressing::Path,
            Addressing::Auto => Addressing::Virtual,
            chosen => chosen,
        }
    }

    fn check_virtual(&self, bucket: &str) -> Result<()> {
        if self.ip.is_some() {
            return Err(Error::invalid_argument(
                "addressing",
                "`virtual` puts the bucket before a host name, and the endpoint is an IP address",
            )
            .with_hint("Use `path` or `auto`"));
        }
        // `https://bucket.oss-cn-hangzhou.aliyuncs.com` copied from the console, and the bucket named again.
        let rest = self.host.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('.'));
        if let Some(rest) =
            rest.filter(|rest| region_of(rest).is_some() || rest.starts_with("oss-accelerate"))
        {
            return Err(Error::invalid_argument("endpoint", "already holds the bucket's name")
                .with_hint(format!("Write `{}://{rest}`", self.scheme())));
        }
        Ok(())
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    fn authority(&self, bucket: Option<&str>) -> String {
        let mut authority = String::with_capacity(self.host.len() + 72);
        if let Some(bucket) = bucket {
            authority.push_str(bucket);
            authority.push('.');
        }
        authority.push_str(&self.host);
        if let Some(port) = self.port {
            authority.push(':');
            authority.push_str(&port.to_string());
        }
        authority
    }
}

/// Checks bucket and key, alone and together.
pub(crate) fn check_names(bucket: Option<&str>, key: Option<&str>) -> Result<()> {
    match (bucket, key) {
        (None, Some(_)) => Err(Error::invalid_argument("bucket", "is needed where a key is given")),
        (bucket, key) => {
            bucket.map_or(Ok(()), check_bucket)?;
            key.map_or(Ok(()), check_key)
        }
    }
}

/// Whether it is https, and what follows the scheme.
fn split_scheme(text: &str) -> Result<(bool, &str)> {
    if text.is_empty() {
        return Err(Error::invalid_argument("endpoint", "must not be empty"));
    }
    if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(Error::invalid_argument("endpoint", "must not hold blanks or line breaks"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok((true, text));
    };
    if scheme.eq_ignore_ascii_case("https") {
        Ok((true, rest))
    } else if scheme.eq_ignore_ascii_case("http") {
        Ok((false, rest))
    } else {
        Err(Error::invalid_argument("endpoint", "must start with `https://` or `http://`"))
    }
}

/// Refuses everything that URL parsers would quietly take in or drop.
fn check_authority(authority: &str) -> Result<()> {
    let error =
        |message: &str, hint: &'static str| Err(Error::invalid_argument("endpoint", message).with_hint(hint));
    for character in authority.chars() {
        match character {
            // The text is not repeated: a password may stand before the `@`.
            '@' => {
                return error(
                    "must not hold a user name or password",
                    "Give credentials as access_key_id and access_key_secret",
                );
            }
            '/' | '\\' => {
                return error(
                    "must not have a path",
                    "Write scheme, host and port only; bucket and key are given with each call",
                );
            }
            '?' => return error("must not have a query", "Write scheme, host and port only"),
            '#' => return error("must not have a fragment", "Write scheme, host and port only"),
            '%' => return error("must not be percent-encoded", "Write the host's name as it is"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether labels and lengths are those of a DNS name (RFC 1035; `_` occurs in container networks).
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The region in a host of `aliyuncs.com`: `oss-<region>[-internal]`, `<region>.oss` (dual stack), each
/// also behind a bucket or the `s3.` of the S3-compatible endpoints (OSS, "Regions and endpoints").
fn region_of(host: &str) -> Option<&str> {
    let labels = host.strip_suffix(".aliyuncs.com")?;
    let (before, last) = labels.rsplit_once('.').unwrap_or(("", labels));
    let region = match last.strip_prefix("oss-") {
        Some(region) => region.strip_suffix("-internal").unwrap_or(region),
        None if last == "oss" => before.rsplit('.').next()?,
        None => return None,
    };
    // Every region starts with two letters (`cn-`, `us-`, `rg-`); `oss-accelerate` and other services do not.
    let (continent, place) = region.split_once('-')?;
    let named = continent.len() == 2 && continent.bytes().all(|byte| byte.is_ascii_lowercase());
    (named && !place.is_empty()).then_some(region)
}

#[cfg(test)]
mod tests;

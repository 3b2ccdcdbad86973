//! Where requests go: endpoint, region, and the bucket's place in host or path.

use crate::error::Result;
use crate::options::{Addressing, Network};

/// A parsed endpoint: scheme, host and port, nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(());

/// Host and path of one request, as they go over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host, with the port where it is not the scheme's own: the `Host` header.
    pub authority: String,
    /// Percent-encoded path, starting with `/`.
    pub path: String,
}

impl Endpoint {
    /// Parses `https://host[:port]`; https where no scheme is given.
    pub fn parse(_text: &str) -> Result<Endpoint> {
        todo!()
    }
    /// The endpoint of a region on a network, by https.
    pub fn of_region(_region: &str, _network: Network) -> Result<Endpoint> {
        todo!()
    }
    /// The region that the host names, such as `cn-hangzhou` for `oss-cn-hangzhou-internal.aliyuncs.com`.
    pub fn region(&self) -> Option<&str> {
        todo!()
    }
    /// Whether it is `https`.
    pub fn is_https(&self) -> bool {
        todo!()
    }
    /// Whether the host is a loopback address or `localhost`.
    pub fn is_loopback(&self) -> bool {
        todo!()
    }
    /// Host and path for a bucket and key.
    pub fn target(
        &self,
        _addressing: Addressing,
        _bucket: Option<&str>,
        _key: Option<&str>,
    ) -> Result<Target> {
        todo!()
    }
}

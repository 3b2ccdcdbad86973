//! From a callback URL's host to addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use oss_callback::callback::CallbackUrl;
use oss_callback::callback::check::check_addresses;

/// The addresses of the URL's host, IPv4 first: OSS itself knows no other.
pub(super) async fn resolve(url: &CallbackUrl) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = (url.host(), url.port());
    // RFC 6761, 6.3: these names are the loopback addresses everywhere, but not every resolver knows it.
    if host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost") {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(loopback.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

/// Whether OSS would call this very address.
pub(super) fn is_public(url: &CallbackUrl, address: SocketAddr) -> bool {
    check_addresses(url, &[address.ip()]).is_ok()
}

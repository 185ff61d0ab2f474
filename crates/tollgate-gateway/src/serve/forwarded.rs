//! From where a request comes, where proxies stand in front of the gate: what they say is believed of those that the
//! configuration names, and of nobody else.

use std::net::IpAddr;

use http::HeaderMap;
use tollgate_core::access::Network;

/// The most addresses that are looked at.
const MOST: usize = 20;

/// The address of whoever asks, which `peer` has sent or passed on with `headers`: the last one that no proxy has which is
/// `trusted`. What stands before it was written by whoever asks.
pub(super) fn client(trusted: &[Network], headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    if !is_trusted(peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev().map(|line| line.to_str().unwrap_or_default());
    let mut nearest = peer;
    for said in lines.flat_map(|line| line.rsplit(',')).take(MOST) {
        let Some(address) = address(said.trim()) else { return nearest };
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    nearest
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.split(']').next()).unwrap_or(text);
    let with_port = || text.parse::<std::net::SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_proxies_that_are_known_say_for_whom_they_ask() {
        let trusted: Vec<Network> = ["10.0.0.0/8".to_owned(), "::1".to_owned()]
            .into_iter()
            .map(|network| Network::try_from(network).unwrap())
            .collect();
        let of = |peer: &str, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", HeaderValue::from_static(line));
            }
            client(&trusted, &headers, peer.parse().unwrap()).to_string()
        };
        assert_eq!(of("203.0.113.7", &["198.51.100.1"]), "203.0.113.7", "a stranger says nothing");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            of("10.0.0.1", &["127.0.0.1, 198.51.100.1"]),
            "198.51.100.1",
            "what stands before is the client's"
        );
        assert_eq!(of("10.0.0.1", &["198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(
            of("10.0.0.1", &["6.6.6.6", "198.51.100.1:4711"]),
            "198.51.100.1",
            "the last line is the nearest"
        );
        assert_eq!(of("::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(of("10.0.0.1", &["198.51.100.1, x"]), "10.0.0.1");
    }
}

//! Which hosts and addresses may be reached.

use std::net::IpAddr;

use http::Uri;
use serde::{Deserialize, Serialize};

/// A host by its exact name, with a port where that is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host {
    /// In lower case; an IPv6 address in brackets.
    name: String,
    port: Option<u16>,
}

/// The longest name, in bytes (RFC 1035 §2.3.4).
const LONGEST: usize = 253;

impl Host {
    /// Whether it is the host of `uri`.
    pub fn is_of(&self, uri: &Uri) -> bool {
        let usual = match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => return false,
        };
        uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&self.name))
            && uri.port_u16().unwrap_or(usual) == self.port.unwrap_or(usual)
    }
}

impl TryFrom<String> for Host {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no host: write its exact name, such as `api.openai.com` or `10.0.0.5:8000`")
        };
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                let number = port.parse::<u16>().ok().filter(|number| *number > 0 && !port.starts_with('+'));
                (name, Some(number.ok_or_else(wrong)?))
            }
            _ => (text.as_str(), None),
        };
        let fits = match name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
                (1..=LONGEST).contains(&name.len())
                    && name.bytes().all(plain)
                    && !name.starts_with('.')
                    && !name.ends_with('.')
            }
        };
        if fits { Ok(Self { name: name.to_ascii_lowercase(), port }) } else { Err(wrong()) }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

/// Which addresses a connection may be made to, whatever name leads there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// To any: whoever wrote the configuration file knows where it leads.
    #[default]
    Anywhere,
    /// To those that anybody on the Internet may have.
    Public,
    /// To those on this machine and in private networks: what is sent without TLS leaves them nowhere.
    Private,
}

impl Reach {
    /// Whether a connection may be made to `ip`.
    pub fn holds(self, ip: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Public => is_public(ip),
            Self::Private => !is_public(ip),
        }
    }

    /// The same for what stands in the place of a name, where that is an address: where a name leads is not known yet.
    pub fn check_literal(self, host: &str) -> Result<(), String> {
        if self == Self::Anywhere {
            return Ok(());
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(ip) if !self.holds(ip) => Err(self.refusal(host, ip)),
            _ => Ok(()),
        }
    }

    /// Why a connection is not made to `ip`, at which the name `host` is.
    pub fn refusal(self, host: &str, ip: IpAddr) -> String {
        match self {
            Self::Private => {
                format!("`{host}` is at {ip}, which is public: what is sent there wants https://")
            }
            Self::Anywhere | Self::Public => format!(
                "`{host}` is at {ip}, which is not public (egress.private_hosts, egress.private_addresses)"
            ),
        }
    }
}

/// Whether an address is one that anybody on the Internet may have (IANA special-purpose registries).
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            let global = (0x2000..0x4000).contains(&first);
            // 6to4 and NAT64 carry an IPv4 address inside, 2001:db8::/32 is for documentation, Teredo tunnels.
            global && first != 0x2002 && !(first == 0x2001 && (second == 0x0db8 || second == 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_not_public() {
        let inside = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "ff02::1",
        ];
        for ip in inside {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "93.184.216.34", "2606:4700::1111"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn a_host_is_matched_by_its_exact_name_and_port() {
        let is_of = |host: &str, uri: &str| {
            Host::try_from(host.to_owned()).unwrap().is_of(&uri.parse::<Uri>().unwrap())
        };
        for (host, uri) in [
            ("api.openai.com", "https://api.openai.com/v1"),
            ("API.openai.com", "https://api.OpenAI.com:443/v1"),
            ("api.openai.com:443", "https://api.openai.com"),
            ("localhost:8000", "http://localhost:8000/v1"),
            ("[::1]:8000", "http://[::1]:8000/v1"),
            ("10.0.0.5", "http://10.0.0.5"),
        ] {
            assert!(is_of(host, uri), "{host} {uri}");
        }
        for (host, uri) in [
            ("api.openai.com", "https://api.openai.com.evil.example/v1"),
            ("api.openai.com", "https://evil.example/api.openai.com"),
            ("api.openai.com", "https://openai.com/v1"),
            ("api.openai.com", "https://api.openai.com:8443/v1"),
            ("api.openai.com", "https://api.openai.com./v1"),
            ("api.openai.com:443", "http://api.openai.com/v1"),
            ("api.openai.com", "/v1"),
        ] {
            assert!(!is_of(host, uri), "{host} {uri}");
        }
    }

    #[test]
    fn what_is_no_exact_name_is_no_host() {
        for text in [
            "",
            "*.openai.com",
            "https://api.openai.com",
            "a/b",
            "user@host",
            "a b",
            ":80",
            "a:0",
            "a:70000",
            "a:+80",
            "a:",
            "a.",
            ".a",
            "[::1",
            "[a]",
            "é.example",
            "a%2eb",
            "a:1:2",
        ] {
            assert!(Host::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_in_the_place_of_a_name_is_known_at_once() {
        let taken = |reach: Reach, host: &str| reach.check_literal(host).is_ok();
        assert!(!taken(Reach::Public, "127.0.0.1") && !taken(Reach::Public, "[::ffff:10.0.0.1]"));
        assert!(!taken(Reach::Private, "1.1.1.1") && taken(Reach::Private, "[::1]"));
        assert!(taken(Reach::Anywhere, "169.254.169.254") && taken(Reach::Public, "1.1.1.1"));
        assert!(taken(Reach::Public, "localhost"), "where a name leads is seen when it is connected to");
    }
}

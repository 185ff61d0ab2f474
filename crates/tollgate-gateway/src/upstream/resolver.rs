//! From a name to the addresses that a connection may be made to. A name that leads elsewhere, or changes its mind, finds
//! nothing: what is connected to is what was checked.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tollgate_core::egress::Reach;
use tower_service::Service;

use super::Boxed;

/// Looks names up, and leaves out what is beyond reach.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    system: GaiResolver,
    reach: Reach,
}

impl Resolver {
    /// One that finds what is within `reach`.
    pub(super) fn within(reach: Reach) -> Self {
        Self { system: GaiResolver::new(), reach }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Boxed<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.system.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (reach, host) = (self.reach, name.as_str().to_owned());
        let looking = self.system.call(name);
        Box::pin(async move { within(reach, &host, looking.await?) })
    }
}

/// Those of `found` that are within `reach`, or why there are none.
fn within(
    reach: Reach,
    host: &str,
    found: impl Iterator<Item = SocketAddr>,
) -> std::io::Result<std::vec::IntoIter<SocketAddr>> {
    let (held, beyond): (Vec<_>, Vec<_>) = found.partition(|address| reach.holds(address.ip()));
    match (held.is_empty(), beyond.first()) {
        (true, Some(address)) => Err(std::io::Error::other(reach.refusal(host, address.ip()))),
        _ => Ok(held.into_iter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(reach: Reach, addresses: &[&str]) -> Result<Vec<String>, String> {
        let addresses: Vec<SocketAddr> =
            addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect();
        let held = within(reach, "name.example", addresses.into_iter()).map_err(|e| e.to_string())?;
        Ok(held.map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn a_name_leads_to_what_is_within_reach_only() {
        for inside in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "fd00::1"] {
            let error = found(Reach::Public, &[inside]).unwrap_err();
            assert!(
                error.contains(&format!("`name.example` is at {inside}, which is not public")),
                "{error}"
            );
            // One of each, as somebody would answer who hopes that only the first is looked at.
            assert_eq!(found(Reach::Public, &["1.1.1.1", inside]).unwrap(), ["1.1.1.1"]);
            assert_eq!(found(Reach::Private, &["1.1.1.1", inside]).unwrap(), [inside]);
            assert_eq!(found(Reach::Anywhere, &["1.1.1.1", inside]).unwrap(), ["1.1.1.1", inside]);
        }
        let error = found(Reach::Private, &["1.1.1.1"]).unwrap_err();
        assert!(error.contains("wants https://"), "{error}");
        assert_eq!(found(Reach::Public, &[]).unwrap(), [""; 0], "that there is none is for others to say");
    }
}

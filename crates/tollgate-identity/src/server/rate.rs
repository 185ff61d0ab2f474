//! How often strangers may ask for what costs something.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use super::reply::Error;
use super::throttle::network;

/// Counted for so long.
const WINDOW: Duration = Duration::from_mins(10);

/// What was asked for of late. Each instance counts by itself.
pub(crate) struct Rate(Cache<(&'static str, String), Arc<AtomicU32>>);

impl Default for Rate {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(100_000).time_to_live(WINDOW).build())
    }
}

impl Rate {
    /// Counts that `what` is asked for by `whom`, or refuses it where that was done `most` times.
    pub(crate) fn take(&self, what: &'static str, whom: &str, most: u32) -> Result<(), Error> {
        let count = self.0.get_with((what, whom.to_owned()), Arc::default);
        if count.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        Err(Error {
            status: http::StatusCode::TOO_MANY_REQUESTS,
            ..Error::new("temporarily_unavailable", "too many requests; try again in ten minutes")
        })
    }

    /// The same of whoever is at `peer`, by their network.
    pub(crate) fn take_from(&self, what: &'static str, peer: Option<IpAddr>, most: u32) -> Result<(), Error> {
        let whom = peer.map(|peer| network(peer).to_string()).unwrap_or_default();
        self.take(what, &whom, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_asks_so_often_and_no_more() {
        let (rate, peer) = (Rate::default(), "203.0.113.7".parse().ok());
        for _ in 0..60 {
            assert!(rate.take_from("register", peer, 60).is_ok());
        }
        assert_eq!(rate.take_from("register", peer, 60).unwrap_err().status, 429);
        assert!(rate.take_from("register", "203.0.113.8".parse().ok(), 60).is_ok());
        assert!(rate.take_from("device", peer, 60).is_ok());
    }
}

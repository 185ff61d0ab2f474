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

/// So often from one network.
const MOST: u32 = 60;

/// What was asked for of late. Each instance counts by itself.
pub(crate) struct Rate(Cache<(&'static str, Option<IpAddr>), Arc<AtomicU32>>);

impl Default for Rate {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(100_000).time_to_live(WINDOW).build())
    }
}

impl Rate {
    /// Counts that `what` is asked for from `peer`, or refuses it.
    pub(crate) fn take(&self, what: &'static str, peer: Option<IpAddr>) -> Result<(), Error> {
        let count = self.0.get_with((what, peer.map(network)), Arc::default);
        if count.fetch_add(1, Ordering::Relaxed) < MOST {
            return Ok(());
        }
        Err(Error {
            status: http::StatusCode::TOO_MANY_REQUESTS,
            ..Error::new(
                "temporarily_unavailable",
                "too many requests from your network; try again in ten minutes",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_asks_so_often_and_no_more() {
        let (rate, peer) = (Rate::default(), "203.0.113.7".parse().ok());
        for _ in 0..MOST {
            assert!(rate.take("register", peer).is_ok());
        }
        assert_eq!(rate.take("register", peer).unwrap_err().status, 429);
        assert!(rate.take("register", "203.0.113.8".parse().ok()).is_ok());
        assert!(rate.take("device", peer).is_ok());
    }
}

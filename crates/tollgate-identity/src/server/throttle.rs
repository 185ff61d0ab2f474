//! Whoever guesses is slowed down, and nobody is locked out by that.
//!
//! Failures are counted by where they come from. A browser in which somebody has signed in before has a count of its own
//! (a "device cookie"), so that strangers who guess at a name do not keep out whoever has it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::random;

/// Failures are forgotten after so long without another.
const FORGET: Duration = Duration::from_mins(15);

/// So many failures are for free: whoever has three passwords tries them.
const FREE: u32 = 5;

/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Failures at one name from browsers that are not known, from everywhere together, before a name is guarded.
const MOST_AT_NAME: u32 = 200;

/// Failures from one network, at all names.
const MOST_FROM_NETWORK: u32 = 100;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    /// A browser in which this user has signed in before.
    Browser(String, String),
    /// A name, from a network.
    NameFrom(String, IpAddr),
    /// A name, from browsers that are not known.
    Name(String),
    /// A network.
    Network(IpAddr),
}

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
}

/// Who tries.
#[derive(Clone, Debug)]
pub(crate) struct Trying<'a> {
    /// As whom.
    pub(crate) name: &'a str,
    /// From where.
    pub(crate) from: Option<IpAddr>,
    /// The browser, where somebody has signed in by this name in it before.
    pub(crate) browser: Option<&'a str>,
}

/// What is counted of failures. Each instance counts by itself.
pub(crate) struct Throttle {
    failures: Cache<Counted, Arc<Mutex<Failures>>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { failures: Cache::builder().max_capacity(100_000).time_to_idle(FORGET).build() }
    }
}

impl Trying<'_> {
    /// What is counted, and how many failures are for free.
    fn counted(&self) -> Vec<(Counted, u32)> {
        // However long a name is, what is kept of it is short.
        let name = random::hashed(&self.name.to_lowercase());
        if let Some(browser) = self.browser {
            return vec![(Counted::Browser(browser.to_owned(), name), FREE)];
        }
        let network = self.from.map(network);
        let of_network = network.map(|network| (Counted::Network(network), MOST_FROM_NETWORK));
        let name_from = network.map(|network| (Counted::NameFrom(name.clone(), network), FREE));
        let at_name = (Counted::Name(name), MOST_AT_NAME);
        name_from.into_iter().chain([at_name]).chain(of_network).collect()
    }
}

impl Throttle {
    /// Lets whoever tries do so, or says how long they have to wait. It counts as a failure until it is known to be none: of
    /// many tries at once no more pass than of as many after one another.
    pub(crate) fn begin(&self, trying: &Trying<'_>) -> Result<(), Duration> {
        let counted = trying.counted();
        if let Some(wait) = counted.iter().filter_map(|(counted, free)| self.waits_for(counted, *free)).max()
        {
            return Err(wait);
        }
        counted.into_iter().for_each(|(counted, _)| self.count(counted));
        Ok(())
    }

    fn waits_for(&self, counted: &Counted, free: u32) -> Option<Duration> {
        let known = self.failures.get(counted)?;
        let failures = known.lock();
        let over = failures.count.checked_sub(free)?;
        // 4, 8, 16, … seconds.
        let wait = Duration::from_secs(4 << over.min(8)).min(LONGEST_WAIT);
        wait.checked_sub(failures.last?.elapsed()).filter(|left| !left.is_zero())
    }

    /// They are who they say: what they have mistyped is forgotten, and this try was no failure.
    pub(crate) fn succeeded(&self, trying: &Trying<'_>) {
        for (counted, _) in trying.counted() {
            match counted {
                Counted::Browser(..) | Counted::NameFrom(..) => self.failures.invalidate(&counted),
                Counted::Name(_) | Counted::Network(_) => {
                    if let Some(known) = self.failures.get(&counted) {
                        let mut failures = known.lock();
                        failures.count = failures.count.saturating_sub(1);
                    }
                }
            }
        }
    }

    fn count(&self, counted: Counted) {
        let known = self.failures.get_with(counted, Arc::default);
        let mut failures = known.lock();
        failures.count = failures.count.saturating_add(1);
        failures.last = Some(Instant::now());
    }
}

/// The network of an address: of IPv6 what one customer is given.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trying<'a>(name: &'a str, from: &str, browser: Option<&'a str>) -> Trying<'a> {
        Trying { name, from: from.parse().ok(), browser }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_guesses_waits_ever_longer_and_nobody_else_does() {
        let throttle = Throttle::default();
        let stranger = trying("ann", "203.0.113.7", None);
        for _ in 0..FREE {
            assert_eq!(throttle.begin(&stranger), Ok(()));
        }
        assert_eq!(throttle.begin(&stranger), Err(Duration::from_secs(4)));
        assert_eq!(throttle.begin(&trying("ANN", "203.0.113.7", None)), Err(Duration::from_secs(4)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(throttle.begin(&stranger), Ok(()));
        assert_eq!(throttle.begin(&stranger), Err(Duration::from_secs(8)));
        assert_eq!(throttle.begin(&trying("ann", "203.0.113.8", None)), Ok(()), "from elsewhere");
        assert_eq!(throttle.begin(&trying("bob", "203.0.113.7", None)), Ok(()), "as somebody else");
        assert_eq!(
            throttle.begin(&trying("ann", "203.0.113.7", Some("known"))),
            Ok(()),
            "in a known browser"
        );
        tokio::time::advance(Duration::from_secs(8)).await;
        assert_eq!(throttle.begin(&stranger), Ok(()));
        throttle.succeeded(&stranger);
        assert_eq!(throttle.begin(&stranger), Ok(()), "what was mistyped is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_guessed_at_from_everywhere_is_open_to_whoever_has_it() {
        let throttle = Throttle::default();
        for number in 0..MOST_AT_NAME {
            let from = format!("198.51.{}.{}", number / 256, number % 256);
            assert_eq!(throttle.begin(&trying("ann", &from, None)), Ok(()));
        }
        assert!(throttle.begin(&trying("ann", "192.0.2.1", None)).is_err(), "strangers wait");
        assert_eq!(throttle.begin(&trying("ann", "192.0.2.1", Some("known"))), Ok(()));
        assert_eq!(throttle.begin(&trying("bob", "192.0.2.1", None)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_network_does_not_try_all_names() {
        let throttle = Throttle::default();
        for number in 0..MOST_FROM_NETWORK {
            let (name, from) = (format!("user{number}"), format!("2001:db8::{number:x}"));
            assert_eq!(throttle.begin(&trying(&name, &from, None)), Ok(()));
        }
        assert!(throttle.begin(&trying("ann", "2001:db8::ffff", None)).is_err());
        assert_eq!(throttle.begin(&trying("ann", "2001:db8:0:1::1", None)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_at_once_no_more_pass_than_of_as_many_in_turn() {
        let throttle = Throttle::default();
        let passed = (0..100).filter(|_| throttle.begin(&trying("ann", "192.0.2.1", None)).is_ok()).count();
        assert_eq!(passed, FREE as usize);
    }
}

//! Sign-ins that have failed, added up for the journal: strangers do not fill it, and nobody guesses unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_core::identity::Login;

use super::throttle::network;

/// How often they are told.
const EVERY: SignedDuration = SignedDuration::from_secs(60);

/// The most users and the most networks that are told of by name; of others there is a number.
const MOST_NAMED: usize = 20;

#[derive(Default)]
struct Counted {
    all: u64,
    users: BTreeMap<Arc<str>, u64>,
    networks: BTreeSet<IpAddr>,
    told: Option<Timestamp>,
}

/// What has failed since it was told last.
#[derive(Default)]
pub(crate) struct Failures(Mutex<Counted>);

impl Failures {
    /// Somebody has tried to sign in, with this login where there is one of the name, from `peer`.
    pub(crate) fn count(&self, login: Option<&Login>, peer: Option<IpAddr>) {
        let mut counted = self.0.lock();
        counted.all += 1;
        if let Some(login) = login
            && (counted.users.len() < MOST_NAMED || counted.users.contains_key(&login.user))
        {
            *counted.users.entry(Arc::clone(&login.user)).or_default() += 1;
        }
        if let Some(peer) = peer.map(network)
            && counted.networks.len() < MOST_NAMED
        {
            counted.networks.insert(peer);
        }
    }

    /// What is to be told at `now`, if anything is.
    pub(crate) fn due(&self, now: Timestamp) -> Option<Value> {
        let mut counted = self.0.lock();
        if counted.all == 0 || counted.told.is_some_and(|told| now < told + EVERY) {
            return None;
        }
        let (users, networks) = (std::mem::take(&mut counted.users), std::mem::take(&mut counted.networks));
        let all = std::mem::take(&mut counted.all);
        counted.told = Some(now);
        Some(json!({ "count": all, "users": users, "from": networks }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_at_most_once_a_minute() {
        let (failures, at) = (Failures::default(), |second| Timestamp::from_second(second).unwrap());
        assert_eq!(failures.due(at(0)), None);
        failures.count(None, "203.0.113.7".parse().ok());
        assert_eq!(failures.due(at(0)).unwrap()["count"], 1);
        failures.count(None, None);
        assert_eq!(failures.due(at(59)), None);
        assert_eq!(failures.due(at(60)).unwrap()["from"], json!([]));
    }
}

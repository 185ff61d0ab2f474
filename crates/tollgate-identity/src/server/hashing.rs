//! Who is being signed in just now: one at a time by each name from each place, so that nobody keeps the threads for passwords
//! busy with one of theirs.

use std::collections::HashSet;
use std::net::IpAddr;

use parking_lot::Mutex;

use super::random;
use super::throttle::network;

type Who = (String, Option<IpAddr>);

/// Who is being signed in.
#[derive(Default)]
pub(crate) struct Hashing(Mutex<HashSet<Who>>);

/// Somebody is being signed in, as long as this lives.
pub(crate) struct OneAtATime<'a> {
    all: &'a Hashing,
    who: Who,
}

impl Hashing {
    /// Lets `name` from `peer` in; `None` where that is under way already.
    pub(crate) fn enter(&self, name: &str, peer: Option<IpAddr>) -> Option<OneAtATime<'_>> {
        let who = (random::hashed(name), peer.map(network));
        let is_first = self.0.lock().insert(who.clone());
        // Not made where it is not the first: it would take away the other's place when it goes.
        is_first.then(|| OneAtATime { all: self, who })
    }
}

impl Drop for OneAtATime<'_> {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let hashing = Hashing::default();
        let first = hashing.enter("ann", None);
        assert!(
            first.is_some() && hashing.enter("ann", None).is_none() && hashing.enter("bob", None).is_some()
        );
        drop(first);
        assert!(hashing.enter("ann", None).is_some());
    }
}

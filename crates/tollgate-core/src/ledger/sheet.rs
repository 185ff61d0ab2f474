//! How several instances share one rule.
//!
//! Each has a part of it, a lease, and counts within that by itself. The sheet of a rule's window says who has which
//! part. Whoever changes a sheet writes it back only where nobody else has meanwhile, so that all parts together never
//! exceed what the rule allows. A part counts as spent until its instance says otherwise, however long it is silent: what
//! it has spent of it stands in its own journal only. An operator who knows that it will not come back releases it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::Peer;

/// One instance's part of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Lease {
    /// What it has counted and holds for calls that are under way or wait, as it last said.
    pub used: u64,
    /// Up to how much it may count by itself.
    pub upto: u64,
    /// How much of what is used may come back: calls that are under way or wait may cost less.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: u64,
    /// How much calls wait for that was not there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lacks: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Lease {
    fn taken(self) -> u64 {
        self.used.max(self.upto)
    }
}

/// Who has which part of a rule, in one of its windows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Sheet(BTreeMap<Arc<str>, Lease>);

/// An instance, as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Presence {
    /// Until when it uses its leases, by the clock of what is shared.
    pub until: Timestamp,
    /// Whether an operator has said that it will not come back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// Where the others reach it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
}

/// The instances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Roster {
    instances: BTreeMap<Arc<str>, Presence>,
    /// Which life of what is shared this is: a store that was started anew may have forgotten what was written last.
    life: String,
    /// Until when nobody takes more, because not all have said again yet what they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    settling_until: Option<Timestamp>,
}

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Present,
    Silent,
    Released,
}

/// Why an instance is not released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// Nobody has heard of it.
    #[error("there is no instance `{0}`")]
    Unknown(String),
    /// It may still use its leases.
    #[error("the instance `{0}` uses its leases until {1}: stop it first, or wait")]
    Present(String, Timestamp),
}

impl Roster {
    /// Notes that `who` uses its leases until `until`, and where the others reach it.
    pub fn renew(&mut self, who: &Arc<str>, until: Timestamp, peer: Option<Peer>) {
        self.instances.insert(Arc::clone(who), Presence { until, released: false, peer });
    }

    /// Where the others reach `who`, as it last said.
    pub fn peer(&self, who: &str) -> Option<&Peer> {
        self.instances.get(who)?.peer.as_ref()
    }

    /// The instances that can be reached now.
    pub fn peers(&self, now: Timestamp) -> impl Iterator<Item = &Peer> {
        self.instances
            .values()
            .filter(move |presence| now < presence.until)
            .filter_map(|presence| presence.peer.as_ref())
    }

    /// Notes which life of what is shared this is. In another than before, everybody says first what they have, for as
    /// long as leases last; so it is too where `forgotten` says that an instance was known before.
    pub fn lives(&mut self, life: &str, forgotten: bool, settled: Timestamp) {
        if self.life != life {
            let anew = forgotten || !self.instances.is_empty();
            life.clone_into(&mut self.life);
            self.settling_until = anew.then_some(settled);
        }
    }

    /// Whether nobody takes more for now.
    pub fn is_settling(&self, now: Timestamp) -> bool {
        self.settling_until.is_some_and(|until| now < until)
    }

    /// Whether `who` is known.
    pub fn knows(&self, who: &str) -> bool {
        self.instances.contains_key(who)
    }

    /// Notes that `who` will not come back: what it had leased and not used is free for others.
    pub fn release(&mut self, who: &str, now: Timestamp) -> Result<(), ReleaseError> {
        let presence = self.instances.get_mut(who).ok_or_else(|| ReleaseError::Unknown(who.to_owned()))?;
        if now < presence.until {
            return Err(ReleaseError::Present(who.to_owned(), presence.until));
        }
        presence.released = true;
        Ok(())
    }

    /// Every instance that was ever heard of and not forgotten.
    pub fn each(&self) -> impl Iterator<Item = (&Arc<str>, &Presence)> {
        self.instances.iter()
    }

    fn how(&self, who: &str, now: Timestamp) -> How {
        match self.instances.get(who) {
            Some(Presence { released: true, .. }) => How::Released,
            Some(Presence { until, .. }) if now < *until => How::Present,
            _ => How::Silent,
        }
    }

    fn present(&self, now: Timestamp) -> u64 {
        self.instances.values().filter(|presence| now < presence.until).count() as u64
    }
}

/// What an instance wants of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// What it has counted and holds.
    pub used: u64,
    /// How much of that it holds.
    pub held: u64,
    /// What calls are waiting for.
    pub needed: u64,
    /// The most that a call has needed lately; 0 where the instance wants nothing beyond what is needed.
    pub largest: u64,
    /// What the rule allows all instances together.
    pub ceiling: u64,
    /// Whether it counts what is under way: the calls of an instance that is gone are over.
    pub concurrent: bool,
}

/// What an instance got of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Up to how much it may count by itself.
    pub upto: u64,
    /// What the others have used, and what counts as used by those that are silent.
    pub elsewhere: u64,
    /// What nobody has.
    pub rest: u64,
    /// What others have and do not use.
    pub idle: u64,
    /// What others hold, and of which something may come back.
    pub held: u64,
}

/// With less left than so many of the largest calls for each instance, nobody takes more than what is needed at once: small
/// rests are neither kept by one instance nor refused by another.
const NEAR: u64 = 8;

impl Sheet {
    /// Takes for `who` what it needs, where there is so much, and something beyond that to go on with.
    pub fn take(&mut self, who: &Arc<str>, wish: &Wish, roster: &Roster, now: Timestamp) -> Share {
        let (mut taken, mut share, mut others_wait) = (0_u64, Share::default(), false);
        for (other, lease) in self.0.iter().filter(|(other, _)| *other != who) {
            let (counts, used) = match roster.how(other, now) {
                How::Present => {
                    others_wait |= lease.lacks > 0;
                    share.held = share.held.saturating_add(lease.held);
                    (lease.taken(), lease.used)
                }
                How::Silent if wish.concurrent => (0, 0),
                How::Silent => (lease.taken(), lease.taken()),
                How::Released => (lease.used, lease.used),
            };
            taken = taken.saturating_add(counts);
            share.elsewhere = share.elsewhere.saturating_add(used);
            share.idle = share.idle.saturating_add(counts - used);
        }
        let free = wish.ceiling.saturating_sub(taken);
        let left = free.saturating_sub(wish.used).saturating_sub(wish.needed);
        let sharers = roster.present(now).max(1);
        let near = left <= wish.largest.saturating_mul(NEAR).saturating_mul(sharers);
        let slack =
            if near || others_wait || wish.largest == 0 { 0 } else { left / sharers.saturating_mul(4) };
        let wanted = wish.used.saturating_add(wish.needed).saturating_add(slack);
        share.upto = wish.used.max(wanted.min(free));
        share.rest = free.saturating_sub(share.upto);
        // What calls wait for here is as good as used: nobody else need hope for it.
        let used = wish.used.saturating_add(wish.needed).min(share.upto);
        let waiting = used - wish.used.min(used);
        let lease = Lease {
            used,
            upto: share.upto,
            held: wish.held.saturating_add(waiting).min(used),
            lacks: wish.needed - waiting.min(wish.needed),
        };
        if lease == Lease::default() {
            self.0.remove(who);
        } else {
            self.0.insert(Arc::clone(who), lease);
        }
        share
    }

    /// Says again what `who` has: after the sheet may have forgotten it.
    pub fn keep(&mut self, who: &Arc<str>, lease: Lease) {
        self.0.insert(Arc::clone(who), lease);
    }

    /// The part of `who`.
    pub fn lease(&self, who: &str) -> Option<Lease> {
        self.0.get(who).copied()
    }
}

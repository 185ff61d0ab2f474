//! A book's side of sharing: which sheets it wants to change, and what it makes of what it got.

use std::sync::Arc;

use jiff::Timestamp;

use super::book::Tally;
use super::{Book, Lease, Measure, Roster, Rule, Share, Sheet, Wish};

/// An instance's part of a rule, as the instance itself sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    /// Up to how much is counted here. Never more than what the sheet says.
    pub(super) upto: u64,
    /// What calls are waiting for.
    pub(super) wanted: u64,
    /// What the sheet said when it was last taken from.
    pub(super) share: Share,
    /// The most that a call has needed since the sheet was last looked at, and before that.
    largest: [u64; 2],
    /// What the sheet says of this instance.
    said: Option<(u64, u64)>,
    /// Whether the sheet was looked at before.
    joined: bool,
}

impl Part {
    pub(super) fn called_for(&mut self, amount: u64) {
        self.largest[0] = self.largest[0].max(amount);
    }
}

/// Which sheet: the rule's name, and when its window began.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SheetKey {
    /// The meter's name.
    pub under: Arc<str>,
    /// When the window began.
    pub since: Timestamp,
}

impl SheetKey {
    /// The sheet's name among what is shared.
    pub fn name(&self) -> String {
        format!("{}@{}", self.under, self.since.as_second())
    }

    /// The sheet that is called so; `None` where it is no sheet's name.
    pub fn named(name: &str) -> Option<Self> {
        let (under, since) = name.rsplit_once('@')?;
        Some(Self { under: under.into(), since: Timestamp::from_second(since.parse().ok()?).ok()? })
    }
}

/// A sheet that a book wants to look at.
#[derive(Clone, Debug)]
pub struct Due {
    /// Which.
    pub key: SheetKey,
    /// Until when it is of use; `None` for ever.
    pub ends: Option<Timestamp>,
}

/// What was taken from a sheet, before it was written.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// What this instance got.
    pub share: Share,
    used: u64,
    needed: u64,
}

/// How urgent it is to look at a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Calls wait for it, or others may wait for what is not used here.
    Now,
    /// Others do not know yet what was used here.
    Soon,
}

impl Book {
    /// The sheets that are to be looked at.
    pub fn due(&self, urgency: Urgency) -> Vec<Due> {
        let due = |tally: &Tally| Due {
            key: SheetKey { under: Arc::clone(&tally.meter.name), since: tally.window.start },
            ends: tally.window.end,
        };
        match urgency {
            Urgency::Now => self.urgent.iter().filter_map(|name| self.tallies.get(name)).map(due).collect(),
            Urgency::Soon => self.tallies.values().filter(|tally| tally.has_news()).map(due).collect(),
        }
    }

    /// Takes this instance's part from `sheet`. What it gives back it does not count on from now on; what it takes it
    /// counts on when the sheet was written ([`Book::taken`]). `None` where the window is over.
    pub fn take(
        &mut self,
        who: &Arc<str>,
        key: &SheetKey,
        sheet: &mut Sheet,
        roster: &Roster,
        now: Timestamp,
    ) -> Option<Taken> {
        let tally = self.tallies.get_mut(&key.under).filter(|tally| tally.window.start == key.since)?;
        tally.join(sheet.lease(who).map(|lease| lease.upto));
        let wish = tally.wish(now);
        let part = tally.part.as_deref_mut()?;
        if roster.is_settling(now) {
            let lease = Lease { used: wish.used, upto: part.upto.max(wish.used), held: wish.held, lacks: 0 };
            sheet.keep(who, lease);
            // There may be anything elsewhere.
            let share = Share { upto: lease.upto, idle: u64::MAX, rest: 0, ..part.share };
            return Some(Taken { share, used: wish.used, needed: wish.needed });
        }
        let share = sheet.take(who, &wish, roster, now);
        part.upto = part.upto.min(share.upto);
        let used = sheet.lease(who).unwrap_or_default().used;
        Some(Taken { share, used, needed: wish.needed })
    }

    /// Notes that the sheet was written which `taken` comes from.
    pub fn taken(&mut self, key: &SheetKey, taken: &Taken) {
        let tally = self.tallies.get_mut(&key.under).filter(|tally| tally.window.start == key.since);
        if let Some(part) = tally.and_then(|tally| tally.part.as_deref_mut()) {
            self.urgent.remove(&key.under);
            part.share = taken.share;
            part.upto = taken.share.upto;
            part.said = Some((taken.used, taken.share.upto));
            part.wanted = part.wanted.saturating_sub(taken.needed);
            part.largest = [0, part.largest[0]];
            // Others have begun to wait meanwhile; or what calls waited for was said to be used, and need not be.
            if part.wanted > 0 || taken.needed > 0 {
                self.urgent.insert(Arc::clone(&key.under));
            }
        }
    }

    /// Wants nothing any more: what is not used is given back when the sheets are looked at next.
    pub fn leave(&mut self) {
        for part in self.tallies.values_mut().filter_map(|tally| tally.part.as_deref_mut()) {
            (part.wanted, part.largest) = (0, [0, 0]);
        }
    }

    /// Says everything again: what is shared may have forgotten it.
    pub fn say_again(&mut self) {
        self.tallies
            .values_mut()
            .filter_map(|tally| tally.part.as_deref_mut())
            .for_each(|part| part.said = None);
    }

    /// Whether it counts under a sheet's rule, in that window.
    pub fn counts(&self, key: &SheetKey) -> bool {
        self.tallies.get(&key.under).is_some_and(|tally| tally.window.start == key.since)
    }

    /// Gives up all parts: nothing is counted on until they were taken anew.
    pub fn lapse(&mut self) {
        for tally in self.tallies.values_mut() {
            let used = tally.used();
            if let Some(part) = &mut tally.part {
                part.upto = used;
                part.share = Share { elsewhere: part.share.elsewhere, ..Share::default() };
            }
        }
    }
}

impl Tally {
    /// Whether others may wait for what is not used here: nobody takes more than is needed when little is left.
    pub(super) fn is_wanted_elsewhere(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.joined && part.share.rest == 0 && part.upto > self.used())
    }

    /// Whether the sheet does not say how it is here, or could say something better.
    fn has_news(&self) -> bool {
        let said = |part: &Part| part.said == Some((self.used(), part.upto));
        self.part.as_ref().is_some_and(|part| !said(part) || part.wanted > 0 || part.upto > self.used())
    }

    fn wish(&self, now: Timestamp) -> Wish {
        let part = self.part.as_deref().copied().unwrap_or_default();
        let concurrent =
            matches!(&self.meter.rule, Rule::Limit(limit) if limit.measure == Measure::ConcurrentCalls);
        Wish {
            used: self.used(),
            held: self.held,
            // A rule that refuses nothing only tells what it has counted.
            needed: if self.meter.refuses() { part.wanted } else { 0 },
            largest: if self.meter.refuses() {
                part.largest[0].max(part.largest[1]).max(part.wanted)
            } else {
                0
            },
            ceiling: self.meter.ceiling(now),
            concurrent,
        }
    }

    /// Counts what an earlier life of this instance may have counted in this window, of which no record is kept.
    fn join(&mut self, before: Option<u64>) {
        let Some(part) = &mut self.part else { return };
        let unrecorded = !self.meter.outlives_a_restart() && self.meter.window().is_some();
        if !part.joined && unrecorded {
            self.spent = self.spent.saturating_add(before.unwrap_or(0));
        }
        part.joined = true;
    }
}

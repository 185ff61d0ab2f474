//! The arithmetic of budgets and limits: what is spent, what is held, what that leaves.
//!
//! A value without locks, clocks or input and output, so that it can be tested as one. Whoever shares it puts it behind
//! one lock: a call is checked against all of its rules before it is counted against any.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Bounds, Meter, Need, Refusal};

/// What is counted under one meter, in the window that is open now.
#[derive(Clone, Copy, Debug)]
struct Tally {
    window: Bounds,
    /// By calls that have ended.
    spent: u64,
    /// For calls that are under way.
    held: u64,
}

/// All that is counted.
#[derive(Debug, Default)]
pub struct Book {
    tallies: HashMap<Arc<str>, Tally>,
}

/// What is held for a call, under one meter.
#[derive(Clone, Debug)]
pub struct Held {
    /// The meter.
    pub meter: Arc<Meter>,
    /// When the window began in which the call counts.
    pub since: Timestamp,
    /// How much.
    pub amount: u64,
}

/// What is held for a call. Whoever has it gives it back with [`Book::settle`].
#[derive(Clone, Debug, Default)]
#[must_use = "what is held is held until it is settled"]
pub struct Hold(Vec<Held>);

impl Hold {
    /// Meter by meter.
    pub fn each(&self) -> &[Held] {
        &self.0
    }
}

/// A budget of which so much is spent that its holder is to be warned.
#[derive(Clone, Debug)]
pub struct Warned {
    /// The budget.
    pub meter: Arc<Meter>,
    /// What it allows in this window.
    pub ceiling: u64,
    /// What is spent of it.
    pub spent: u64,
}

/// How it stands with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The window that is open.
    pub window: Bounds,
    /// What it allows.
    pub ceiling: u64,
    /// What is spent.
    pub spent: u64,
    /// What is held for calls that are under way.
    pub held: u64,
}

impl Standing {
    /// What is left.
    pub const fn left(&self) -> u64 {
        self.ceiling.saturating_sub(self.spent).saturating_sub(self.held)
    }
}

impl Book {
    /// Holds what a call needs under all of `meters`, or under none of them.
    pub fn hold<'a>(
        &mut self,
        meters: impl Iterator<Item = &'a Arc<Meter>>,
        need: &Need,
        now: Timestamp,
    ) -> Result<Hold, Refusal> {
        let held = meters.map(|meter| {
            let since = self.tally(meter, now).window.start;
            Held { meter: Arc::clone(meter), since, amount: 0 }
        });
        let mut hold = Hold(held.collect());
        self.hold_more(&mut hold, need, now)?;
        Ok(hold)
    }

    /// Holds as much more as a call now needs, under all of its meters or under none of them.
    pub fn hold_more(&mut self, hold: &mut Hold, need: &Need, now: Timestamp) -> Result<(), Refusal> {
        let refusals = hold.0.iter().filter_map(|held| self.refusal(held, need, now));
        // Whoever is refused by several waits for the last of them.
        if let Some(refusal) = refusals.max_by_key(|refusal| refusal.resets.unwrap_or(Timestamp::MAX)) {
            return Err(refusal);
        }
        for held in &mut hold.0 {
            let amount = held.amount.max(held.meter.needs(need).unwrap_or(0));
            if let Some(tally) =
                self.tallies.get_mut(&held.meter.name).filter(|t| t.window.start == held.since)
            {
                tally.held = tally.held.saturating_add(amount - held.amount);
            }
            held.amount = amount;
        }
        Ok(())
    }

    fn refusal(&self, held: &Held, need: &Need, now: Timestamp) -> Option<Refusal> {
        // A call counts where it began: a window that is over has nothing to refuse.
        let tally = self.tallies.get(&held.meter.name).filter(|tally| tally.window.start == held.since)?;
        let (meter, ceiling) = (&held.meter, held.meter.ceiling(now));
        let needs = meter.needs(need);
        let taken = tally.spent.saturating_add(tally.held);
        let beyond = match needs {
            Some(needs) => needs > held.amount && taken.saturating_add(needs - held.amount) > ceiling,
            // What nobody can tell is let through while there is something left.
            None => taken >= ceiling,
        };
        (beyond && meter.refuses()).then(|| Refusal {
            meter: Arc::clone(meter),
            ceiling,
            spent: tally.spent,
            held: tally.held - held.amount.min(tally.held),
            needs,
            resets: tally.window.end,
        })
    }

    /// Counts what a call has used instead of what was held for it; `None` where nothing was sent. Returns the budgets
    /// whose holders are to be warned, and takes note of what was counted in `hold`.
    pub fn settle(&mut self, hold: &mut Hold, used: Option<&Need>, now: Timestamp) -> Vec<Warned> {
        let mut warned = Vec::new();
        for held in &mut hold.0 {
            let used = held.meter.used(used, held.amount);
            if let Some(tally) =
                self.tallies.get_mut(&held.meter.name).filter(|t| t.window.start == held.since)
            {
                let before = tally.spent;
                tally.held = tally.held.saturating_sub(held.amount);
                tally.spent = tally.spent.saturating_add(used);
                warned.extend(warning(&held.meter, before, tally.spent, now));
            }
            held.amount = used;
        }
        warned
    }

    /// Counts what was counted in the window that began at `since`, before this book began.
    pub fn restore(&mut self, meter: &Arc<Meter>, since: Timestamp, spent: u64, now: Timestamp) {
        let tally = self.tally(meter, now);
        if tally.window.start == since {
            tally.spent = tally.spent.saturating_add(spent);
        }
    }

    /// How it stands with a rule.
    pub fn standing(&self, meter: &Meter, now: Timestamp) -> Standing {
        let (window, ceiling) = (meter.bounds(now), meter.ceiling(now));
        let tally =
            self.tallies.get(&meter.name).filter(|tally| tally.window.end.is_none_or(|end| now < end));
        match tally {
            Some(Tally { window, spent, held }) => {
                Standing { window: *window, ceiling, spent: *spent, held: *held }
            }
            None => Standing { window, ceiling, spent: 0, held: 0 },
        }
    }

    /// Forgets what nobody asks for any more: windows that are over.
    pub fn forget_past(&mut self, now: Timestamp) {
        self.tallies.retain(|_, tally| tally.held > 0 || tally.window.end.is_none_or(|end| now < end));
    }

    /// The tally of the window that `now` is in. A clock that is set back does not open a window again.
    fn tally(&mut self, meter: &Meter, now: Timestamp) -> &mut Tally {
        let fresh = || Tally { window: meter.bounds(now), spent: 0, held: 0 };
        if !self.tallies.contains_key(&meter.name) {
            self.tallies.insert(Arc::clone(&meter.name), fresh());
        }
        let tally = self.tallies.entry(Arc::clone(&meter.name)).or_insert_with(fresh);
        if tally.window.end.is_some_and(|end| now >= end) {
            // What is under way at the same time goes on; what is counted begins anew.
            *tally = fresh();
        }
        tally
    }
}

/// A warning, where spending has just passed the share from which on its holder is warned.
fn warning(meter: &Arc<Meter>, before: u64, spent: u64, now: Timestamp) -> Option<Warned> {
    let super::meter::Rule::Budget(budget) = &meter.rule else { return None };
    let ceiling = budget.ceiling(now);
    let passed = |percent: u8| {
        let threshold = u128::from(ceiling) * u128::from(percent);
        u128::from(before) * 100 < threshold && u128::from(spent) * 100 >= threshold
    };
    let now_warned = budget.warn_percent.is_some_and(passed) || passed(100);
    now_warned.then(|| Warned { meter: Arc::clone(meter), ceiling, spent })
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;

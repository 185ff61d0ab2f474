//! The arithmetic of budgets and limits: what is spent, what is held, what that leaves.
//!
//! A value without locks, clocks or input and output, so that it can be tested as one. Whoever shares it puts it behind
//! one lock: a call is checked against all of its rules before it is counted against any.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use jiff::Timestamp;

use super::part::Part;
use super::{Bounds, Elsewhere, Meter, Need, Refusal};

/// What is counted under one meter, in the window that is open now.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) meter: Arc<Meter>,
    pub(super) window: Bounds,
    /// By calls that have ended.
    pub(super) spent: u64,
    /// For calls that are under way.
    pub(super) held: u64,
    /// The most that was spent, by all instances, when it was last looked at whether to warn.
    looked_at: u64,
    /// The instance's part, where several share the rule. Elsewhere there are many tallies without one.
    pub(super) part: Option<Box<Part>>,
}

/// By the meter's name. A call finds its tallies by name once, and by place from then on. Names are an administrator's
/// words, so that a fast hash does.
pub(super) type Tallies = IndexMap<Arc<str>, Tally, RandomState>;

impl Tally {
    fn new(meter: &Arc<Meter>, shared: bool, now: Timestamp) -> Self {
        let part = shared.then(Box::default);
        Self { meter: Arc::clone(meter), window: meter.bounds(now), spent: 0, held: 0, looked_at: 0, part }
    }

    pub(super) const fn used(&self) -> u64 {
        self.spent.saturating_add(self.held)
    }

    /// What this instance may count by itself.
    fn ceiling(&self, now: Timestamp) -> u64 {
        let whole = self.meter.ceiling(now);
        self.part.as_ref().map_or(whole, |part| part.upto.min(whole))
    }

    /// What is left for a call that holds `own` of it.
    fn room(&self, own: u64, now: Timestamp) -> u64 {
        self.ceiling(now).saturating_sub(self.used().saturating_sub(own))
    }

    /// Takes note that the rule was changed. What was counted goes on counting, in the window that it has from now on;
    /// what was taken under more than it allows now is taken anew.
    fn changed(&mut self, meter: &Arc<Meter>, now: Timestamp) {
        let less = meter.ceiling(now) < self.meter.ceiling(now);
        let window = meter.bounds(now);
        let moved = window.start != self.window.start;
        self.window = window;
        self.meter = Arc::clone(meter);
        let used = self.used();
        match &mut self.part {
            Some(part) if moved => **part = Part::default(),
            Some(part) if less => part.upto = part.upto.min(used),
            _ => {}
        }
    }

    /// What other instances have counted.
    fn elsewhere(&self) -> u64 {
        self.part.as_ref().map_or(0, |part| part.share.elsewhere)
    }

    /// What is spent, by all instances.
    fn spent_by_all(&self) -> u64 {
        self.spent.saturating_add(self.elsewhere())
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.window.end.is_some_and(|end| now >= end)
    }

    /// How it stands with the rule, of which `meter` is the newest form.
    fn standing(&self, meter: &Meter, now: Timestamp) -> Standing {
        Standing {
            window: self.window,
            ceiling: meter.ceiling(now),
            spent: self.spent_by_all(),
            held: self.held,
        }
    }
}

/// All that is counted.
#[derive(Debug, Default)]
pub struct Book {
    pub(super) tallies: Tallies,
    /// Whether rules are shared with other instances.
    pub(super) shared: bool,
    /// The rules whose parts are to be looked at now, by name.
    pub(super) urgent: HashSet<Arc<str>>,
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
    /// Where the book had its tally when the call was opened.
    place: usize,
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

    /// How much is held under the rules that are never passed: the same for each, unless some of them hold less.
    pub fn strictly_held(&self) -> u64 {
        let strict = self.0.iter().filter(|held| held.meter.is_strict());
        strict.map(|held| held.amount).max().unwrap_or(0)
    }

    /// Whether a rule counts the call that is never passed.
    pub fn is_strict(&self) -> bool {
        self.0.iter().any(|held| held.meter.is_strict())
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
    /// The share of it, in percent, that was passed: the budget's threshold, or 100.
    pub percent: u8,
    /// The window that counts it.
    pub window: Bounds,
}

/// How it stands with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The window that is open.
    pub window: Bounds,
    /// What it allows.
    pub ceiling: u64,
    /// What is spent, by all instances.
    pub spent: u64,
    /// What is held for calls that are under way here.
    pub held: u64,
}

impl Standing {
    /// What is left.
    pub const fn left(&self) -> u64 {
        self.ceiling.saturating_sub(self.spent).saturating_sub(self.held)
    }
}

impl Book {
    /// A book whose rules are shared: it counts nothing beyond the parts that it is given.
    pub fn shared() -> Self {
        Self { shared: true, ..Self::default() }
    }

    /// What will be held for a call that all of `meters` count, and which is nothing yet.
    pub fn open<'a>(&mut self, meters: impl Iterator<Item = &'a Arc<Meter>>, now: Timestamp) -> Hold {
        let held = meters.map(|meter| {
            let (place, tally) = self.tally(meter, now);
            Held { meter: Arc::clone(meter), since: tally.window.start, amount: 0, place }
        });
        Hold(held.collect())
    }

    /// Holds as much as a call now needs, under all of its meters or under none of them.
    pub fn hold(&mut self, hold: &mut Hold, need: &Need, now: Timestamp) -> Result<(), Refusal> {
        let refusals = hold.0.iter().filter_map(|held| self.refusal(held, need, now));
        // Whoever is refused by several waits for the last of them.
        let refused = refusals.max_by_key(|refusal| refusal.resets.unwrap_or(Timestamp::MAX));
        if let Some(refusal) = refused {
            self.wish(hold, need, now);
            return Err(refusal);
        }
        for held in &mut hold.0 {
            let amount = held.amount.max(held.meter.needs(need).unwrap_or(0));
            if let Some(tally) = counting(&mut self.tallies, held) {
                tally.held = tally.held.saturating_add(amount - held.amount);
                if let Some(part) = &mut tally.part {
                    part.called_for(amount);
                }
            }
            held.amount = amount;
        }
        Ok(())
    }

    fn refusal(&self, held: &Held, need: &Need, now: Timestamp) -> Option<Refusal> {
        let (meter, needs) = (&held.meter, held.meter.needs(need));
        let Some(tally) = counted(&self.tallies, held) else { return over(held, needs, now) };
        let ceiling = tally.ceiling(now);
        let beyond = match needs {
            Some(needs) => needs > held.amount && needs > tally.room(held.amount, now),
            // What nobody can tell is let through while there is something left, or where that must not be, never.
            None => meter.is_strict() || tally.used() >= ceiling,
        };
        (beyond && meter.refuses()).then(|| Refusal {
            meter: Arc::clone(meter),
            ceiling: meter.ceiling(now),
            spent: tally.spent_by_all(),
            held: tally.held - held.amount.min(tally.held),
            needs,
            resets: tally.window.end,
            over: false,
            lacks: needs.map_or(1, |needs| needs.saturating_sub(tally.room(held.amount, now))),
            elsewhere: tally.part.as_ref().map(|part| Elsewhere {
                room: part.share.rest.saturating_add(part.share.idle),
                held: part.share.held,
            }),
        })
    }

    /// Notes what a call lacks that was refused, for the next time that parts are taken.
    fn wish(&mut self, hold: &Hold, need: &Need, now: Timestamp) {
        for held in &hold.0 {
            let needs = held.meter.needs(need).unwrap_or(1).saturating_sub(held.amount);
            // A rule that refuses nothing takes no part: it only tells.
            if held.meter.refuses()
                && let Some(tally) = counting(&mut self.tallies, held)
                && needs > tally.ceiling(now).saturating_sub(tally.used())
                && let Some(part) = &mut tally.part
            {
                part.wanted = part.wanted.saturating_add(needs);
                self.urgent.insert(Arc::clone(&held.meter.name));
            }
        }
    }

    /// The most that could be held for a call under the rules that are never passed, up to `most`; `None` where none
    /// counts it.
    pub fn fits(&self, hold: &Hold, most: u64, now: Timestamp) -> Option<u64> {
        let strict = hold.0.iter().filter(|held| held.meter.is_strict());
        let rooms = strict.map(|held| {
            let tally = counted(&self.tallies, held);
            tally.map_or(held.amount.min(most), |tally| tally.room(held.amount, now).min(most))
        });
        rooms.min()
    }

    /// Counts what a call has used instead of what was held for it; `None` where nothing was sent. Returns the budgets
    /// whose holders are to be warned, and takes note of what was counted in `hold`.
    pub fn settle(&mut self, hold: &mut Hold, used: Option<&Need>, now: Timestamp) -> Vec<Warned> {
        let mut warned = Vec::new();
        for held in &mut hold.0 {
            let used = held.meter.used(used, held.amount);
            if let Some(tally) = counting(&mut self.tallies, held) {
                tally.held = tally.held.saturating_sub(held.amount);
                tally.spent = tally.spent.saturating_add(used);
                warned.extend(warning(&held.meter, tally, now));
                if tally.is_wanted_elsewhere() {
                    self.urgent.insert(Arc::clone(&held.meter.name));
                }
            }
            held.amount = used;
        }
        warned
    }

    /// Counts what was counted in the window that began at `since`, before this book began.
    pub fn restore(&mut self, meter: &Arc<Meter>, since: Timestamp, spent: u64, now: Timestamp) {
        let (_, tally) = self.tally(meter, now);
        if tally.window.start == since {
            tally.spent = tally.spent.saturating_add(spent);
            tally.looked_at = tally.spent;
        }
    }

    /// How it stands with a rule.
    pub fn standing(&self, meter: &Meter, now: Timestamp) -> Standing {
        Self::open_now(self.tallies.get(&meter.name), meter, now)
    }

    /// How it stands with the rule that `held` is held under.
    pub fn standing_of(&self, held: &Held, now: Timestamp) -> Standing {
        let tally = place_of(&self.tallies, held).and_then(|at| self.tallies.get_index(at));
        Self::open_now(tally.map(|(_, tally)| tally), &held.meter, now)
    }

    fn open_now(tally: Option<&Tally>, meter: &Meter, now: Timestamp) -> Standing {
        match tally.filter(|tally| !tally.is_over(now)) {
            Some(tally) => tally.standing(meter, now),
            None => Standing { window: meter.bounds(now), ceiling: meter.ceiling(now), spent: 0, held: 0 },
        }
    }

    /// Forgets what nobody asks for any more: windows that are over.
    pub fn forget_past(&mut self, now: Timestamp) {
        self.tallies.retain(|_, tally| tally.held > 0 || !tally.is_over(now));
    }

    /// The tally of the window that `now` is in, and its place. A clock that is set back does not open a window again.
    fn tally(&mut self, meter: &Arc<Meter>, now: Timestamp) -> (usize, &mut Tally) {
        let known = self.tallies.get_index_of(&meter.name);
        let place = known.unwrap_or_else(|| {
            self.tallies.insert_full(Arc::clone(&meter.name), Tally::new(meter, self.shared, now)).0
        });
        let tally = &mut self.tallies[place];
        if tally.is_over(now) {
            // What is under way at the same time goes on; what is counted begins anew.
            *tally = Tally::new(meter, self.shared, now);
        }
        if !Arc::ptr_eq(&tally.meter, meter) {
            tally.changed(meter, now);
        }
        (place, tally)
    }
}

/// The refusal of more for a call whose window is over, under a rule that is never passed: nothing counts it any more.
fn over(held: &Held, needs: Option<u64>, now: Timestamp) -> Option<Refusal> {
    let more = held.meter.is_strict() && needs.is_none_or(|needs| needs > held.amount);
    more.then(|| Refusal {
        meter: Arc::clone(&held.meter),
        ceiling: held.meter.ceiling(now),
        spent: 0,
        held: 0,
        needs,
        resets: held.meter.bounds(now).end,
        over: true,
        lacks: needs.map_or(1, |needs| needs.saturating_sub(held.amount)),
        elsewhere: None,
    })
}

/// Where the tally of what is held is: mostly where it was, unless others were forgotten meanwhile.
fn place_of(tallies: &Tallies, held: &Held) -> Option<usize> {
    let there = tallies.get_index(held.place).is_some_and(|(name, _)| *name == held.meter.name);
    if there { Some(held.place) } else { tallies.get_index_of(&held.meter.name) }
}

/// The tally that counts what is held. A call counts where it began: a window that is over counts nothing any more.
fn counted<'a>(tallies: &'a Tallies, held: &Held) -> Option<&'a Tally> {
    let (_, tally) = tallies.get_index(place_of(tallies, held)?)?;
    (tally.window.start == held.since).then_some(tally)
}

/// The same, to be counted on.
fn counting<'a>(tallies: &'a mut Tallies, held: &Held) -> Option<&'a mut Tally> {
    let place = place_of(tallies, held)?;
    let (_, tally) = tallies.get_index_mut(place)?;
    (tally.window.start == held.since).then_some(tally)
}

/// A warning, where spending has passed the share from which on its holder is warned since it was last looked: here, or
/// on other instances, of which it is heard later.
fn warning(meter: &Arc<Meter>, tally: &mut Tally, now: Timestamp) -> Option<Warned> {
    let spent = tally.spent_by_all();
    let before = tally.looked_at;
    tally.looked_at = before.max(spent);
    let super::meter::Rule::Budget(budget) = &meter.rule else { return None };
    let ceiling = budget.ceiling(now);
    let passed = |percent: &u8| {
        let threshold = u128::from(ceiling) * u128::from(*percent);
        u128::from(before) * 100 < threshold && u128::from(spent) * 100 >= threshold
    };
    let percent = [Some(100), budget.warn_percent].into_iter().flatten().find(passed)?;
    Some(Warned { meter: Arc::clone(meter), ceiling, spent, percent, window: tally.window })
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;

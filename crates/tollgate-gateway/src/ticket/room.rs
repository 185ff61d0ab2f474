//! Phase 6, its beginning: room for a call under every budget and limit that holds for it.

use std::sync::Arc;

use jiff::Timestamp;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::ledger::{Need, Refusal};
use tollgate_core::price::{Cost, NanoUsd, Price};
use tollgate_core::usage::UsageSource;
use tollgate_llm::bound::Bound;

use super::Ticket;
use crate::charges::add_cost;
use crate::gate::Gate;
use crate::llm::unbounded;
use crate::route::Target;

/// What a strict budget holds for one attempt, and what it buys.
struct Strict {
    bound: Bound,
    price: Price,
    /// What earlier attempts have cost.
    paid: NanoUsd,
    /// The longest answer that is asked for, and the shortest that is worth it.
    longest: u64,
    shortest: u64,
}

impl Strict {
    fn cost(&self, output_tokens: u64) -> Option<NanoUsd> {
        match self.bound.cost(&self.price, output_tokens) {
            Cost::Known(nano) => self.paid.checked_add(nano),
            Cost::Unknown => None,
        }
    }

    /// The longest answer that `held` pays for.
    fn affordable(&self, held: NanoUsd) -> Option<u64> {
        self.bound.affordable(&self.price, held.checked_sub(self.paid)?, self.longest)
    }
}

impl Ticket {
    /// Makes room for an attempt at `target`, or refuses it. What earlier attempts have cost and what others that
    /// are under way may cost stays held beside it. Returns the longest answer that there is room for, where that is to
    /// be said upstream.
    pub(super) async fn make_room(&mut self, target: &Target) -> Result<Option<u64>, Fault> {
        if self.caller.is_none() {
            return Ok(None);
        }
        let gate = Arc::clone(&self.gate);
        let mut need = if self.attempts.is_empty() {
            self.open_anew(&gate);
            Need { usage: self.reservation.usage, cost: self.reservation.cost, most: None }
        } else {
            self.needs_with(target)
        };
        let Some(bound) = self.bound.filter(|_| self.hold.is_strict()) else {
            // Under a strict budget what is not billed costs nothing at most.
            need.most = (!self.billed).then_some(0);
            self.hold(&gate, &need).await.map_err(|refusal| self.refused(refusal))?;
            return Ok(None);
        };
        let strict = self.strictly(bound, target)?;
        need.most = strict.cost(strict.longest);
        self.hold_strictly(&gate, need, &strict).await
    }

    /// What a strict budget must know of an attempt at `target`.
    fn strictly(&self, bound: Bound, target: &Target) -> Result<Strict, Fault> {
        let budget = self.strict().map(|meter| meter.words()).unwrap_or_default();
        let price =
            target.price().ok_or_else(|| unbounded(&budget, &format!("{} has no price", target.id())))?;
        let ceilings = [bound.max_output_tokens, target.max_output_tokens()];
        let longest = match (bound.answers, ceilings.into_iter().flatten().min()) {
            (0, _) => 0,
            (_, Some(longest)) => longest,
            (_, None) => {
                let why = "neither it nor its model says how long the answer may be; say so (max_tokens)";
                return Err(unbounded(&budget, why));
            }
        };
        let paid = match self.charges.total() {
            // Nobody has said what an earlier attempt used: it may have been what was held for it.
            Some((usage, _)) if usage.source == UsageSource::Estimated => self.hold.strictly_held(),
            Some((_, Cost::Known(paid))) => paid,
            Some((_, Cost::Unknown)) => {
                return Err(unbounded(&budget, "an earlier attempt has no known cost"));
            }
            None => 0,
        };
        let shortest = self.runtime.snapshot.budgets.min_output_tokens.min(longest);
        let strict = Strict { bound, price: price.clone(), paid, longest, shortest };
        match strict.cost(longest) {
            Some(_) => Ok(strict),
            None => Err(unbounded(&budget, "what it costs by the piece has no bound")),
        }
    }

    /// Holds the most that the call can cost, or as much of it as there is, for a shorter answer.
    async fn hold_strictly(
        &mut self,
        gate: &Gate,
        mut need: Need,
        strict: &Strict,
    ) -> Result<Option<u64>, Fault> {
        // What fits may be held by somebody else a moment later.
        const TRIES: usize = 8;
        let mut refused = None;
        for _ in 0..TRIES {
            match self.hold(gate, &need).await {
                Ok(()) => {
                    let held = need.most.unwrap_or(0);
                    let ceiling = strict.affordable(held).unwrap_or(0);
                    // Said also where the request says it: in a word that the upstream knows.
                    return Ok(Some(ceiling).filter(|_| strict.bound.answers > 0));
                }
                Err(Refused::Unknown(fault)) => return Err(fault),
                Err(Refused::Room(refusal, now)) => {
                    let most = strict.cost(strict.longest).unwrap_or(0);
                    let fits = gate.parts.access.fits(&self.hold, most, now);
                    let worth = strict.cost(strict.shortest).unwrap_or(NanoUsd::MAX);
                    let fault = self.no_room(&refusal, now);
                    // Another rule refuses it, or there is too little left for any answer.
                    need.most = match fits.filter(|fits| *fits >= worth && Some(*fits) != need.most) {
                        Some(fits) => Some(fits),
                        None => return Err(fault),
                    };
                    refused = Some(fault);
                }
            }
        }
        Err(refused.unwrap_or_else(|| Fault::new(FaultClass::Internal, "room was not found")))
    }

    /// Holds what is needed. Where other instances may have what is missing, they are asked.
    async fn hold(&mut self, gate: &Gate, need: &Need) -> Result<(), Refused> {
        let access = &*gate.parts.access;
        let mut times = 0;
        loop {
            let now = gate.parts.clock.now();
            let Err(refusal) = access.hold(&mut self.hold, need, now) else { return Ok(()) };
            if refusal.over && self.attempts.is_empty() {
                self.open_anew(gate);
                continue;
            }
            let Some(asking) = access.ask(&refusal, times) else {
                return Err(Refused::Room(Box::new(refusal), now));
            };
            asking.await.map_err(Refused::Unknown)?;
            times += 1;
            self.open_anew(gate);
        }
    }

    /// Where nothing is held yet, the windows that are open now are those in which the call counts: others may have ended
    /// while it waited.
    fn open_anew(&mut self, gate: &Gate) {
        if let Some(caller) = self.caller.as_ref().filter(|_| self.attempts.is_empty()) {
            self.hold = gate.parts.access.open(caller, self.about(), gate.parts.clock.now());
        }
    }

    fn refused(&self, refused: Refused) -> Fault {
        match refused {
            Refused::Room(refusal, now) => self.no_room(&refusal, now),
            Refused::Unknown(fault) => fault,
        }
    }

    fn no_room(&self, refusal: &Refusal, now: Timestamp) -> Fault {
        let fault = refusal.fault(now);
        let status = self.runtime.snapshot.budgets.refusal_status;
        let configured_status = (fault.class == FaultClass::BudgetExceeded).then_some(status);
        Fault { configured_status, ..fault }
    }

    /// What the call has used and may use, with a further attempt at `target`.
    fn needs_with(&self, target: &Target) -> Need {
        let under_way =
            self.attempts.iter().filter(|attempt| !attempt.charged && attempt.entry.fault.is_none());
        let targets = under_way.map(|attempt| &attempt.target).chain([target]);
        let each = targets.map(|target| (self.reservation.usage, self.cost_at(target)));
        let (usage, cost) = each
            .chain(self.charges.total())
            .reduce(|(usage, cost), (more, further)| (usage.and(&more), add_cost(cost, further)))
            .unwrap_or((self.reservation.usage, self.reservation.cost));
        Need { usage, cost, most: None }
    }

    /// What the reservation costs at `target`.
    fn cost_at(&self, target: &Target) -> Cost {
        if self.billed { target.cost(&self.reservation.usage) } else { Cost::Known(0) }
    }

    /// Counts what was used instead of what was held.
    pub(super) fn give_back(&mut self) {
        if self.caller.is_none() {
            return;
        }
        let used = self.total().map(|(usage, cost)| Need { usage, cost, most: None });
        let now = self.gate.parts.clock.now();
        self.gate.parts.access.settle(&mut self.hold, used.as_ref(), now);
    }
}

/// Why nothing is held.
enum Refused {
    /// A rule has no room.
    Room(Box<Refusal>, Timestamp),
    /// Nobody can tell whether one has.
    Unknown(Fault),
}

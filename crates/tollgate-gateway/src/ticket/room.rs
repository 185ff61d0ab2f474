//! Phase 6, its beginning: room for a call under every budget and limit that holds for it.

use tollgate_core::fault::Fault;
use tollgate_core::ledger::Need;
use tollgate_core::price::Cost;

use super::Ticket;
use crate::charges::add_cost;
use crate::route::Candidate;

impl Ticket {
    /// Makes room for an attempt at `candidate`, or refuses it. What earlier attempts have cost and what others that
    /// are under way may cost stays held beside it.
    pub(super) fn make_room(&mut self, candidate: &Candidate) -> Result<(), Fault> {
        let Some(caller) = &self.caller else { return Ok(()) };
        let (access, now) = (&*self.gate.parts.access, self.gate.parts.clock.now());
        let room = if self.attempts.is_empty() {
            let need = Need { usage: self.reservation.usage, cost: self.reservation.cost };
            let model = self.model.as_deref().unwrap_or_default();
            access.hold(caller, model, &need, now).map(|hold| self.hold = hold)
        } else {
            let need = self.needs_with(candidate);
            access.hold_more(&mut self.hold, &need, now)
        };
        room.map_err(|refusal| refusal.fault(now))
    }

    /// What the call has used and may use, with a further attempt at `candidate`.
    fn needs_with(&self, candidate: &Candidate) -> Need {
        let under_way =
            self.attempts.iter().filter(|attempt| !attempt.charged && attempt.entry.fault.is_none());
        let candidates = under_way.map(|attempt| &attempt.candidate).chain([candidate]);
        let each = candidates.map(|candidate| (self.reservation.usage, self.cost_at(candidate)));
        let (usage, cost) = each
            .chain(self.charges.total())
            .reduce(|(usage, cost), (more, further)| (usage.and(&more), add_cost(cost, further)))
            .unwrap_or((self.reservation.usage, self.reservation.cost));
        Need { usage, cost }
    }

    /// What the reservation costs at `candidate`.
    fn cost_at(&self, candidate: &Candidate) -> Cost {
        match &candidate.deployment.facts.price {
            _ if !self.billed => Cost::Known(0),
            Some(price) => price.cost(&self.reservation.usage),
            None => Cost::Unknown,
        }
    }

    /// Counts what was used instead of what was held.
    pub(super) fn give_back(&mut self) {
        if self.caller.is_none() {
            return;
        }
        let used = self.total().map(|(usage, cost)| Need { usage, cost });
        let now = self.gate.parts.clock.now();
        self.gate.parts.access.settle(&mut self.hold, used.as_ref(), now);
    }
}

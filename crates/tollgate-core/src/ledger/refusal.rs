//! Why a call is refused that has no room under a budget or a limit.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Meter, Rule, Usd, Window};
use crate::fault::{Fault, FaultClass};

/// A rule that a call would go beyond.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The rule.
    pub meter: Arc<Meter>,
    /// What it allows in this window.
    pub ceiling: u64,
    /// What is spent of it.
    pub spent: u64,
    /// What is held for calls that are under way.
    pub held: u64,
    /// What the call needs; `None` where nobody can tell.
    pub needs: Option<u64>,
    /// When the window ends.
    pub resets: Option<Timestamp>,
    /// Whether the window is over in which the call would count.
    pub over: bool,
    /// How much is missing here.
    pub lacks: u64,
    /// What there may be of it where other instances share the rule; `None` where none does.
    pub elsewhere: Option<Elsewhere>,
}

/// What other instances may have of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere {
    /// What nobody uses.
    pub room: u64,
    /// What is held for calls that are under way there, and of which something may come back.
    pub held: u64,
}

impl Refusal {
    /// The same for the client: which rule, how it stands, what was needed, when there is room again.
    pub fn fault(&self, now: Timestamp) -> Fault {
        match &self.meter.rule {
            Rule::Budget(_) => self.budget(),
            Rule::Limit(_) => self.limit(now),
        }
    }

    fn budget(&self) -> Fault {
        let usd = Usd::from_nano;
        let window = match self.meter.window() {
            Some(Window::Total) | None => "in total".to_owned(),
            Some(Window::Day) => "today".to_owned(),
            Some(Window::Month) => "this month".to_owned(),
            Some(window) => format!("in {window}"),
        };
        let needs = match self.needs {
            Some(needs) => format!("this call may cost {} USD", usd(needs)),
            None => "nobody can tell what this call costs".to_owned(),
        };
        let resets = match self.resets {
            Some(at) => format!("it resets at {at}"),
            None => "it does not reset by itself".to_owned(),
        };
        let message = format!(
            "the {} has no room for this call: of {} USD {window}, {} are spent and {} are held for calls under way; {needs}; {resets}",
            self.meter.words(),
            usd(self.ceiling),
            usd(self.spent),
            usd(self.held),
        );
        Fault::new(FaultClass::BudgetExceeded, message)
    }

    fn limit(&self, now: Timestamp) -> Fault {
        let Rule::Limit(limit) = &self.meter.rule else { return self.budget() };
        let per = limit.per.map(|per| format!(" a {per}")).unwrap_or_default();
        let (taken, needs) = (self.spent.saturating_add(self.held), self.needs.unwrap_or(0));
        let message = format!(
            "the {} is reached: {} {}{per}, of which {taken} are taken; this call needs {needs}",
            self.meter.words(),
            self.ceiling,
            limit.measure.words(),
        );
        // What is under way ends at a time that nobody knows; what is larger than the limit never has room.
        const SOON: Duration = Duration::from_secs(1);
        let wait = self.resets.map_or(SOON, |at| at.duration_since(now).try_into().unwrap_or(SOON));
        let fault = Fault::new(FaultClass::LimitExceeded, message);
        Fault { retry_after: (needs <= self.ceiling).then_some(wait), ..fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{HolderKind, HolderRef};
    use crate::ledger::{Budget, Limit, Measure};

    fn holder() -> HolderRef {
        HolderRef { kind: HolderKind::Team, id: "search".into() }
    }

    fn refusal(meter: Meter, needs: u64) -> Refusal {
        let resets = Some("2026-12-01T00:00:00Z".parse().unwrap());
        Refusal {
            ceiling: 10,
            spent: 8,
            held: 1,
            needs: Some(needs),
            resets,
            over: false,
            lacks: needs,
            elsewhere: None,
            meter: Arc::new(meter),
        }
    }

    #[test]
    fn a_refusal_says_which_rule_how_it_stands_and_when_there_is_room() {
        let now = "2026-11-30T23:59:30Z".parse().unwrap();
        let budget = serde_json::json!({ "id": "monthly", "amount_usd": "10", "window": "month" });
        let budget: Budget = serde_json::from_value(budget).unwrap();
        let meter = Meter::of_budget(&holder(), &budget, Timestamp::UNIX_EPOCH).unwrap();
        let fault = Refusal {
            ceiling: 10_000_000_000,
            spent: 9_900_000_000,
            held: 60_000_000,
            ..refusal(meter, 50_000_000)
        }
        .fault(now);
        assert_eq!(
            fault.message,
            "the budget `monthly` of team `search` has no room for this call: of 10 USD this month, 9.9 are spent and \
             0.06 are held for calls under way; this call may cost 0.05 USD; it resets at 2026-12-01T00:00:00Z"
        );
        assert!(!fault.retryable() && fault.retry_after.is_none());
        let limit = |needs| {
            let limit = Limit {
                id: "rpm".into(),
                measure: Measure::Tokens,
                max: 10,
                per: Some(Window::Minute),
                models: None,
                effects: None,
            };
            refusal(Meter::of_limit(&holder(), &limit), needs).fault(now)
        };
        assert_eq!(
            limit(2).message,
            "the limit `rpm` of team `search` is reached: 10 tokens a minute, of which 9 are taken; this call needs 2"
        );
        assert_eq!(limit(2).retry_after, Some(Duration::from_secs(30)));
        assert_eq!(limit(11).retry_after, None, "no wait makes room for it");
    }
}

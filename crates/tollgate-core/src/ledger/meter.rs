//! One rule of one holder, ready to be counted against.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{About, Bounds, Budget, Limit, Measure, RuleError, Window};
use crate::access::HolderRef;
use crate::effect::Effect;
use crate::price::{Cost, NanoUsd};
use crate::usage::{Usage, UsageSource};

/// What a call needs, or has used.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Tokens.
    pub usage: Usage,
    /// Money.
    pub cost: Cost,
    /// The most that it can cost, as far as that is held for it, in nano-dollars; `None` where nobody can tell.
    pub most: Option<NanoUsd>,
}

/// One rule of one holder, ready to be counted against.
#[derive(Clone, Debug)]
pub struct Meter {
    /// What counts are kept and recorded under: it says whose rule it is, which, and over which window.
    pub name: Arc<str>,
    /// Whose rule it is.
    pub holder: HolderRef,
    /// The rule.
    pub rule: Rule,
    zone: TimeZone,
    since: Timestamp,
}

/// A rule of either kind.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Money.
    Budget(Budget),
    /// Use.
    Limit(Limit),
}

impl Meter {
    /// The budget of `holder`, which was made at `since`.
    pub fn of_budget(holder: &HolderRef, budget: &Budget, since: Timestamp) -> Result<Self, RuleError> {
        Ok(Self {
            name: name(holder, &budget.id, &budget.window.to_string()),
            holder: holder.clone(),
            zone: budget.zone()?,
            since: budget.since.unwrap_or(since),
            rule: Rule::Budget(budget.clone()),
        })
    }

    /// The limit of `holder`.
    pub fn of_limit(holder: &HolderRef, limit: &Limit) -> Self {
        let per = limit.per.map(|per| per.to_string()).unwrap_or_default();
        Self {
            name: name(holder, &limit.id, &per),
            holder: holder.clone(),
            zone: TimeZone::UTC,
            since: Timestamp::UNIX_EPOCH,
            rule: Rule::Limit(limit.clone()),
        }
    }

    /// The rule's own name.
    pub fn id(&self) -> &str {
        match &self.rule {
            Rule::Budget(budget) => &budget.id,
            Rule::Limit(limit) => &limit.id,
        }
    }

    /// Whether it counts calls to `model`.
    pub fn counts(&self, about: About<'_>) -> bool {
        let (models, effects) = match &self.rule {
            Rule::Budget(budget) => (&budget.models, &None),
            Rule::Limit(limit) => (&limit.models, &limit.effects),
        };
        let among = |effects: &Vec<Effect>| about.effect.is_some_and(|effect| effects.contains(&effect));
        models.as_ref().is_none_or(|models| models.iter().any(|pattern| pattern.fits(about.model)))
            && effects.as_ref().is_none_or(among)
    }

    /// Over which time it counts; `None` where it counts what is under way.
    pub fn window(&self) -> Option<Window> {
        match &self.rule {
            Rule::Budget(budget) => Some(budget.window),
            Rule::Limit(limit) => limit.per,
        }
    }

    /// Whether what it counted must be known after a restart.
    pub fn outlives_a_restart(&self) -> bool {
        self.window().is_some_and(Window::outlives_a_restart)
    }

    /// The window that `now` is in.
    pub fn bounds(&self, now: Timestamp) -> Bounds {
        let window = self.window().unwrap_or(Window::Total);
        window.bounds(now, self.since, &self.zone)
    }

    /// How much may be counted in the window that `now` is in.
    pub fn ceiling(&self, now: Timestamp) -> u64 {
        match &self.rule {
            Rule::Budget(budget) => budget.ceiling(now),
            Rule::Limit(limit) => limit.max,
        }
    }

    /// Whether a call that goes beyond it is refused.
    pub fn refuses(&self) -> bool {
        !matches!(&self.rule, Rule::Budget(Budget { soft: true, .. }))
    }

    /// Whether it is never passed: what is held for a call is the most that it can cost.
    pub fn is_strict(&self) -> bool {
        matches!(&self.rule, Rule::Budget(Budget { strict: true, .. }))
    }

    /// How much of what it counts a call needs; `None` where nobody can tell.
    pub fn needs(&self, need: &Need) -> Option<u64> {
        let usage = &need.usage;
        match &self.rule {
            Rule::Budget(Budget { strict: true, .. }) => need.most,
            Rule::Budget(_) => match need.cost {
                Cost::Known(nano) => Some(nano),
                Cost::Unknown => None,
            },
            Rule::Limit(limit) => Some(match limit.measure {
                Measure::Requests | Measure::ConcurrentCalls => 1,
                Measure::InputTokens => usage.input_tokens,
                Measure::OutputTokens => usage.output_tokens,
                Measure::Tokens => usage.input_tokens.saturating_add(usage.output_tokens),
            }),
        }
    }

    /// How much of what it counts remains counted of a call that has ended, and held `held`. A call that was begun
    /// counts as one even if it came to nothing, and what it cost counts as what was held for it where nobody can tell.
    pub fn used(&self, used: Option<&Need>, held: u64) -> u64 {
        match (&self.rule, used) {
            (Rule::Limit(Limit { measure: Measure::ConcurrentCalls, .. }), _) => 0,
            (Rule::Limit(Limit { measure: Measure::Requests, .. }), _) => held,
            (_, None) => 0,
            // Nobody has said what it was: it may have been the most.
            (Rule::Budget(Budget { strict: true, .. }), Some(Need { usage, .. }))
                if usage.source == UsageSource::Estimated =>
            {
                held
            }
            (Rule::Budget(_), Some(Need { cost: Cost::Known(nano), .. })) => *nano,
            (Rule::Budget(_), Some(_)) => held,
            (_, Some(used)) => self.needs(used).unwrap_or(held),
        }
    }

    /// What it is called in a message: `budget "monthly" of team "search"`.
    pub fn words(&self) -> String {
        let kind = if matches!(self.rule, Rule::Budget(_)) { "budget" } else { "limit" };
        format!("{kind} `{}` of {}", self.id(), self.holder)
    }
}

fn name(holder: &HolderRef, rule: &str, window: &str) -> Arc<str> {
    Arc::from(format!("{}/{}/{rule}/{window}", holder.kind.name(), holder.id))
}

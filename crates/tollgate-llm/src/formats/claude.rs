//! What Claude models take and refuse, whichever format asks them: sampling, and how they think.

use serde::Serialize;

use super::Target;
use super::numbers::Number;
use crate::chat::{Effort, Feature, Losses, Request};

/// No smaller budget for thinking is taken.
const LEAST_BUDGET: u64 = 1024;

/// Whether and how to think, as Claude is told.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutThinking {
    Adaptive,
    Enabled { budget_tokens: u64 },
}

/// Sampling parameters, as far as the model takes them.
#[derive(Default)]
pub(super) struct Sampling {
    pub(super) temperature: Option<Number>,
    pub(super) top_p: Option<Number>,
    pub(super) top_k: Option<u64>,
}

impl Sampling {
    pub(super) fn of(request: &Request<'_>, target: &Target, thinks: bool, losses: &mut Losses) -> Self {
        if target.no_sampling {
            for feature in [Feature::Temperature, Feature::TopP, Feature::TopK] {
                if feature.is_in(request) {
                    losses.lose(feature, "the model takes no sampling parameters");
                }
            }
            return Self::default();
        }
        if thinks && (request.temperature.is_some_and(|t| t != 1.0) || request.top_k.is_some()) {
            losses.approximate(Feature::Temperature, "a model that thinks takes no temperature and no top_k");
            return Self { top_p: request.top_p.filter(|p| *p >= 0.95).map(Number), ..Self::default() };
        }
        if request.temperature.is_some_and(|t| t > 1.0) {
            losses.approximate(Feature::Temperature, "is at most 1 here and was lowered to it");
        }
        Self {
            temperature: request.temperature.map(|t| Number(t.min(1.0))),
            top_p: request.top_p.map(Number),
            top_k: request.top_k,
        }
    }
}

/// How the model is to think, and with which effort. `max_tokens` is the longest answer, where it is known; `forced`
/// says that a tool must be called.
pub(super) fn thinking(
    request: &Request<'_>,
    target: &Target,
    max_tokens: Option<u64>,
    forced: bool,
    losses: &mut Losses,
) -> (Option<OutThinking>, Option<&'static str>) {
    let wanted = request.reasoning;
    if wanted.effort == Some(Effort::None) || (wanted.effort.is_none() && wanted.budget_tokens.is_none()) {
        return (None, None);
    }
    let feature = if wanted.effort.is_some() { Feature::ReasoningEffort } else { Feature::ReasoningBudget };
    if forced {
        losses.approximate(feature, "a model that is made to call a tool does not think first");
        return (None, None);
    }
    if target.adaptive_thinking {
        let effort = wanted.effort.unwrap_or_else(|| Effort::of_budget(wanted.budget_tokens.unwrap_or(0)));
        if wanted.effort.is_none() {
            losses.approximate(feature, "the model has words for it, not tokens");
        }
        let effort = if effort == Effort::Minimal { Effort::Low } else { effort };
        return (Some(OutThinking::Adaptive), Some(effort.name()));
    }
    if wanted.budget_tokens.is_none() {
        losses.approximate(feature, "the model counts tokens for it and has no words");
    }
    let budget = wanted.budget_tokens.or(wanted.effort.map(Effort::budget)).unwrap_or(LEAST_BUDGET);
    // The budget is a part of `max_tokens`; a quarter of that is left for the answer.
    let room = max_tokens.map_or(u64::MAX, |max_tokens| max_tokens - max_tokens / 4);
    let budget = budget.max(LEAST_BUDGET).min(room);
    if budget < LEAST_BUDGET {
        losses.approximate(feature, "the answer is too short for the model to think first");
        return (None, None);
    }
    (Some(OutThinking::Enabled { budget_tokens: budget }), None)
}

//! `generationConfig` of a request, from the neutral form.

use serde::Serialize;
use serde_json::value::RawValue;

use super::models::Generation;
use crate::chat::{Effort, Feature, Losses, OutputFormat, Request};
use crate::formats::Target;
use crate::formats::numbers::Number;

/// More are refused.
const MOST_STOPS: usize = 5;

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<OutThinking>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct OutThinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

/// What `request` says of the answer. Where a forced call stands in for the schema, that is said elsewhere.
pub(super) fn config<'r>(
    request: &'r Request<'_>,
    target: &Target,
    generation: Generation,
    schema_tool: bool,
    losses: &mut Losses,
) -> OutConfig<'r> {
    if request.stop.len() > MOST_STOPS {
        losses.lose(Feature::Stop, "the upstream takes at most five");
    }
    let (media_type, schema) = output(request, generation).filter(|_| !schema_tool).unzip();
    let sampling = !target.no_sampling;
    note_sampling(request, target, losses);
    OutConfig {
        temperature: request.temperature.filter(|_| sampling).map(Number),
        top_p: request.top_p.filter(|_| sampling).map(Number),
        top_k: request.top_k.filter(|_| sampling),
        seed: request.seed,
        presence_penalty: request.presence_penalty.map(Number),
        frequency_penalty: request.frequency_penalty.map(Number),
        candidate_count: candidates(request, generation, losses),
        max_output_tokens: request.max_output_tokens,
        stop_sequences: &request.stop[..request.stop.len().min(MOST_STOPS)],
        response_logprobs: request.logprobs.map(|_| true),
        logprobs: request.logprobs.filter(|top| *top > 0),
        response_mime_type: media_type,
        response_json_schema: schema.flatten(),
        thinking_config: thinking(request, generation, losses),
    }
}

fn note_sampling(request: &Request<'_>, target: &Target, losses: &mut Losses) {
    let given = [
        (Feature::Temperature, request.temperature.is_some()),
        (Feature::TopP, request.top_p.is_some()),
        (Feature::TopK, request.top_k.is_some()),
    ];
    for (feature, _) in given.into_iter().filter(|(_, given)| *given && target.no_sampling) {
        losses.lose(feature, "the model takes no sampling parameters");
    }
}

fn candidates(request: &Request<'_>, generation: Generation, losses: &mut Losses) -> Option<u64> {
    let count = request.candidates.filter(|count| *count > 1)?;
    if !generation.gives_candidates() {
        losses.lose(Feature::Candidates, "the model gives one answer");
        return None;
    }
    if request.stream {
        losses.lose(Feature::Candidates, "only one answer is translated while it streams");
        return None;
    }
    Some(count)
}

fn output<'r>(
    request: &'r Request<'_>,
    generation: Generation,
) -> Option<(&'static str, Option<&'r RawValue>)> {
    match &request.output {
        Some(OutputFormat::JsonSchema { schema, .. }) => Some(("application/json", Some(schema))),
        Some(OutputFormat::JsonObject) if request.tools.is_empty() || generation.schema_beside_tools() => {
            Some(("application/json", None))
        }
        _ => None,
    }
}

/// Newer models are told how much to think in words, older ones in tokens.
fn thinking(request: &Request<'_>, generation: Generation, losses: &mut Losses) -> Option<OutThinking> {
    let asked = request.reasoning;
    let mut out =
        OutThinking { include_thoughts: asked.shown.filter(|shown| *shown), ..OutThinking::default() };
    if !generation.thinks() {
        if asked.effort.is_some_and(|effort| effort != Effort::None) || asked.budget_tokens.is_some() {
            losses.leave_out(Feature::ReasoningEffort, "the model does not think before it answers");
        }
        return None;
    }
    match (asked.budget_tokens, asked.effort) {
        (None, None) => {}
        (budget, effort) if generation.counts_thinking() => {
            let (feature, tokens) = match budget {
                Some(tokens) => (Feature::ReasoningBudget, tokens),
                None => (Feature::ReasoningEffort, effort.map_or(0, Effort::budget)),
            };
            out.thinking_budget = Some(within(tokens, generation, feature, losses));
        }
        (_, Some(effort)) => out.thinking_level = Some(level(effort, generation, losses)),
        (Some(tokens), None) => {
            losses.approximate(Feature::ReasoningBudget, "the model has words for it, not tokens");
            out.thinking_level = Some(level(Effort::of_budget(tokens), generation, losses));
        }
    }
    (out != OutThinking::default()).then_some(out)
}

fn within(tokens: u64, generation: Generation, asked: Feature, losses: &mut Losses) -> u64 {
    let (fewest, most) = generation.thinking_tokens();
    if !(fewest..=most).contains(&tokens) {
        losses.approximate(asked, "is outside of what the model takes, and was brought inside");
    }
    tokens.clamp(fewest, most)
}

fn level(effort: Effort, generation: Generation, losses: &mut Losses) -> &'static str {
    if effort == Effort::None {
        losses.approximate(Feature::ReasoningEffort, "the model always thinks: as little as it can");
    }
    match effort {
        Effort::None | Effort::Minimal => generation.least_thinking(),
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh | Effort::Max => {
            losses.approximate(Feature::ReasoningEffort, "`high` is the most that the upstream knows");
            "high"
        }
    }
}

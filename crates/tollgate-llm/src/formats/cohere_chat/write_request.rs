//! A request, from the neutral form.

use serde::Serialize;
use serde_json::value::RawValue;

use super::write_message::{OutMessage, messages};
use super::write_tools::{OutTool, OutTools, tools};
use crate::chat::{Effort, Feature, Kept, Losses, OutputFormat, Request, Unsaid, note_unsaid};
use crate::formats::Target;
use crate::formats::numbers::Number;
use crate::json::BodyError;

/// More are refused.
const MOST_STOPS: usize = 5;

/// A larger one is refused.
const LARGEST_K: u64 = 500;

/// Between these `p` must be; 1, which many clients send, is no such number.
const P: (f64, f64) = (0.01, 0.99);

/// What this format has no word for.
const UNSAID: &[Unsaid] = &[
    (Feature::Candidates, Kept::Not, "the upstream gives one answer"),
    (Feature::Documents, Kept::Not, "the upstream takes documents only as text"),
    (Feature::Audio, Kept::Not, "the upstream takes no sound"),
    (Feature::Verbosity, Kept::LeftOut, "has no counterpart and does not change what is said"),
    (Feature::ServiceTier, Kept::LeftOut, "the tiers of one provider are not those of another"),
    (Feature::PromptCacheKey, Kept::LeftOut, "has no counterpart and does not change the answer"),
    (Feature::Metadata, Kept::LeftOut, "has no counterpart and does not change the answer"),
    (Feature::User, Kept::LeftOut, "has no counterpart and does not change the answer"),
    (Feature::CacheMarks, Kept::LeftOut, "the upstream caches without marks"),
    (Feature::DeveloperRole, Kept::Nearly, "a developer's instructions are the system's"),
    (Feature::ToolErrors, Kept::Nearly, "a tool result has no such mark; its text stays"),
    (Feature::ToolMedia, Kept::Nearly, "a tool result holds only text; the rest follows it as the user's"),
];

#[derive(Serialize)]
struct Out<'r> {
    model: &'r str,
    messages: Vec<OutMessage<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OutTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict_tools: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<OutFormat<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Number>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<OutThinking>,
    // The reference demands it.
    stream: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutFormat<'r> {
    JsonObject {
        #[serde(skip_serializing_if = "Option::is_none")]
        json_schema: Option<&'r RawValue>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutThinking {
    Disabled,
    Enabled { token_budget: u64 },
}

pub(super) fn write(
    request: &Request<'_>,
    target: &Target,
    losses: &mut Losses,
) -> Result<(Vec<u8>, bool), BodyError> {
    note_unsaid(request, UNSAID, losses);
    note_limits(request, losses);
    let OutTools { tools, choice, strict, schema_tool } = tools(request, losses)?;
    let out = Out {
        model: &target.model,
        messages: messages(request, losses),
        response_format: output_format(request, losses),
        tools,
        tool_choice: choice,
        strict_tools: strict,
        max_tokens: request.max_output_tokens,
        stop_sequences: &request.stop[..request.stop.len().min(MOST_STOPS)],
        temperature: request.temperature.map(Number),
        p: request.top_p.map(|p| Number(p.clamp(P.0, P.1))),
        k: request.top_k.map(|k| k.min(LARGEST_K)),
        seed: request.seed.map(i64::unsigned_abs),
        frequency_penalty: penalty(request.frequency_penalty),
        presence_penalty: penalty(request.presence_penalty),
        logprobs: request.logprobs.is_some(),
        thinking: thinking(request, losses),
        stream: request.stream,
    };
    Ok((crate::json::written(&out), schema_tool))
}

/// Notes what is said, but not as far as the client asked for.
fn note_limits(request: &Request<'_>, losses: &mut Losses) {
    if request.stop.len() > MOST_STOPS {
        losses.lose(Feature::Stop, "the upstream takes at most five");
    }
    if request.top_p.is_some_and(|p| !(P.0..=P.1).contains(&p)) {
        losses.approximate(Feature::TopP, "lies between 0.01 and 0.99 here");
    }
    if request.top_k.is_some_and(|k| k > LARGEST_K) {
        losses.approximate(Feature::TopK, "is at most 500 here and was lowered to it");
    }
    if request.seed.is_some_and(|seed| seed < 0) {
        losses.approximate(Feature::Seed, "is not negative here; its magnitude is sent");
    }
    if request.logprobs.is_some_and(|likely| likely > 0) {
        losses.lose(Feature::Logprobs, "the upstream tells no other tokens that were likely");
    }
    if request.parallel_tools == Some(false) && !request.tools.is_empty() {
        losses.lose(Feature::ParallelTools, "the upstream may always call several at once");
    }
    let penalties = [
        (Feature::FrequencyPenalty, request.frequency_penalty),
        (Feature::PresencePenalty, request.presence_penalty),
    ];
    for (feature, penalty) in penalties {
        match penalty {
            Some(penalty) if penalty < 0.0 => losses.lose(feature, "is not negative here"),
            Some(penalty) if penalty > 1.0 => {
                losses.approximate(feature, "is at most 1 here and was lowered to it");
            }
            _ => {}
        }
    }
}

fn penalty(penalty: Option<f64>) -> Option<Number> {
    penalty.filter(|penalty| *penalty >= 0.0).map(|penalty| Number(penalty.min(1.0)))
}

/// What the answer must look like, which the upstream takes only where it has no tools.
fn output_format<'r>(request: &'r Request<'_>, losses: &mut Losses) -> Option<OutFormat<'r>> {
    match request.output.as_ref()? {
        OutputFormat::JsonObject if !request.tools.is_empty() => {
            losses.lose(Feature::JsonObject, "the upstream takes it only without tools: give a schema");
            None
        }
        OutputFormat::JsonObject => Some(OutFormat::JsonObject { json_schema: None }),
        // A tool stands in for it.
        OutputFormat::JsonSchema { .. } if !request.tools.is_empty() => None,
        OutputFormat::JsonSchema { schema, .. } => Some(OutFormat::JsonObject { json_schema: Some(schema) }),
    }
}

/// Models that think do so unless told not to; the budget bounds it.
fn thinking(request: &Request<'_>, losses: &mut Losses) -> Option<OutThinking> {
    let wanted = request.reasoning;
    let budget = match (wanted.budget_tokens, wanted.effort) {
        (Some(tokens), _) => tokens,
        (None, Some(effort)) => {
            if effort != Effort::None {
                losses
                    .approximate(Feature::ReasoningEffort, "the model counts tokens for it and has no words");
            }
            effort.budget()
        }
        (None, None) => return None,
    };
    let off = budget == 0 || wanted.effort == Some(Effort::None);
    Some(if off { OutThinking::Disabled } else { OutThinking::Enabled { token_budget: budget } })
}

//! A request, from the neutral form.

use serde::Serialize;
use serde_json::value::RawValue;

use super::write_input::{OutItem, push_turn};
use crate::chat::{
    Effort, Feature, Kept, Losses, OutputFormat, Request, Text, Tool, ToolChoice, Unsaid, note_unsaid,
};
use crate::formats::Target;
use crate::formats::numbers::Number;

/// Longer ones are refused.
const LONGEST_USER: usize = 64;

/// Fewer tokens are refused.
const SHORTEST_ANSWER: u64 = 16;

/// What this format has no word for.
const UNSAID: &[Unsaid] = &[
    (Feature::TopK, Kept::Not, "the upstream has no such parameter"),
    (Feature::Seed, Kept::Not, "the upstream has no such parameter"),
    (Feature::FrequencyPenalty, Kept::Not, "the upstream has no such parameter"),
    (Feature::PresencePenalty, Kept::Not, "the upstream has no such parameter"),
    (Feature::Candidates, Kept::Not, "the upstream gives one answer"),
    (Feature::Stop, Kept::Not, "the upstream has no such parameter"),
    (Feature::Audio, Kept::Not, "the upstream takes no sound"),
    (Feature::CacheMarks, Kept::LeftOut, "the upstream caches without marks"),
    (Feature::ToolErrors, Kept::Nearly, "a tool result has no such mark; its text stays"),
];

#[derive(Serialize)]
struct Out<'r> {
    model: &'r str,
    input: Vec<OutItem<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<OutReasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<OutText<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OutTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<OutChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    /// The conversation comes whole with every request: nothing is to be kept.
    store: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct OutReasoning {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
}

#[derive(Serialize)]
struct OutText<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutFormat<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'r str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutFormat<'r> {
    JsonObject,
    JsonSchema {
        name: &'r str,
        schema: &'r RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct OutTool<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r Text<'r>>,
    parameters: Option<&'r RawValue>,
    /// Always written: what holds without it is the opposite of what holds elsewhere.
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutChoice<'r> {
    Word(&'static str),
    Named {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'r str,
    },
}

pub(super) fn write(request: &Request<'_>, target: &Target, losses: &mut Losses) -> Vec<u8> {
    note_unsaid(request, UNSAID, losses);
    let mut input = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        push_turn(&mut input, message, losses);
    }
    let reasoning = reasoning(request, losses);
    let any_tools = !request.tools.is_empty();
    let out = Out {
        model: &target.model,
        input,
        max_output_tokens: max_output_tokens(request, losses),
        temperature: request.temperature.map(Number),
        top_p: request.top_p.map(Number),
        top_logprobs: request.logprobs.filter(|top| *top > 0),
        safety_identifier: user(request, losses),
        service_tier: request.service_tier.as_deref(),
        prompt_cache_key: request.prompt_cache_key.as_deref(),
        metadata: request.metadata.as_deref(),
        include: include(request, reasoning.as_ref()),
        reasoning,
        text: text(request),
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: request.tool_choice.as_ref().filter(|_| any_tools).map(choice),
        parallel_tool_calls: request.parallel_tools.filter(|_| any_tools),
        store: false,
        stream: request.stream,
    };
    crate::json::written(&out)
}

fn max_output_tokens(request: &Request<'_>, losses: &mut Losses) -> Option<u64> {
    let max = request.max_output_tokens?;
    if max < SHORTEST_ANSWER {
        losses.approximate("max_tokens", "is at least 16 here and was raised to it");
    }
    Some(max.max(SHORTEST_ANSWER))
}

fn user<'r>(request: &'r Request<'_>, losses: &mut Losses) -> Option<&'r str> {
    let user = request.user.as_deref()?;
    if user.len() > LONGEST_USER {
        losses.leave_out(Feature::User, "is longer than it may be");
        return None;
    }
    Some(user)
}

/// The word, or the word for about so many tokens.
fn reasoning(request: &Request<'_>, losses: &mut Losses) -> Option<OutReasoning> {
    let asked = request.reasoning;
    if asked.effort.is_none() && asked.budget_tokens.is_some() {
        losses.approximate(Feature::ReasoningBudget, "the upstream has words for it, not tokens");
    }
    let effort = asked.effort.or(asked.budget_tokens.map(Effort::of_budget)).map(Effort::name);
    let summary = (asked.shown == Some(true)).then_some("auto");
    (effort.is_some() || summary.is_some()).then_some(OutReasoning { effort, summary })
}

/// Models that do not think refuse to be asked for their thoughts.
fn include(request: &Request<'_>, reasoning: Option<&OutReasoning>) -> Vec<&'static str> {
    let thinks = reasoning.is_some_and(|r| r.effort != Some(Effort::None.name()));
    let wanted = [
        (thinks, "reasoning.encrypted_content"),
        (request.logprobs.is_some(), "message.output_text.logprobs"),
    ];
    wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name).collect()
}

fn text<'r>(request: &'r Request<'_>) -> Option<OutText<'r>> {
    let format = request.output.as_ref().map(|output| match output {
        OutputFormat::JsonObject => OutFormat::JsonObject,
        OutputFormat::JsonSchema { name, schema, strict } => {
            OutFormat::JsonSchema { name, schema, strict: *strict }
        }
    });
    let verbosity = request.verbosity.as_deref();
    (format.is_some() || verbosity.is_some()).then_some(OutText { format, verbosity })
}

fn tool<'r>(tool: &'r Tool<'_>) -> OutTool<'r> {
    OutTool {
        name: &tool.name,
        description: tool.description.as_ref(),
        parameters: tool.schema.as_deref(),
        strict: tool.strict.unwrap_or(false),
    }
}

fn choice(choice: &ToolChoice) -> OutChoice<'_> {
    match choice {
        ToolChoice::Auto => OutChoice::Word("auto"),
        ToolChoice::None => OutChoice::Word("none"),
        ToolChoice::Required => OutChoice::Word("required"),
        ToolChoice::Named(name) => OutChoice::Named { kind: "function", name },
    }
}

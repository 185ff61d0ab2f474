//! A request, from the neutral form.

use serde::Serialize;
use serde_json::value::RawValue;

use super::write_message::{OutMessage, messages};
use crate::chat::{
    Effort, Feature, Kept, Losses, OutputFormat, Request, Text, ToolChoice, Unsaid, note_unsaid,
};
use crate::formats::Target;
use crate::formats::numbers::Number;

/// Longer ones are refused.
const LONGEST_USER: usize = 64;

/// More are refused.
const MOST_STOPS: usize = 4;

/// What this format has no word for.
pub(super) const UNSAID: &[Unsaid] = &[
    (Feature::TopK, Kept::Not, "the upstream has no such parameter"),
    (Feature::CacheMarks, Kept::LeftOut, "the upstream caches without marks"),
    (Feature::ShownThinking, Kept::LeftOut, "the upstream shows what it shows of its thinking"),
    (Feature::SealedThinking, Kept::LeftOut, "thinking is sealed for the model that thought it"),
    (Feature::ToolErrors, Kept::Nearly, "a tool result has no such mark; its text stays"),
    (Feature::ToolMedia, Kept::Nearly, "a tool result holds only text; the rest follows it as the user's"),
];

#[derive(Serialize)]
struct Out<'r> {
    model: &'r str,
    messages: Vec<OutMessage<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OutTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<OutChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<OutOutput<'r>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutTool<'r> {
    Function { function: OutFunction<'r> },
}

#[derive(Serialize)]
struct OutFunction<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r Text<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutChoice<'r> {
    Word(&'static str),
    Named {
        #[serde(rename = "type")]
        kind: &'static str,
        function: OutNamed<'r>,
    },
}

#[derive(Serialize)]
struct OutNamed<'r> {
    name: &'r str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutOutput<'r> {
    JsonObject,
    JsonSchema { json_schema: OutSchema<'r> },
}

#[derive(Serialize)]
struct OutSchema<'r> {
    name: &'r str,
    schema: &'r RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

pub(super) fn write(request: &Request<'_>, target: &Target, losses: &mut Losses) -> Vec<u8> {
    note_unsaid(request, UNSAID, losses);
    let messages = messages(request, losses);
    let max = request.max_output_tokens;
    let tools: Vec<OutTool<'_>> = request.tools.iter().map(tool).collect();
    let any_tools = !tools.is_empty();
    if request.stop.len() > MOST_STOPS {
        losses.lose(Feature::Stop, "the upstream takes at most four");
    }
    let several = request.stream && Feature::Candidates.is_in(request);
    if several {
        losses.lose(Feature::Candidates, "several answers at once are not translated while they stream");
    }
    let candidates = request.candidates.filter(|_| !several);
    let out = Out {
        model: &target.model,
        messages,
        max_tokens: max.filter(|_| target.legacy_max_tokens),
        max_completion_tokens: max.filter(|_| !target.legacy_max_tokens),
        temperature: request.temperature.map(Number),
        top_p: request.top_p.map(Number),
        seed: request.seed,
        frequency_penalty: request.frequency_penalty.map(Number),
        presence_penalty: request.presence_penalty.map(Number),
        n: candidates,
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request.logprobs.filter(|top| *top > 0),
        stop: &request.stop[..request.stop.len().min(MOST_STOPS)],
        user: user(request, losses),
        reasoning_effort: effort(request, losses),
        verbosity: request.verbosity.as_deref(),
        service_tier: request.service_tier.as_deref(),
        prompt_cache_key: request.prompt_cache_key.as_deref(),
        metadata: request.metadata.as_deref(),
        tools,
        tool_choice: request.tool_choice.as_ref().filter(|_| any_tools).map(choice),
        parallel_tool_calls: request.parallel_tools.filter(|_| any_tools),
        response_format: request.output.as_ref().map(output_format),
        stream: request.stream,
        stream_options: (request.stream && target.stream_usage)
            .then_some(StreamOptions { include_usage: true }),
    };
    crate::json::written(&out)
}

fn user<'r>(request: &'r Request<'_>, losses: &mut Losses) -> Option<&'r str> {
    let user = request.user.as_deref()?;
    if user.len() > LONGEST_USER {
        losses.leave_out(Feature::User, "is longer than `user` may be");
        return None;
    }
    Some(user)
}

/// The word, or the word for about so many tokens.
fn effort(request: &Request<'_>, losses: &mut Losses) -> Option<&'static str> {
    match (request.reasoning.effort, request.reasoning.budget_tokens) {
        (Some(effort), _) => Some(effort.name()),
        (None, Some(tokens)) => {
            losses.approximate(Feature::ReasoningBudget, "the upstream has words for it, not tokens");
            Some(Effort::of_budget(tokens).name())
        }
        (None, None) => None,
    }
}

fn tool<'r>(tool: &'r crate::chat::Tool<'_>) -> OutTool<'r> {
    OutTool::Function {
        function: OutFunction {
            name: &tool.name,
            description: tool.description.as_ref(),
            parameters: tool.schema.as_deref(),
            strict: tool.strict,
        },
    }
}

fn choice(choice: &ToolChoice) -> OutChoice<'_> {
    match choice {
        ToolChoice::Auto => OutChoice::Word("auto"),
        ToolChoice::None => OutChoice::Word("none"),
        ToolChoice::Required => OutChoice::Word("required"),
        ToolChoice::Named(name) => OutChoice::Named { kind: "function", function: OutNamed { name } },
    }
}

fn output_format<'r>(output: &'r OutputFormat<'_>) -> OutOutput<'r> {
    match output {
        OutputFormat::JsonObject => OutOutput::JsonObject,
        OutputFormat::JsonSchema { name, schema, strict } => {
            OutOutput::JsonSchema { json_schema: OutSchema { name, schema, strict: *strict } }
        }
    }
}

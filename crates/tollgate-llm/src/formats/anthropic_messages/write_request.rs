//! A request, from the neutral form.

use serde::Serialize;
use serde_json::value::RawValue;

use super::write_message::{OutCache, OutTurn, conversation};
use crate::chat::{
    Feature, Kept, Losses, OutputFormat, Request, Text, Tool, ToolChoice, Unsaid, note_unsaid,
};
use crate::formats::claude::{OutThinking, Sampling, thinking};
use crate::formats::numbers::Number;
use crate::formats::{SCHEMA_TOOL, Target};
use crate::json::BodyError;

/// The format demands `max_tokens`; this holds where neither client, configuration nor catalog says one.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// What this format has no word for.
const UNSAID: &[Unsaid] = &[
    (Feature::Seed, Kept::Not, "the upstream takes no seed"),
    (Feature::FrequencyPenalty, Kept::Not, "has no counterpart"),
    (Feature::PresencePenalty, Kept::Not, "has no counterpart"),
    (Feature::Candidates, Kept::Not, "the upstream gives one answer"),
    (Feature::Logprobs, Kept::Not, "the upstream reports no probabilities"),
    (Feature::Audio, Kept::Not, "the upstream takes no sound"),
    (Feature::JsonObject, Kept::Not, "`json_object` has no counterpart: give a schema (`json_schema`)"),
    (Feature::Verbosity, Kept::LeftOut, "has no counterpart and does not change what is said"),
    (Feature::ServiceTier, Kept::LeftOut, "the tiers of one provider are not those of another"),
    (Feature::PromptCacheKey, Kept::LeftOut, "has no counterpart and does not change the answer"),
    (Feature::Metadata, Kept::LeftOut, "has no counterpart and does not change the answer"),
    (Feature::ImageDetail, Kept::LeftOut, "pictures are looked at as closely as they are large"),
    (Feature::DeveloperRole, Kept::Nearly, "a developer's instructions are the system's"),
];

#[derive(Serialize)]
struct Out<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    anthropic_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'r str>,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<super::write_message::OutContent<'r>>,
    messages: Vec<OutTurn<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<OutMetadata<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<OutThinking>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OutTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<OutChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutConfig<'r>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct OutMetadata<'r> {
    user_id: &'r str,
}

#[derive(Serialize)]
struct OutTool<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<ToolText<'r>>,
    input_schema: OutSchema<'r>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<OutCache<'r>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ToolText<'r> {
    Theirs(&'r Text<'r>),
    Ours(&'static str),
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutSchema<'r> {
    Theirs(&'r RawValue),
    /// Of a tool without arguments.
    Empty {
        r#type: &'static str,
        properties: NoProperties,
    },
}

#[derive(Serialize)]
struct NoProperties {}

#[derive(Serialize)]
struct OutChoice<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

#[derive(Default, Serialize)]
struct OutConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutFormat<'r>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutFormat<'r> {
    JsonSchema { schema: &'r RawValue },
}

pub(super) fn write(
    request: &Request<'_>,
    target: &Target,
    losses: &mut Losses,
) -> Result<(Vec<u8>, bool), BodyError> {
    note_unsaid(request, UNSAID, losses);
    let (system, messages) = conversation(&request.messages, losses)?;
    let mut tools: Vec<OutTool<'_>> = request.tools.iter().map(tool).collect();
    let mut tool_choice = choice(request);
    let schema = match &request.output {
        Some(OutputFormat::JsonSchema { schema, .. }) => Some(&**schema),
        _ => None,
    };
    // A model that answers to a schema by itself is asked to; any other is made to call a tool with that schema,
    // whose arguments are then the answer.
    let schema_tool = schema.filter(|_| !target.native_schema);
    if let Some(schema) = schema_tool {
        tool_choice = Some(schema_choice(request));
        tools.push(answer_tool(schema));
    }
    let forced = tool_choice.as_ref().is_some_and(|choice| matches!(choice.kind, "any" | "tool"));
    let max_tokens = request.max_output_tokens.or(target.max_output_tokens).unwrap_or(DEFAULT_MAX_TOKENS);
    let (thinking, effort) = thinking(request, target, Some(max_tokens), forced, losses);
    let format = schema.filter(|_| target.native_schema).map(|schema| OutFormat::JsonSchema { schema });
    let sampling = Sampling::of(request, target, thinking.is_some(), losses);
    let out = Out {
        anthropic_version: target.anthropic_version,
        model: (!target.model_in_address).then_some(&*target.model),
        max_tokens,
        system,
        messages,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: &request.stop,
        metadata: request.user.as_deref().map(|user_id| OutMetadata { user_id }),
        thinking,
        tools,
        tool_choice,
        output_config: (effort.is_some() || format.is_some()).then_some(OutConfig { effort, format }),
        stream: request.stream,
    };
    Ok((crate::json::written(&out), schema_tool.is_some()))
}

fn tool<'r>(tool: &'r Tool<'_>) -> OutTool<'r> {
    OutTool {
        name: &tool.name,
        description: tool.description.as_ref().map(ToolText::Theirs),
        input_schema: match tool.schema.as_deref() {
            Some(schema) => OutSchema::Theirs(schema),
            None => OutSchema::Empty { r#type: "object", properties: NoProperties {} },
        },
        strict: tool.strict == Some(true),
        cache_control: tool.cache.as_ref().map(OutCache::of),
    }
}

/// The tool that stands in for an answer to `schema`.
fn answer_tool(schema: &RawValue) -> OutTool<'_> {
    OutTool {
        name: SCHEMA_TOOL,
        description: Some(ToolText::Ours(
            "Gives the answer. Call it exactly once, with the whole answer as its arguments.",
        )),
        input_schema: OutSchema::Theirs(schema),
        strict: false,
        cache_control: None,
    }
}

fn choice<'r>(request: &'r Request<'_>) -> Option<OutChoice<'r>> {
    if request.tools.is_empty() {
        return None;
    }
    let (kind, name) = match &request.tool_choice {
        None if request.parallel_tools != Some(false) => return None,
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_str())),
    };
    let disable_parallel_tool_use = request.parallel_tools == Some(false) && kind != "none";
    Some(OutChoice { kind, name, disable_parallel_tool_use })
}

/// Beside other tools the model must stay free to call those; otherwise the stand-in is the only way to answer.
fn schema_choice<'r>(request: &'r Request<'_>) -> OutChoice<'r> {
    let (kind, name) = match &request.tool_choice {
        _ if request.tools.is_empty() => ("tool", Some(SCHEMA_TOOL)),
        Some(ToolChoice::None) => ("tool", Some(SCHEMA_TOOL)),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_str())),
        _ => ("any", None),
    };
    OutChoice { kind, name, disable_parallel_tool_use: request.parallel_tools == Some(false) }
}

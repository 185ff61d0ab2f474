//! The tools of a request, and which of them must be called.

use serde::Serialize;
use serde_json::value::RawValue;

use super::blocks::OutCachePoint;
use super::models::Maker;
use crate::chat::{Feature, Losses, Part, Request, Text, Tool, ToolChoice};
use crate::formats::{SCHEMA_TOOL, Target};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutToolConfig<'r> {
    tools: Vec<OutTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<OutChoice<'r>>,
}

impl OutToolConfig<'_> {
    /// Whether the model must call a tool.
    pub(super) fn forces(&self) -> bool {
        matches!(self.tool_choice, Some(OutChoice::Any {} | OutChoice::Tool { .. }))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum OutTool<'r> {
    ToolSpec(OutSpec<'r>),
    CachePoint(OutCachePoint),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutSpec<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<ToolText<'r>>,
    input_schema: OutSchema<'r>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ToolText<'r> {
    Theirs(&'r Text<'r>),
    Ours(&'static str),
}

#[derive(Serialize)]
struct OutSchema<'r> {
    json: Schema<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Schema<'r> {
    Theirs(&'r RawValue),
    /// Of a tool without arguments.
    Empty {
        r#type: &'static str,
        properties: NoProperties,
    },
}

impl<'r> OutSchema<'r> {
    fn of(schema: Option<&'r RawValue>) -> Self {
        let empty = Schema::Empty { r#type: "object", properties: NoProperties {} };
        Self { json: schema.map_or(empty, Schema::Theirs) }
    }
}

#[derive(Serialize)]
struct NoProperties {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum OutChoice<'r> {
    Auto {},
    Any {},
    Tool { name: &'r str },
}

/// The tools, and the stand-in for an answer to `schema`, if any.
pub(super) fn config<'r>(
    request: &'r Request<'_>,
    schema: Option<&'r RawValue>,
    target: &Target,
    losses: &mut Losses,
) -> Option<OutToolConfig<'r>> {
    let maker = Maker::of(&target.model);
    let mut tools = Vec::with_capacity(request.tools.len() + 1);
    let mut choice = None;
    if !request.tools.is_empty() {
        let told = is_told(request);
        match (&request.tool_choice, schema) {
            // There is no word for it: what is not offered is not called.
            (Some(ToolChoice::None), None) if !told => {
                losses.approximate("tool_choice", "tools that must not be called are not offered");
                return None;
            }
            (Some(ToolChoice::None), None) => {
                losses.approximate(
                    "tool_choice",
                    "the upstream wants the tools of earlier calls and may call them",
                );
            }
            _ => {}
        }
        for tool in &request.tools {
            tools.push(OutTool::ToolSpec(spec(tool, target)));
            let mark = tool.cache.as_ref().filter(|_| maker.caches_tools());
            tools.extend(mark.map(|mark| OutTool::CachePoint(OutCachePoint::of(mark))));
        }
        choice = chosen(request);
        if request.parallel_tools == Some(false) && request.tool_choice != Some(ToolChoice::None) {
            losses.lose(
                Feature::ParallelTools,
                "the upstream cannot be kept from calling several tools at once",
            );
        }
    }
    if let Some(schema) = schema {
        tools.push(OutTool::ToolSpec(answer_tool(schema)));
        choice = Some(schema_choice(request));
    }
    if tools.is_empty() {
        tools = tools_of_earlier_calls(request, losses);
    }
    (!tools.is_empty()).then_some(OutToolConfig { tools, tool_choice: choice })
}

/// Whether calls or results stand in the conversation.
fn is_told(request: &Request<'_>) -> bool {
    request.any_part(|part| matches!(part, Part::ToolCall { .. } | Part::ToolResult { .. }))
}

/// Where calls stand in the conversation, tools must be offered, too: those that were called, by their names.
fn tools_of_earlier_calls<'r>(request: &'r Request<'_>, losses: &mut Losses) -> Vec<OutTool<'r>> {
    let mut names: Vec<&str> = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        if let Part::ToolCall { name, .. } = part
            && !names.contains(&&**name)
        {
            names.push(name);
        }
    }
    if !names.is_empty() {
        losses.approximate("tools", "the upstream wants the tools of earlier calls and is told their names");
    }
    let spec = |name| OutSpec { name, description: None, input_schema: OutSchema::of(None), strict: false };
    names.into_iter().map(|name| OutTool::ToolSpec(spec(name))).collect()
}

fn spec<'r>(tool: &'r Tool<'_>, target: &Target) -> OutSpec<'r> {
    OutSpec {
        name: &tool.name,
        description: tool.description.as_ref().filter(|text| !text.is_blank()).map(ToolText::Theirs),
        input_schema: OutSchema::of(tool.schema.as_deref()),
        // Models that cannot be held to a schema refuse the word.
        strict: tool.strict == Some(true) && target.native_schema,
    }
}

/// The tool that stands in for an answer to `schema`.
fn answer_tool(schema: &RawValue) -> OutSpec<'_> {
    OutSpec {
        name: SCHEMA_TOOL,
        description: Some(ToolText::Ours(
            "Gives the answer. Call it exactly once, with the whole answer as its arguments.",
        )),
        input_schema: OutSchema::of(Some(schema)),
        strict: false,
    }
}

fn chosen<'r>(request: &'r Request<'_>) -> Option<OutChoice<'r>> {
    match request.tool_choice.as_ref()? {
        ToolChoice::Auto => Some(OutChoice::Auto {}),
        ToolChoice::None => None,
        ToolChoice::Required => Some(OutChoice::Any {}),
        ToolChoice::Named(name) => Some(OutChoice::Tool { name }),
    }
}

/// Beside other tools the model must stay free to call those; otherwise the stand-in is the only way to answer.
fn schema_choice<'r>(request: &'r Request<'_>) -> OutChoice<'r> {
    match &request.tool_choice {
        _ if request.tools.is_empty() => OutChoice::Tool { name: SCHEMA_TOOL },
        Some(ToolChoice::None) => OutChoice::Tool { name: SCHEMA_TOOL },
        Some(ToolChoice::Named(name)) => OutChoice::Tool { name },
        _ => OutChoice::Any {},
    }
}

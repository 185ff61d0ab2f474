//! The tools of a request and which of them must be called. Only "some tool" and "no tool" can be said here, so one
//! tool is forced by offering no other.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::{Losses, OutputFormat, Request, Text, Tool, ToolChoice};
use crate::formats::SCHEMA_TOOL;
use crate::json::BodyError;

/// Tools, and how they are to be used.
pub(super) struct OutTools<'r> {
    pub(super) tools: Vec<OutTool<'r>>,
    pub(super) choice: Option<&'static str>,
    pub(super) strict: bool,
    /// Whether [`SCHEMA_TOOL`] is among them.
    pub(super) schema_tool: bool,
}

#[derive(Serialize)]
pub(super) struct OutTool<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: OutFunction<'r>,
}

#[derive(Serialize)]
struct OutFunction<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<OutText<'r>>,
    parameters: OutSchema<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutText<'r> {
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

/// What the request offers. Beside tools Cohere takes no schema for the answer: there a tool with that schema stands
/// in, whose arguments are then the answer.
pub(super) fn tools<'r>(request: &'r Request<'_>, losses: &mut Losses) -> Result<OutTools<'r>, BodyError> {
    let schema = match &request.output {
        Some(OutputFormat::JsonSchema { schema, .. }) if !request.tools.is_empty() => Some(&**schema),
        _ => None,
    };
    let named = match &request.tool_choice {
        Some(ToolChoice::Named(name)) if !request.tools.is_empty() => Some(name),
        _ => None,
    };
    let offered = |tool: &&Tool<'_>| match (named, &request.tool_choice) {
        (Some(name), _) => tool.name == *name,
        // Only the stand-in is left to call.
        (None, Some(ToolChoice::None)) => schema.is_none(),
        _ => true,
    };
    let theirs: Vec<&Tool<'_>> = request.tools.iter().filter(offered).collect();
    if let Some(name) = named {
        if theirs.is_empty() {
            return Err(BodyError::shape("tool_choice", format!("there is no tool `{name}`")));
        }
        losses.approximate("tool_choice", "one tool is forced by offering no other");
    }
    let stand_in = schema.filter(|_| named.is_none());
    let choice = match &request.tool_choice {
        _ if request.tools.is_empty() => None,
        _ if stand_in.is_some() => Some("REQUIRED"),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => Some("REQUIRED"),
        Some(ToolChoice::None) => Some("NONE"),
        None | Some(ToolChoice::Auto) => None,
    };
    let strict = strict(&theirs, losses);
    let mut tools: Vec<OutTool<'_>> = theirs.into_iter().map(tool).collect();
    tools.extend(stand_in.map(answer_tool));
    Ok(OutTools { tools, choice, strict, schema_tool: stand_in.is_some() })
}

/// Strictness holds for all tools or for none.
fn strict(tools: &[&Tool<'_>], losses: &mut Losses) -> bool {
    let strict = tools.iter().filter(|tool| tool.strict == Some(true)).count();
    if strict > 0 && strict < tools.len() {
        losses.approximate(crate::chat::Feature::StrictTools, "holds for all tools or for none: for all");
    }
    strict > 0
}

fn tool<'r>(tool: &'r Tool<'_>) -> OutTool<'r> {
    let parameters = match tool.schema.as_deref() {
        Some(schema) => OutSchema::Theirs(schema),
        None => OutSchema::Empty { r#type: "object", properties: NoProperties {} },
    };
    let description = tool.description.as_ref().map(OutText::Theirs);
    OutTool { kind: "function", function: OutFunction { name: &tool.name, description, parameters } }
}

/// The tool that stands in for an answer to `schema`.
fn answer_tool(schema: &RawValue) -> OutTool<'_> {
    let description = "Gives the answer. Call it exactly once, with the whole answer as its arguments.";
    OutTool {
        kind: "function",
        function: OutFunction {
            name: SCHEMA_TOOL,
            description: Some(OutText::Ours(description)),
            parameters: OutSchema::Theirs(schema),
        },
    }
}

//! A request, from the neutral form. Model and streaming stand in the address.

use serde::Serialize;
use serde_json::value::RawValue;

use super::models::Generation;
use super::write_config::{OutConfig, config};
use super::write_content::{OutContent, split};
use crate::chat::{Feature, Kept, Losses, OutputFormat, Request, Text, ToolChoice, Unsaid, note_unsaid};
use crate::formats::{SCHEMA_TOOL, Target};
use crate::json::BodyError;

/// What this format has no word for.
pub(super) const UNSAID: &[Unsaid] = &[
    (Feature::User, Kept::LeftOut, "the upstream takes no user"),
    (Feature::Metadata, Kept::LeftOut, "the upstream keeps no labels"),
    (Feature::Verbosity, Kept::LeftOut, "the upstream has no such parameter"),
    (Feature::PromptCacheKey, Kept::LeftOut, "the upstream caches without keys"),
    (Feature::CacheMarks, Kept::LeftOut, "the upstream caches without marks"),
    (Feature::StrictTools, Kept::Nearly, "the upstream checks arguments less strictly"),
    (Feature::DeveloperRole, Kept::Nearly, "the upstream knows one kind of instructions"),
    (Feature::ImageDetail, Kept::LeftOut, "the upstream looks at all pictures alike"),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Out<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<OutContent<'r>>,
    contents: Vec<OutContent<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[OutTools<'r>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<OutToolConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'r str>,
    generation_config: OutConfig<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutTools<'r> {
    function_declarations: Vec<OutFunction<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutFunction<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Text<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'r RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutToolConfig<'r> {
    function_calling_config: OutCalling<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutCalling<'r> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'r str; 1]>,
}

pub(super) fn write(
    request: &Request<'_>,
    target: &Target,
    losses: &mut Losses,
) -> Result<(Vec<u8>, bool), BodyError> {
    note_unsaid(request, UNSAID, losses);
    let generation = Generation::of(&target.model);
    let (system_instruction, contents) = split(request, generation, losses)?;
    note_foreign_thoughts(request, losses);
    let schema_tool = schema_as_tool(request, generation, losses);
    let mut functions: Vec<OutFunction<'_>> = request.tools.iter().map(function).collect();
    functions.extend(schema_tool.map(schema_function));
    if request.parallel_tools == Some(false) && !request.tools.is_empty() {
        losses.lose(Feature::ParallelTools, "the upstream may always call several at once");
    }
    let out = Out {
        system_instruction,
        contents,
        tool_config: calling(request, schema_tool.is_some(), &functions),
        tools: (!functions.is_empty()).then_some([OutTools { function_declarations: functions }]),
        service_tier: tier(request, losses),
        generation_config: config(request, target, generation, schema_tool.is_some(), losses),
    };
    Ok((crate::json::written(&out), schema_tool.is_some()))
}

/// Thoughts that others sealed are left out.
fn note_foreign_thoughts(request: &Request<'_>, losses: &mut Losses) {
    use crate::chat::Part;
    let foreign = |part: &Part<'_>| match part {
        Part::Thinking { seal, .. } => seal.as_ref().is_none_or(|seal| seal.origin != super::NAME),
        Part::Redacted(seal) => seal.origin != super::NAME,
        _ => false,
    };
    if request.any_part(foreign) {
        losses.leave_out(Feature::SealedThinking, "thinking is sealed for the model that thought it");
    }
}

/// The schema that the answer must fit, where the model can answer to one only when it has no tools: a forced call
/// stands in.
fn schema_as_tool<'r>(
    request: &'r Request<'_>,
    generation: Generation,
    losses: &mut Losses,
) -> Option<&'r RawValue> {
    if request.tools.is_empty() || generation.schema_beside_tools() {
        return None;
    }
    match &request.output {
        Some(OutputFormat::JsonSchema { schema, .. }) => Some(schema),
        Some(OutputFormat::JsonObject) => {
            losses.lose(
                Feature::JsonObject,
                "the model takes it only without tools: give a schema (`json_schema`)",
            );
            None
        }
        None => None,
    }
}

fn schema_function(schema: &RawValue) -> OutFunction<'_> {
    OutFunction {
        name: SCHEMA_TOOL,
        description: Some(Text::new(
            "Gives the answer. Call it exactly once, with the whole answer as its arguments.",
        )),
        parameters_json_schema: Some(schema),
    }
}

fn function<'r>(tool: &'r crate::chat::Tool<'_>) -> OutFunction<'r> {
    OutFunction {
        name: &tool.name,
        description: tool.description.clone(),
        parameters_json_schema: tool.schema.as_deref(),
    }
}

fn calling<'r>(
    request: &'r Request<'_>,
    schema_tool: bool,
    functions: &[OutFunction<'_>],
) -> Option<OutToolConfig<'r>> {
    let (mode, allowed) = match request.tool_choice.as_ref().filter(|_| !functions.is_empty()) {
        Some(ToolChoice::Named(name)) => ("ANY", Some([name.as_str()])),
        Some(ToolChoice::None) if schema_tool => ("ANY", Some([SCHEMA_TOOL])),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        // Beside other tools the model must stay free to call those.
        _ if schema_tool => ("ANY", None),
        Some(ToolChoice::Auto) => ("AUTO", None),
        None => return None,
    };
    Some(OutToolConfig { function_calling_config: OutCalling { mode, allowed_function_names: allowed } })
}

fn tier<'r>(request: &'r Request<'_>, losses: &mut Losses) -> Option<&'r str> {
    match request.service_tier.as_deref()? {
        "auto" | "default" => None,
        tier @ ("flex" | "priority") => Some(tier),
        _ => {
            losses.leave_out(Feature::ServiceTier, "the upstream has no such tier");
            None
        }
    }
}

//! The tools of a request, and which of them must be called.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::custom_tools;
use crate::chat::{Losses, Text, Tool, ToolChoice};
use crate::json::BodyError;

#[derive(Deserialize)]
pub(super) struct WrittenTool<'a> {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
    format: Option<InputFormat>,
}

#[derive(Deserialize)]
struct InputFormat {
    syntax: Option<String>,
    definition: Option<String>,
}

/// Longer names are refused by several providers.
const LONGEST_NAME: usize = 64;

pub(super) fn push_tool<'a>(
    tools: &mut Vec<Tool<'a>>,
    written: WrittenTool<'a>,
    index: usize,
    losses: &mut Losses,
) -> Result<(), BodyError> {
    if !matches!(written.kind.as_str(), "function" | "custom") {
        losses.lose(
            format!("tools[{index}]"),
            "is a tool of OpenAI's own: leave it out, or offer a tool of type `function` for it",
        );
        return Ok(());
    }
    let name = written.name.ok_or_else(|| BodyError::shape(format!("tools[{index}].name"), "is required"))?;
    if written.kind == "function" {
        tools.push(Tool {
            name: Cow::Owned(name),
            description: written.description,
            schema: written.parameters.map(Cow::Borrowed),
            strict: written.strict,
            cache: None,
        });
        return Ok(());
    }
    let name = custom_tools::function_name(&name);
    if name.len() > LONGEST_NAME {
        losses.lose(format!("tools[{index}]"), "a tool of type `custom` needs a shorter name here");
        return Ok(());
    }
    losses
        .approximate(format!("tools[{index}]"), "a function with one text stands in for a tool of free text");
    let format = written.format.as_ref();
    let grammar = format.and_then(|f| Some((f.syntax.as_deref()?, f.definition.as_deref()?)));
    tools.push(Tool {
        name: Cow::Owned(name),
        description: Some(custom_tools::description(written.description.as_ref(), grammar)),
        schema: custom_tools::schema(),
        strict: None,
        cache: None,
    });
    Ok(())
}

#[derive(Deserialize)]
struct WrittenChoice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    mode: Option<String>,
    #[serde(default)]
    tools: Vec<AllowedTool>,
}

#[derive(Deserialize)]
struct AllowedTool {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
}

/// Which tools must be called. Where only some are allowed, the others are taken away.
pub(super) fn tool_choice(
    raw: &RawValue,
    tools: &mut Vec<Tool<'_>>,
    losses: &mut Losses,
) -> Result<Option<ToolChoice>, BodyError> {
    let choice: WrittenChoice = match raw.get() {
        "null" => return Ok(None),
        "\"auto\"" => return Ok(Some(ToolChoice::Auto)),
        "\"none\"" => return Ok(Some(ToolChoice::None)),
        "\"required\"" => return Ok(Some(ToolChoice::Required)),
        other => serde_json::from_str(other).map_err(|_| {
            BodyError::shape("tool_choice", "must be `auto`, `none`, `required` or a tool by name")
        })?,
    };
    match (choice.kind.as_str(), choice.name) {
        ("function" | "custom", Some(name)) => Ok(Some(ToolChoice::Named(called(&choice.kind, &name)))),
        ("function" | "custom", None) => Err(BodyError::shape("tool_choice.name", "is required")),
        ("allowed_tools", _) => {
            let allowed: Vec<String> = choice
                .tools
                .iter()
                .filter_map(|tool| Some(called(&tool.kind, tool.name.as_deref()?)))
                .collect();
            tools.retain(|tool| allowed.iter().any(|name| *name == tool.name));
            let required = choice.mode.as_deref() == Some("required");
            Ok(Some(if required { ToolChoice::Required } else { ToolChoice::Auto }))
        }
        _ => {
            losses.lose("tool_choice", "demands a tool of OpenAI's own");
            Ok(None)
        }
    }
}

/// What the tool is called in the neutral form.
fn called(kind: &str, name: &str) -> String {
    if kind == "custom" { custom_tools::function_name(name) } else { name.to_owned() }
}

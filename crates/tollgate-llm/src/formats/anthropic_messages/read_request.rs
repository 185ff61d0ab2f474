//! A request, into the neutral form.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::read_block::{Block, CacheControl, parts_of};
use crate::chat::{
    CacheMark, Effort, Losses, Message, OutputFormat, Reasoning, Request, Role, Text, Tool, ToolChoice,
};
use crate::formats::content::Content;
use crate::formats::{body, note_unknown};
use crate::json::{BodyError, read_all};

body! {
    /// The members that mean something here.
    Written<'a> {
        "model" => model: String,
        // Absent from a request to count tokens.
        "max_tokens" => max_tokens: u64,
        "messages" => messages: Vec<WrittenMessage<'a>>,
        "system" => system: Content<'a, Block<'a>>,
        "tools" => tools: Vec<WrittenTool<'a>>,
        "tool_choice" => tool_choice: WrittenChoice,
        "temperature" => temperature: f64,
        "top_p" => top_p: f64,
        "top_k" => top_k: u64,
        "stop_sequences" => stop_sequences: Vec<String>,
        "metadata" => metadata: Metadata,
        "output_config" => output_config: OutputConfig<'a>,
        "thinking" => thinking: Thinking,
        "stream" => stream: bool,
        "service_tier" => service_tier: String,
        "cache_control" => cache_control: CacheControl,
    }
}

#[derive(Deserialize)]
struct WrittenMessage<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Content<'a, Block<'a>>,
}

body! {
    /// A tool: the client's own, or one of the provider's.
    WrittenTool<'a> {
        "type" => kind: Cow<'a, str>,
        "name" => name: Cow<'a, str>,
        "description" => description: Text<'a>,
        "input_schema" => input_schema: &'a RawValue,
        "strict" => strict: bool,
        "cache_control" => cache_control: CacheControl,
    }
}

#[derive(Deserialize)]
struct WrittenChoice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
struct Metadata {
    user_id: Option<String>,
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    effort: Option<String>,
    #[serde(borrow)]
    format: Option<OutputSchema<'a>>,
}

#[derive(Deserialize)]
struct OutputSchema<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
    budget_tokens: Option<u64>,
    display: Option<String>,
}

/// Members without which the answer is the same.
const HARMLESS: &[&str] =
    &["inference_geo", "speed", "diagnostics", "user_profile_id", "workspace_id", "betas"];

/// Members of a tool without which the answer is the same.
const HARMLESS_OF_TOOLS: &[&str] = &["eager_input_streaming"];

pub(super) fn read<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
    let written: Written<'a> = read_all(body)?;
    note_unknown(&written.unknown, "", HARMLESS, losses);
    let parallel = written.tool_choice.as_ref().and_then(|choice| choice.disable_parallel_tool_use);
    let (effort, format) = written.output_config.map_or((None, None), |c| (c.effort, c.format));
    let mut request = Request {
        model: written.model.ok_or_else(|| BodyError::shape("model", "is required"))?,
        max_output_tokens: written.max_tokens,
        temperature: written.temperature,
        top_p: written.top_p,
        top_k: written.top_k,
        stop: written.stop_sequences.unwrap_or_default(),
        user: written.metadata.and_then(|m| m.user_id),
        service_tier: service_tier(written.service_tier),
        stream: written.stream.unwrap_or(false),
        stream_usage: true,
        parallel_tools: parallel.map(|disabled| !disabled),
        tool_choice: written.tool_choice.map(tool_choice).transpose()?,
        output: format.map(output).transpose()?,
        reasoning: reasoning(effort, written.thinking)?,
        ..Request::default()
    };
    if let Some(system) = written.system {
        let parts = parts_of(system, "system", losses)?;
        request.messages.push(Message { role: Role::System, parts });
    }
    let messages = written.messages.ok_or_else(|| BodyError::shape("messages", "is required"))?;
    for (index, message) in messages.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        let role = match &*message.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            other => return Err(BodyError::shape(format!("{at}.role"), format!("`{other}` is no role"))),
        };
        let parts = parts_of(message.content, &format!("{at}.content"), losses)?;
        request.messages.push(Message { role, parts });
    }
    if let (Some(mark), Some(last)) = (written.cache_control, request.messages.last_mut()) {
        last.parts.push(crate::chat::Part::CacheMark(CacheMark { ttl: mark.ttl }));
    }
    for (index, tool) in written.tools.unwrap_or_default().into_iter().enumerate() {
        request.tools.extend(read_tool(tool, index, losses));
    }
    Ok(request)
}

fn read_tool<'a>(tool: WrittenTool<'a>, index: usize, losses: &mut Losses) -> Option<Tool<'a>> {
    match (tool.kind.as_deref(), tool.name) {
        (None | Some("custom"), Some(name)) => {
            note_unknown(&tool.unknown, &format!("tools[{index}]."), HARMLESS_OF_TOOLS, losses);
            Some(Tool {
                name,
                description: tool.description,
                schema: tool.input_schema.map(Cow::Borrowed),
                strict: tool.strict,
                cache: tool.cache_control.map(|mark| CacheMark { ttl: mark.ttl }),
            })
        }
        _ => {
            losses.lose(format!("tools[{index}]"), "the provider's own tools have no counterpart");
            None
        }
    }
}

/// Another provider has other tiers; what is usual needs no word.
fn service_tier(tier: Option<String>) -> Option<String> {
    match tier?.as_str() {
        "standard_only" => Some("default".to_owned()),
        "auto" => Some("auto".to_owned()),
        other => Some(other.to_owned()),
    }
}

fn reasoning(effort: Option<String>, thinking: Option<Thinking>) -> Result<Reasoning, BodyError> {
    let effort = match effort {
        None => None,
        Some(name) => Some(
            Effort::named(&name)
                .ok_or_else(|| BodyError::shape("output_config.effort", format!("`{name}` is not known")))?,
        ),
    };
    let Some(thinking) = thinking else { return Ok(Reasoning { effort, ..Reasoning::default() }) };
    let shown = thinking.display.as_deref() != Some("omitted");
    match thinking.kind.as_str() {
        // Not to think is to make no effort at thinking; how long the answer is, is another matter.
        "disabled" => Ok(Reasoning { effort: Some(Effort::None), ..Reasoning::default() }),
        "adaptive" => {
            Ok(Reasoning { effort: effort.or(Some(Effort::High)), budget_tokens: None, shown: Some(shown) })
        }
        "enabled" => Ok(Reasoning { effort, budget_tokens: thinking.budget_tokens, shown: Some(shown) }),
        other => Err(BodyError::shape("thinking.type", format!("`{other}` is not known"))),
    }
}

fn tool_choice(choice: WrittenChoice) -> Result<ToolChoice, BodyError> {
    Ok(match (choice.kind.as_str(), choice.name) {
        ("auto", _) => ToolChoice::Auto,
        ("any", _) => ToolChoice::Required,
        ("none", _) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Named(name),
        ("tool", None) => return Err(BodyError::shape("tool_choice.name", "is required")),
        (other, _) => return Err(BodyError::shape("tool_choice.type", format!("`{other}` is not known"))),
    })
}

fn output(written: OutputSchema<'_>) -> Result<OutputFormat<'_>, BodyError> {
    match (written.kind.as_str(), written.schema) {
        ("json_schema", Some(schema)) => Ok(OutputFormat::JsonSchema {
            name: "answer".to_owned(),
            schema: Cow::Borrowed(schema),
            strict: Some(true),
        }),
        ("json_schema", None) => Err(BodyError::shape("output_config.format.schema", "is required")),
        (other, _) => Err(BodyError::shape("output_config.format.type", format!("`{other}` is not known"))),
    }
}

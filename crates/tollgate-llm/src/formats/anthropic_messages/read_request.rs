//! A request, into the neutral form.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{ImageSource, Losses, Message, OutputFormat, Part, Request, Role, Tool, ToolChoice};
use crate::formats::content::Content;
use crate::json::{BodyError, read_all};

#[derive(Deserialize)]
struct Written {
    model: String,
    /// Absent from a request to count tokens.
    max_tokens: Option<u64>,
    messages: Vec<WrittenMessage>,
    system: Option<Content<Block>>,
    #[serde(default)]
    tools: Option<Vec<WrittenTool>>,
    tool_choice: Option<WrittenChoice>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u64>,
    #[serde(default)]
    stop_sequences: Option<Vec<String>>,
    metadata: Option<Metadata>,
    output_config: Option<OutputConfig>,
    thinking: Option<Thinking>,
    stream: Option<bool>,
}

#[derive(Deserialize)]
struct WrittenMessage {
    role: String,
    content: Content<Block>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    source: Option<Source>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Box<RawValue>>,
    tool_use_id: Option<String>,
    content: Option<Box<RawValue>>,
    #[serde(default)]
    is_error: Option<bool>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct WrittenTool {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    description: Option<String>,
    input_schema: Option<Box<RawValue>>,
    strict: Option<bool>,
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
struct OutputConfig {
    effort: Option<String>,
    format: Option<OutputSchema>,
}

#[derive(Deserialize)]
struct OutputSchema {
    #[serde(rename = "type")]
    kind: String,
    schema: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
}

const HARMLESS: &[&str] = &[
    "cache_control",
    "service_tier",
    "inference_geo",
    "speed",
    "diagnostics",
    "user_profile_id",
    "workspace_id",
];
const OWN: &[&str] = &["container", "mcp_servers", "context_management"];

pub(super) fn read(body: &str, losses: &mut Losses) -> Result<Request, BodyError> {
    let written: Written = read_all(body)?;
    lose_own_members(body, &written, losses)?;
    let parallel = written.tool_choice.as_ref().and_then(|choice| choice.disable_parallel_tool_use);
    let mut request = Request {
        model: written.model,
        max_output_tokens: written.max_tokens,
        temperature: written.temperature,
        top_p: written.top_p,
        top_k: written.top_k,
        stop: written.stop_sequences.unwrap_or_default(),
        user: written.metadata.and_then(|m| m.user_id),
        stream: written.stream.unwrap_or(false),
        stream_usage: true,
        parallel_tools: parallel.map(|disabled| !disabled),
        tool_choice: written.tool_choice.map(tool_choice).transpose()?,
        output: written.output_config.and_then(|c| c.format).map(output).transpose()?,
        ..Request::default()
    };
    if let Some(system) = written.system {
        let parts = parts_of(system, "system", losses)?;
        request.messages.push(Message { role: Role::System, parts });
    }
    for (index, message) in written.messages.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        let role = match message.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            other => return Err(BodyError::shape(format!("{at}.role"), format!("`{other}` is no role"))),
        };
        let parts = parts_of(message.content, &format!("{at}.content"), losses)?;
        request.messages.push(Message { role, parts });
    }
    for (index, tool) in written.tools.unwrap_or_default().into_iter().enumerate() {
        match (tool.kind.as_deref(), tool.name) {
            (None | Some("custom"), Some(name)) => request.tools.push(Tool {
                name,
                description: tool.description,
                schema: tool.input_schema,
                strict: tool.strict,
            }),
            _ => losses.lose(format!("tools[{index}]"), "the provider's own tools have no counterpart"),
        }
    }
    Ok(request)
}

fn lose_own_members(body: &str, written: &Written, losses: &mut Losses) -> Result<(), BodyError> {
    let all: std::collections::BTreeMap<std::borrow::Cow<'_, str>, &RawValue> = serde_json::from_str(body)?;
    for (name, _) in all.iter().filter(|(_, value)| value.get() != "null") {
        if HARMLESS.contains(&&**name) {
            losses.leave_out(name.to_string(), "has no counterpart and does not change the answer");
        } else if OWN.contains(&&**name) {
            losses.lose(name.to_string(), "has no counterpart");
        }
    }
    if written.thinking.as_ref().is_some_and(|thinking| thinking.kind != "disabled") {
        losses.lose("thinking", "is not translated");
    }
    if written.output_config.as_ref().is_some_and(|config| config.effort.is_some()) {
        losses.lose("output_config.effort", "is not translated");
    }
    Ok(())
}

fn parts_of(content: Content<Block>, at: &str, losses: &mut Losses) -> Result<Vec<Part>, BodyError> {
    let blocks = match content {
        Content::Text(text) => return Ok(vec![Part::Text(text)]),
        Content::Parts(blocks) => blocks,
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (number, block) in blocks.into_iter().enumerate() {
        parts.extend(part_of(block, &format!("{at}[{number}]"), losses)?);
    }
    Ok(parts)
}

fn part_of(block: Block, at: &str, losses: &mut Losses) -> Result<Option<Part>, BodyError> {
    let required = |member: &str| BodyError::shape(format!("{at}.{member}"), "is required");
    Ok(Some(match block.kind.as_str() {
        "text" => Part::Text(block.text.ok_or_else(|| required("text"))?),
        "image" => match image(block.source.ok_or_else(|| required("source"))?, at, losses)? {
            Some(source) => Part::Image(source),
            None => return Ok(None),
        },
        "tool_use" => Part::ToolCall {
            id: block.id.ok_or_else(|| required("id"))?,
            name: block.name.ok_or_else(|| required("name"))?,
            arguments: block.input.map_or_else(|| "{}".to_owned(), |input| input.get().to_owned()),
        },
        "tool_result" => Part::ToolResult {
            id: block.tool_use_id.ok_or_else(|| required("tool_use_id"))?,
            parts: match block.content {
                None => Vec::new(),
                Some(raw) => {
                    let content: Content<Block> = serde_json::from_str(raw.get()).map_err(|_| {
                        BodyError::shape(format!("{at}.content"), "must be a text or a list of blocks")
                    })?;
                    parts_of(content, &format!("{at}.content"), losses)?
                }
            },
            is_error: block.is_error.unwrap_or(false),
        },
        // Sealed for the model that thought them: another model can do nothing with them.
        "thinking" | "redacted_thinking" => {
            losses.leave_out(at, "thinking is sealed for the model that thought it");
            return Ok(None);
        }
        _ => {
            losses.lose(at, "content of this type is not translated");
            return Ok(None);
        }
    }))
}

fn image(source: Source, at: &str, losses: &mut Losses) -> Result<Option<ImageSource>, BodyError> {
    Ok(match (source.kind.as_str(), source.url, source.media_type, source.data) {
        ("url", Some(url), _, _) => Some(ImageSource::Url(url)),
        ("base64", _, Some(media_type), Some(data)) => Some(ImageSource::Base64 { media_type, data }),
        ("url" | "base64", ..) => return Err(BodyError::shape(format!("{at}.source"), "is incomplete")),
        _ => {
            losses.lose(format!("{at}.source"), "a file of the provider's has no counterpart");
            None
        }
    })
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

fn output(written: OutputSchema) -> Result<OutputFormat, BodyError> {
    match (written.kind.as_str(), written.schema) {
        ("json_schema", Some(schema)) => {
            Ok(OutputFormat::JsonSchema { name: "answer".to_owned(), schema, strict: Some(true) })
        }
        ("json_schema", None) => Err(BodyError::shape("output_config.format.schema", "is required")),
        (other, _) => Err(BodyError::shape("output_config.format.type", format!("`{other}` is not known"))),
    }
}

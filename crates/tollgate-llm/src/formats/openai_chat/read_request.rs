//! A request, into the neutral form.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{ImageSource, Losses, Message, OutputFormat, Part, Request, Role, Tool, ToolChoice};
use crate::formats::content::Content;
use crate::json::{BodyError, read_all};

#[derive(Deserialize)]
struct Written {
    model: String,
    messages: Vec<WrittenMessage>,
    #[serde(default)]
    tools: Option<Vec<WrittenTool>>,
    tool_choice: Option<Box<RawValue>>,
    parallel_tool_calls: Option<bool>,
    response_format: Option<WrittenOutput>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    stop: Option<Content<String>>,
    user: Option<String>,
    safety_identifier: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<u64>,
    seed: Option<serde_json::Value>,
    frequency_penalty: Option<f64>,
    presence_penalty: Option<f64>,
    logprobs: Option<bool>,
    logit_bias: Option<serde_json::Map<String, serde_json::Value>>,
    reasoning_effort: Option<String>,
}

#[derive(Deserialize)]
struct WrittenMessage {
    role: String,
    #[serde(default)]
    content: Option<Content<WrittenPart>>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<WrittenCall>>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct WrittenPart {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<ImageUrl>,
}

#[derive(Deserialize)]
struct ImageUrl {
    url: String,
}

#[derive(Deserialize)]
struct WrittenCall {
    id: String,
    function: Option<CalledFunction>,
}

#[derive(Deserialize)]
struct CalledFunction {
    name: String,
    #[serde(default)]
    arguments: String,
}

#[derive(Deserialize)]
struct WrittenTool {
    #[serde(rename = "type")]
    kind: String,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Box<RawValue>>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct WrittenOutput {
    #[serde(rename = "type")]
    kind: String,
    json_schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct JsonSchema {
    name: String,
    schema: Option<Box<RawValue>>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Members without which the answer is the same.
const HARMLESS: &[&str] =
    &["metadata", "store", "service_tier", "prompt_cache_key", "prompt_cache_retention", "verbosity"];

/// Members that only this format can say.
const OWN: &[&str] = &[
    "audio",
    "modalities",
    "prediction",
    "web_search_options",
    "functions",
    "function_call",
    "top_logprobs",
    "moderation",
];

pub(super) fn read(body: &str, losses: &mut Losses) -> Result<Request, BodyError> {
    let written: Written = read_all(body)?;
    lose_own_members(body, &written, losses)?;
    let mut request = Request {
        model: written.model,
        parallel_tools: written.parallel_tool_calls,
        max_output_tokens: written.max_completion_tokens.or(written.max_tokens),
        temperature: written.temperature,
        top_p: written.top_p,
        user: written.safety_identifier.or(written.user),
        stream: written.stream.unwrap_or(false),
        stream_usage: written.stream_options.is_some_and(|o| o.include_usage),
        tool_choice: written.tool_choice.as_deref().map(tool_choice).transpose()?.flatten(),
        output: written.response_format.map(output).transpose()?.flatten(),
        ..Request::default()
    };
    request.stop = match written.stop {
        None => Vec::new(),
        Some(Content::Text(text)) => vec![text],
        Some(Content::Parts(texts)) => texts,
    };
    for (index, message) in written.messages.into_iter().enumerate() {
        push_message(&mut request.messages, message, index, losses)?;
    }
    for (index, tool) in written.tools.unwrap_or_default().into_iter().enumerate() {
        match tool.function {
            Some(function) if tool.kind == "function" => request.tools.push(Tool {
                name: function.name,
                description: function.description,
                schema: function.parameters,
                strict: function.strict,
            }),
            _ => losses.lose(format!("tools[{index}]"), "only tools of type `function` have a counterpart"),
        }
    }
    Ok(request)
}

fn lose_own_members(body: &str, written: &Written, losses: &mut Losses) -> Result<(), BodyError> {
    let all: std::collections::BTreeMap<std::borrow::Cow<'_, str>, &RawValue> = serde_json::from_str(body)?;
    for (name, value) in all.iter().filter(|(_, value)| value.get() != "null") {
        if HARMLESS.contains(&&**name) {
            losses.leave_out(name.to_string(), "has no counterpart and does not change the answer");
        } else if OWN.contains(&&**name)
            && !(name == "modalities" && value.get().replace(' ', "") == r#"["text"]"#)
        {
            losses.lose(name.to_string(), "has no counterpart");
        }
    }
    let nonzero = |value: Option<f64>| value.is_some_and(|v| v != 0.0);
    let own = [
        ("n", written.n.is_some_and(|n| n != 1), "the upstream gives one answer"),
        ("seed", written.seed.as_ref().is_some_and(|s| !s.is_null()), "the upstream takes no seed"),
        ("frequency_penalty", nonzero(written.frequency_penalty), "has no counterpart"),
        ("presence_penalty", nonzero(written.presence_penalty), "has no counterpart"),
        ("logprobs", written.logprobs == Some(true), "the upstream reports no probabilities"),
        ("logit_bias", written.logit_bias.as_ref().is_some_and(|b| !b.is_empty()), "has no counterpart"),
        (
            "reasoning_effort",
            written.reasoning_effort.as_ref().is_some_and(|e| e != "none"),
            "is not translated",
        ),
    ];
    for (member, present, why) in own {
        if present {
            losses.lose(member, why);
        }
    }
    Ok(())
}

fn push_message(
    messages: &mut Vec<Message>,
    written: WrittenMessage,
    index: usize,
    losses: &mut Losses,
) -> Result<(), BodyError> {
    let at = |member: &str| format!("messages[{index}].{member}");
    let mut parts = match written.content {
        None => Vec::new(),
        Some(Content::Text(text)) => vec![Part::Text(text)],
        Some(Content::Parts(parts)) => {
            let mut read = Vec::with_capacity(parts.len());
            for (number, part) in parts.into_iter().enumerate() {
                read.extend(part_of(part, || format!("messages[{index}].content[{number}]"), losses)?);
            }
            read
        }
    };
    let role = match written.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => {
            parts.extend(written.refusal.map(Part::Refusal));
            for (number, call) in written.tool_calls.unwrap_or_default().into_iter().enumerate() {
                let Some(function) = call.function else {
                    losses.lose(
                        at(&format!("tool_calls[{number}]")),
                        "only calls of type `function` have a counterpart",
                    );
                    continue;
                };
                parts.push(Part::ToolCall {
                    id: call.id,
                    name: function.name,
                    arguments: function.arguments,
                });
            }
            Role::Assistant
        }
        "tool" => {
            let id =
                written.tool_call_id.ok_or_else(|| BodyError::shape(at("tool_call_id"), "is required"))?;
            let result = Part::ToolResult { id, parts, is_error: false };
            // The results of parallel calls are one turn.
            if let Some(last) = messages.last_mut().filter(|last| {
                last.role == Role::User && matches!(last.parts.last(), Some(Part::ToolResult { .. }))
            }) {
                last.parts.push(result);
                return Ok(());
            }
            parts = vec![result];
            Role::User
        }
        other => return Err(BodyError::shape(at("role"), format!("`{other}` is no role"))),
    };
    messages.push(Message { role, parts });
    Ok(())
}

fn part_of(
    part: WrittenPart,
    at: impl Fn() -> String,
    losses: &mut Losses,
) -> Result<Option<Part>, BodyError> {
    let required = |member: &str| BodyError::shape(format!("{}.{member}", at()), "is required");
    Ok(match part.kind.as_str() {
        "text" => Some(Part::Text(part.text.ok_or_else(|| required("text"))?)),
        "refusal" => Some(Part::Refusal(part.refusal.ok_or_else(|| required("refusal"))?)),
        "image_url" => {
            Some(Part::Image(ImageSource::from_url(part.image_url.ok_or_else(|| required("image_url"))?.url)))
        }
        _ => {
            losses.lose(at(), "content of this type is not translated");
            None
        }
    })
}

fn tool_choice(raw: &RawValue) -> Result<Option<ToolChoice>, BodyError> {
    #[derive(Deserialize)]
    struct Named {
        function: NamedFunction,
    }
    #[derive(Deserialize)]
    struct NamedFunction {
        name: String,
    }
    Ok(match raw.get() {
        "null" => None,
        "\"auto\"" => Some(ToolChoice::Auto),
        "\"none\"" => Some(ToolChoice::None),
        "\"required\"" => Some(ToolChoice::Required),
        other => {
            let named: Named = serde_json::from_str(other).map_err(|_| {
                BodyError::shape("tool_choice", "must be `auto`, `none`, `required` or a function by name")
            })?;
            Some(ToolChoice::Named(named.function.name))
        }
    })
}

fn output(written: WrittenOutput) -> Result<Option<OutputFormat>, BodyError> {
    Ok(match (written.kind.as_str(), written.json_schema) {
        ("text", _) => None,
        ("json_object", _) => Some(OutputFormat::JsonObject),
        ("json_schema", Some(JsonSchema { name, schema: Some(schema), strict })) => {
            Some(OutputFormat::JsonSchema { name, schema, strict })
        }
        ("json_schema", _) => {
            return Err(BodyError::shape("response_format.json_schema.schema", "is required"));
        }
        (other, _) => {
            return Err(BodyError::shape("response_format.type", format!("`{other}` is not known")));
        }
    })
}

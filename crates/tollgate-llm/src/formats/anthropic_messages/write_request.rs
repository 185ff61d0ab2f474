//! A request, from the neutral form.

use serde_json::{Map, Value, json};

use crate::chat::{ImageSource, Losses, Message, OutputFormat, Part, Request, Role, ToolChoice};
use crate::formats::numbers::number;
use crate::formats::{SCHEMA_TOOL, Target};
use crate::json::BodyError;

/// The format demands `max_tokens`; this holds where neither client, configuration nor catalog says one.
const DEFAULT_MAX_TOKENS: u64 = 4096;

pub(super) fn write(
    request: &Request,
    target: &Target,
    losses: &mut Losses,
) -> Result<(Vec<u8>, bool), BodyError> {
    let mut body = Map::new();
    body.insert("model".into(), json!(target.model));
    let max = request.max_output_tokens.or(target.max_output_tokens).unwrap_or(DEFAULT_MAX_TOKENS);
    body.insert("max_tokens".into(), max.into());
    let (system, turns) = split_system(&request.messages, losses);
    if !system.is_empty() {
        body.insert("system".into(), system.join("\n\n").into());
    }
    body.insert("messages".into(), turns.into_iter().map(turn).collect::<Result<Vec<_>, _>>()?.into());
    write_sampling(request, target, &mut body, losses);
    if !request.stop.is_empty() {
        body.insert("stop_sequences".into(), request.stop.iter().cloned().collect());
    }
    if let Some(user) = &request.user {
        body.insert("metadata".into(), json!({ "user_id": user }));
    }
    write_tools(request, &mut body);
    let schema_tool = write_output(request, target, &mut body, losses);
    if request.stream {
        body.insert("stream".into(), true.into());
    }
    Ok((Value::Object(body).to_string().into_bytes(), schema_tool))
}

fn write_sampling(request: &Request, target: &Target, body: &mut Map<String, Value>, losses: &mut Losses) {
    if target.no_sampling {
        let given = [
            ("temperature", request.temperature.is_some()),
            ("top_p", request.top_p.is_some()),
            ("top_k", request.top_k.is_some()),
        ];
        for (member, _) in given.into_iter().filter(|(_, given)| *given) {
            losses.lose(member, "the model takes no sampling parameters");
        }
        return;
    }
    if let Some(temperature) = request.temperature {
        if temperature > 1.0 {
            losses.leave_out("temperature", "is at most 1 here and was lowered to it");
        }
        body.insert("temperature".into(), number(temperature.min(1.0)));
    }
    if let Some(top_p) = request.top_p {
        body.insert("top_p".into(), number(top_p));
    }
    if let Some(top_k) = request.top_k {
        body.insert("top_k".into(), top_k.into());
    }
}

/// Instructions stand above the conversation here. Those in the middle of it move up.
fn split_system<'a>(messages: &'a [Message], losses: &mut Losses) -> (Vec<&'a str>, Vec<&'a Message>) {
    let mut system = Vec::new();
    let mut turns = Vec::new();
    for message in messages {
        if message.role != Role::System {
            turns.push(message);
            continue;
        }
        if !turns.is_empty() {
            losses.leave_out("messages", "a system message in the middle was moved to the top");
        }
        for part in &message.parts {
            match part {
                Part::Text(text) => system.push(text.as_str()),
                _ => losses.lose("messages", "a system message holds only text here"),
            }
        }
    }
    (system, turns)
}

fn turn(message: &Message) -> Result<Value, BodyError> {
    let role = if message.role == Role::Assistant { "assistant" } else { "user" };
    if let [Part::Text(text)] = &message.parts[..] {
        return Ok(json!({ "role": role, "content": text }));
    }
    let blocks =
        message.parts.iter().filter(|part| !is_empty_text(part)).map(block).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "role": role, "content": blocks }))
}

/// Empty text blocks are an error here, and common beside tool calls elsewhere.
fn is_empty_text(part: &Part) -> bool {
    matches!(part, Part::Text(text) if text.is_empty())
}

fn block(part: &Part) -> Result<Value, BodyError> {
    Ok(match part {
        Part::Text(text) | Part::Refusal(text) => json!({ "type": "text", "text": text }),
        Part::Image(ImageSource::Url(url)) => {
            json!({ "type": "image", "source": { "type": "url", "url": url } })
        }
        Part::Image(ImageSource::Base64 { media_type, data }) => {
            json!({ "type": "image", "source": { "type": "base64", "media_type": media_type, "data": data } })
        }
        Part::ToolCall { id, name, arguments } => {
            let input = if arguments.trim().is_empty() { "{}" } else { arguments };
            let input: Map<String, Value> = serde_json::from_str(input).map_err(|_| {
                BodyError::shape("tool_calls.function.arguments", "must be a JSON object as text")
            })?;
            json!({ "type": "tool_use", "id": id, "name": name, "input": input })
        }
        Part::ToolResult { id, parts, is_error } => {
            let content =
                parts.iter().filter(|part| !is_empty_text(part)).map(block).collect::<Result<Vec<_>, _>>()?;
            let mut result = json!({ "type": "tool_result", "tool_use_id": id, "content": content });
            if let [Part::Text(text)] = &parts[..] {
                result["content"] = json!(text);
            }
            if *is_error {
                result["is_error"] = true.into();
            }
            result
        }
    })
}

fn write_tools(request: &Request, body: &mut Map<String, Value>) {
    if request.tools.is_empty() {
        return;
    }
    let tools = request.tools.iter().map(|tool| {
        let schema = tool.schema.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok());
        let mut written = json!({ "name": tool.name, "input_schema": schema.unwrap_or_else(|| json!({ "type": "object", "properties": {} })) });
        if let Some(description) = &tool.description {
            written["description"] = json!(description);
        }
        if tool.strict == Some(true) {
            written["strict"] = true.into();
        }
        written
    });
    body.insert("tools".into(), tools.collect());
    let mut choice = match &request.tool_choice {
        None if request.parallel_tools != Some(false) => return,
        None | Some(ToolChoice::Auto) => json!({ "type": "auto" }),
        Some(ToolChoice::None) => json!({ "type": "none" }),
        Some(ToolChoice::Required) => json!({ "type": "any" }),
        Some(ToolChoice::Named(name)) => json!({ "type": "tool", "name": name }),
    };
    if request.parallel_tools == Some(false) && request.tool_choice != Some(ToolChoice::None) {
        choice["disable_parallel_tool_use"] = true.into();
    }
    body.insert("tool_choice".into(), choice);
}

/// A model that answers to a schema by itself is asked to; any other is made to call a tool with that schema,
/// whose arguments are then the answer. Returns whether the tool was used.
fn write_output(
    request: &Request,
    target: &Target,
    body: &mut Map<String, Value>,
    losses: &mut Losses,
) -> bool {
    let schema = match &request.output {
        None => return false,
        Some(OutputFormat::JsonObject) => {
            losses.lose("response_format", "`json_object` has no counterpart: give a schema (`json_schema`)");
            return false;
        }
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            serde_json::from_str::<Value>(schema.get()).unwrap_or_default()
        }
    };
    if target.native_schema {
        body.insert("output_config".into(), json!({ "format": { "type": "json_schema", "schema": schema } }));
        return false;
    }
    let tool = json!({
        "name": SCHEMA_TOOL,
        "description": "Gives the answer. Call it exactly once, with the whole answer as its arguments.",
        "input_schema": schema,
    });
    // Beside other tools the model must stay free to call those; otherwise it is the only way to answer.
    let mut choice = match &request.tool_choice {
        _ if request.tools.is_empty() => json!({ "type": "tool", "name": SCHEMA_TOOL }),
        Some(ToolChoice::None) => json!({ "type": "tool", "name": SCHEMA_TOOL }),
        Some(ToolChoice::Named(name)) => json!({ "type": "tool", "name": name }),
        _ => json!({ "type": "any" }),
    };
    if request.parallel_tools == Some(false) {
        choice["disable_parallel_tool_use"] = true.into();
    }
    if let Some(Value::Array(tools)) = body.get_mut("tools") {
        tools.push(tool);
    } else {
        body.insert("tools".into(), json!([tool]));
    }
    body.insert("tool_choice".into(), choice);
    true
}

//! A request, from the neutral form.

use serde_json::{Map, Value, json};

use crate::chat::{Losses, Message, OutputFormat, Part, Request, Role, ToolChoice};
use crate::formats::Target;
use crate::formats::numbers::number;

/// Longer ones are refused.
const LONGEST_USER: usize = 64;

pub(super) fn write(request: &Request, target: &Target, losses: &mut Losses) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("model".into(), json!(target.model));
    let messages: Vec<Value> = request.messages.iter().flat_map(messages).collect();
    body.insert("messages".into(), messages.into());
    if let Some(max) = request.max_output_tokens {
        let member = if target.legacy_max_tokens { "max_tokens" } else { "max_completion_tokens" };
        body.insert(member.into(), max.into());
    }
    let numbers = [("temperature", request.temperature), ("top_p", request.top_p)];
    for (member, value) in numbers {
        if let Some(value) = value {
            body.insert(member.into(), number(value));
        }
    }
    if request.top_k.is_some() {
        losses.lose("top_k", "the upstream has no such parameter");
    }
    if !request.stop.is_empty() {
        if request.stop.len() > 4 {
            losses.lose("stop_sequences", "the upstream takes at most four");
        }
        body.insert("stop".into(), request.stop.iter().take(4).cloned().collect());
    }
    match &request.user {
        Some(user) if user.len() > LONGEST_USER => {
            losses.leave_out("metadata.user_id", "is longer than `user` may be")
        }
        Some(user) => {
            body.insert("user".into(), json!(user));
        }
        None => {}
    }
    let failed = |part: &Part| matches!(part, Part::ToolResult { is_error: true, .. });
    if request.messages.iter().flat_map(|message| &message.parts).any(failed) {
        losses.leave_out("is_error", "a tool result has no such mark; its text stays");
    }
    write_tools(request, &mut body);
    if let Some(output) = &request.output {
        body.insert("response_format".into(), output_format(output));
    }
    if request.stream {
        body.insert("stream".into(), true.into());
        if target.stream_usage {
            body.insert("stream_options".into(), json!({ "include_usage": true }));
        }
    }
    Value::Object(body).to_string().into_bytes()
}

fn write_tools(request: &Request, body: &mut Map<String, Value>) {
    let tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| {
            let mut function = Map::from_iter([("name".to_owned(), json!(tool.name))]);
            if let Some(description) = &tool.description {
                function.insert("description".into(), json!(description));
            }
            if let Some(schema) = &tool.schema {
                function.insert("parameters".into(), serde_json::from_str(schema.get()).unwrap_or_default());
            }
            if let Some(strict) = tool.strict {
                function.insert("strict".into(), strict.into());
            }
            json!({ "type": "function", "function": function })
        })
        .collect();
    if tools.is_empty() {
        return;
    }
    body.insert("tools".into(), tools.into());
    if let Some(choice) = &request.tool_choice {
        let choice = match choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required => json!("required"),
            ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
        };
        body.insert("tool_choice".into(), choice);
    }
    if let Some(parallel) = request.parallel_tools {
        body.insert("parallel_tool_calls".into(), parallel.into());
    }
}

fn output_format(output: &OutputFormat) -> Value {
    match output {
        OutputFormat::JsonObject => json!({ "type": "json_object" }),
        OutputFormat::JsonSchema { name, schema, strict } => {
            let schema: Value = serde_json::from_str(schema.get()).unwrap_or_default();
            let mut described = json!({ "name": name, "schema": schema });
            if let Some(strict) = strict {
                described["strict"] = (*strict).into();
            }
            json!({ "type": "json_schema", "json_schema": described })
        }
    }
}

/// One neutral turn may be several messages here: each tool result is its own.
fn messages(message: &Message) -> Vec<Value> {
    match message.role {
        Role::System => vec![json!({ "role": "system", "content": content(&message.parts) })],
        Role::Assistant => vec![assistant(&message.parts)],
        Role::User => user(&message.parts),
    }
}

fn assistant(parts: &[Part]) -> Value {
    let mut message = json!({ "role": "assistant" });
    let calls: Vec<Value> = parts
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall { id, name, arguments } => Some(
                json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }),
            ),
            _ => None,
        })
        .collect();
    let text: Vec<&str> =
        parts.iter().filter_map(|p| if let Part::Text(t) = p { Some(t.as_str()) } else { None }).collect();
    if !text.is_empty() || calls.is_empty() {
        message["content"] = text.concat().into();
    }
    if let Some(refusal) = parts.iter().find_map(|p| if let Part::Refusal(t) = p { Some(t) } else { None }) {
        message["refusal"] = json!(refusal);
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}

/// Tool results come first, in order, then the rest of the turn. A result can hold only text here, so the
/// images of results move into the user's message after them.
fn user(parts: &[Part]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut rest: Vec<&Part> = Vec::new();
    for part in parts {
        match part {
            Part::ToolResult { id, parts, .. } => {
                let text: Vec<&str> = parts
                    .iter()
                    .filter_map(|p| if let Part::Text(t) = p { Some(t.as_str()) } else { None })
                    .collect();
                out.push(json!({ "role": "tool", "tool_call_id": id, "content": text.join("\n") }));
                rest.extend(parts.iter().filter(|p| matches!(p, Part::Image(_))));
            }
            other => rest.push(other),
        }
    }
    if !rest.is_empty() || out.is_empty() {
        out.push(json!({ "role": "user", "content": content(rest) }));
    }
    out
}

/// A lone text stays a string, as most clients write it.
fn content<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Value {
    let parts: Vec<&Part> = parts.into_iter().collect();
    if let [Part::Text(text)] = parts[..] {
        return json!(text);
    }
    parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(json!({ "type": "text", "text": text })),
            Part::Image(source) => {
                Some(json!({ "type": "image_url", "image_url": { "url": source.to_url() } }))
            }
            _ => None,
        })
        .collect()
}

//! A whole answer.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tollgate_core::usage::Usage;

use super::usage::WireUsage;
use crate::chat::{Response, StopReason, ToolCall};
use crate::formats::{AnswerFor, SCHEMA_TOOL};
use crate::json::Members;

#[derive(Deserialize)]
struct Written {
    id: String,
    model: String,
    content: Vec<Block>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    stop_details: Option<StopDetails>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
pub(super) struct StopDetails {
    pub(super) explanation: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let mut response = Response {
        id: written.id,
        model: written.model,
        stop: stop_reason(written.stop_reason.as_deref(), written.stop_sequence),
        usage: written.usage.as_ref().map(Usage::from),
        ..Response::default()
    };
    if response.stop == StopReason::Refused {
        response.refusal = written.stop_details.and_then(|details| details.explanation);
    }
    for block in written.content {
        match (block.kind.as_str(), block.text, block.name) {
            ("text", Some(text), _) => response.text.get_or_insert_default().push_str(&text),
            ("tool_use", _, Some(name)) => response.tool_calls.push(ToolCall {
                id: block.id.unwrap_or_default(),
                name,
                arguments: block.input.map_or_else(|| "{}".to_owned(), |input| input.get().to_owned()),
            }),
            // Thinking and the provider's own tools have no place in the neutral form.
            _ => {}
        }
    }
    Ok(response)
}

/// Only what the meter needs. `content` must be there: a body without it is no answer. A count of tokens has
/// none and costs nothing.
pub(super) fn usage(body: &str) -> Result<Option<Usage>, String> {
    let members = Members::find(body, &["content", "usage", "input_tokens"]).map_err(|e| e.to_string())?;
    if members.get("content").is_none() && members.get("input_tokens").is_none() {
        return Err("it has no `content`".to_owned());
    }
    let usage: Option<WireUsage> = members.read("usage").map_err(|e| e.to_string())?;
    Ok(usage.as_ref().map(Usage::from))
}

pub(super) fn write(response: &Response, answer: &AnswerFor) -> Vec<u8> {
    let (stands_in, calls): (Vec<_>, Vec<_>) =
        response.tool_calls.iter().partition(|call| answer.schema_tool && call.name == SCHEMA_TOOL);
    let mut content = Vec::new();
    let text = stands_in
        .first()
        .map(|call| &call.arguments)
        .or(response.text.as_ref())
        .or(response.refusal.as_ref());
    if let Some(text) = text {
        content.push(json!({ "type": "text", "text": text }));
    }
    for call in &calls {
        content.push(
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input(&call.arguments) }),
        );
    }
    let stop = if calls.is_empty() && !stands_in.is_empty() { &StopReason::End } else { &response.stop };
    let (stop_reason, stop_sequence) = stop_reason_name(stop);
    json!({
        "id": response.id,
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": WireUsage::from(&response.usage.unwrap_or_default()),
    })
    .to_string()
    .into_bytes()
}

/// Arguments must be an object here. A text that is none (an answer that was cut off) is kept whole in one.
pub(super) fn input(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    serde_json::from_str::<Map<String, Value>>(arguments)
        .map_or_else(|_| json!({ "invalid_json": arguments }), Value::Object)
}

pub(super) fn stop_reason(name: Option<&str>, stop_sequence: Option<String>) -> StopReason {
    match name {
        Some("max_tokens") => StopReason::MaxTokens,
        Some("stop_sequence") => StopReason::StopText(stop_sequence),
        Some("tool_use") => StopReason::ToolCalls,
        Some("refusal") => StopReason::Refused,
        Some("pause_turn") => StopReason::Paused,
        Some("model_context_window_exceeded") => StopReason::ContextFull,
        _ => StopReason::End,
    }
}

pub(super) fn stop_reason_name(stop: &StopReason) -> (&'static str, Option<&str>) {
    match stop {
        StopReason::End => ("end_turn", None),
        StopReason::StopText(text) => ("stop_sequence", text.as_deref()),
        StopReason::MaxTokens => ("max_tokens", None),
        StopReason::ToolCalls => ("tool_use", None),
        StopReason::Refused => ("refusal", None),
        StopReason::ContextFull => ("model_context_window_exceeded", None),
        StopReason::Paused => ("pause_turn", None),
    }
}

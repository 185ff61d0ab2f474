//! A whole answer.

use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::usage::Usage;

use super::usage::WireUsage;
use crate::chat::{Response, StopReason, ToolCall};
use crate::formats::{AnswerFor, SCHEMA_TOOL};
use crate::json::Members;

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    created: i64,
    choices: Vec<Choice>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    message: AnswerMessage,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct AnswerMessage {
    content: Option<String>,
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: String,
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let usage = written.usage.as_ref().map(Usage::from);
    let choice = written.choices.into_iter().next().ok_or("`choices` is empty")?;
    let tool_calls: Vec<_> = choice
        .message
        .tool_calls
        .unwrap_or_default()
        .into_iter()
        .map(|call| ToolCall { id: call.id, name: call.function.name, arguments: call.function.arguments })
        .collect();
    let stop = match &choice.message.refusal {
        Some(_) => StopReason::Refused,
        None => stop_reason(choice.finish_reason.as_deref().unwrap_or("stop"), !tool_calls.is_empty()),
    };
    Ok(Response {
        id: written.id,
        model: written.model,
        created: written.created,
        text: choice.message.content.filter(|text| !text.is_empty()),
        refusal: choice.message.refusal,
        tool_calls,
        stop,
        usage,
    })
}

/// Only what the meter needs. `choices` must be there: a body without it is no answer.
pub(super) fn usage(body: &str) -> Result<Option<Usage>, String> {
    let members = Members::find(body, &["choices", "usage"]).map_err(|e| e.to_string())?;
    if members.get("choices").is_none() {
        return Err("it has no `choices`".to_owned());
    }
    let usage: Option<WireUsage> = members.read("usage").map_err(|e| e.to_string())?;
    Ok(usage.as_ref().map(Usage::from))
}

pub(super) fn write(response: &Response, answer: &AnswerFor) -> Vec<u8> {
    let (stands_in, calls): (Vec<_>, Vec<_>) =
        response.tool_calls.iter().partition(|call| answer.schema_tool && call.name == SCHEMA_TOOL);
    let text = stands_in.first().map(|call| call.arguments.clone()).or_else(|| response.text.clone());
    let stop = if calls.is_empty() && !stands_in.is_empty() { &StopReason::End } else { &response.stop };
    let mut message = json!({ "role": "assistant", "content": text, "refusal": response.refusal });
    if !calls.is_empty() {
        message["tool_calls"] = calls
            .iter()
            .map(|call| json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } }))
            .collect();
    }
    let mut body = json!({
        "id": response.id,
        "object": "chat.completion",
        "created": if response.created == 0 { answer.created } else { response.created },
        "model": response.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(stop) }],
    });
    if let Some(usage) = &response.usage {
        body["usage"] = serde_json::to_value(WireUsage::from(usage)).unwrap_or(Value::Null);
    }
    body.to_string().into_bytes()
}

/// A forced call ends with `stop` at several servers, OpenAI's among them: that tools are called counts.
pub(super) fn stop_reason(finish: &str, calls_tools: bool) -> StopReason {
    match finish {
        "stop" if calls_tools => StopReason::ToolCalls,
        "length" => StopReason::MaxTokens,
        "tool_calls" | "function_call" => StopReason::ToolCalls,
        "content_filter" => StopReason::Refused,
        _ => StopReason::End,
    }
}

pub(super) fn finish_reason(stop: &StopReason) -> &'static str {
    match stop {
        StopReason::End | StopReason::StopText(_) | StopReason::Paused => "stop",
        StopReason::MaxTokens | StopReason::ContextFull => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::Refused => "content_filter",
    }
}

//! A whole answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollgate_core::usage::Usage;

use super::usage::WireUsage;
use super::{NAME, citations};
use crate::chat::{
    Choice, NO_ARGUMENTS, Response, Said, Sealed, StopReason, ToolCall, arguments_kept, id_with,
};
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

/// A content block, whole or at its start in a stream.
#[derive(Deserialize)]
pub(super) struct Block {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) input: Option<Box<RawValue>>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) data: Option<String>,
    #[serde(default)]
    pub(super) citations: Option<Vec<citations::Written>>,
}

#[derive(Deserialize)]
pub(super) struct StopDetails {
    pub(super) explanation: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let stop = stop_reason(written.stop_reason.as_deref(), written.stop_sequence);
    let mut said: Vec<Said> = written.content.into_iter().filter_map(said).collect();
    if stop == StopReason::Refused {
        said.extend(written.stop_details.and_then(|details| details.explanation).map(Said::Refusal));
    }
    Ok(Response {
        id: written.id,
        model: written.model,
        created: 0,
        choices: vec![Choice { said, stop, logprobs: Vec::new() }],
        usage: written.usage.as_ref().map(Usage::from),
    })
}

/// The provider's own tools have no place in the neutral form.
fn said(block: Block) -> Option<Said> {
    Some(match block.kind.as_str() {
        "text" => Said::Text {
            text: block.text.filter(|text| !text.is_empty())?,
            citations: block.citations.unwrap_or_default().into_iter().filter_map(citations::read).collect(),
        },
        "thinking" => Said::Thinking {
            text: block.thinking.unwrap_or_default(),
            seal: block.signature.filter(|s| !s.is_empty()).map(|s| Sealed::by(NAME, s)),
        },
        "redacted_thinking" => Said::Redacted(Sealed::by(NAME, block.data?)),
        "tool_use" => Said::ToolCall(ToolCall {
            id: block.id.unwrap_or_default(),
            name: block.name?,
            arguments: block.input.map_or_else(|| NO_ARGUMENTS.to_owned(), |input| input.get().to_owned()),
            seal: None,
        }),
        _ => return None,
    })
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

#[derive(Serialize)]
struct Out<'r> {
    id: &'r str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'r str,
    content: Vec<OutBlock<'r>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'r str>,
    usage: WireUsage,
}

/// A block for a client.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutBlock<'r> {
    Text {
        text: Cow<'r, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<citations::Out<'r>>,
    },
    Thinking {
        thinking: &'r str,
        signature: String,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        id: String,
        name: &'r str,
        input: Cow<'r, RawValue>,
    },
}

pub(super) fn write(response: &Response, answer: &AnswerFor) -> Vec<u8> {
    // More than one answer is never asked for on behalf of this format.
    let none = Choice::default();
    let choice = response.choices.first().unwrap_or(&none);
    let stands_in = |call: &ToolCall| answer.schema_tool && call.name == SCHEMA_TOOL;
    let only_schema = choice.calls().any(stands_in) && choice.calls().all(stands_in);
    let stop = if only_schema { &StopReason::End } else { &choice.stop };
    let (stop_reason, stop_sequence) = stop_reason_name(stop);
    let usage = response.usage.unwrap_or_default();
    crate::json::written(&Out {
        id: &response.id,
        kind: "message",
        role: "assistant",
        model: &response.model,
        content: content(choice, stands_in),
        stop_reason,
        stop_sequence,
        usage: WireUsage::from(&usage),
    })
}

/// The blocks, in order. A text stands once: a refusal only where nothing else was said, and what a stand-in says
/// instead of it.
fn content<'r>(choice: &'r Choice, stands_in: impl Fn(&ToolCall) -> bool) -> Vec<OutBlock<'r>> {
    let has_stand_in = choice.calls().any(&stands_in);
    let has_text = choice.said.iter().any(|said| matches!(said, Said::Text { .. }));
    let text = |text: &'r str| OutBlock::Text { text: text.into(), citations: Vec::new() };
    let block = |said: &'r Said| match said {
        Said::Text { text: said, citations } if !has_stand_in => Some(OutBlock::Text {
            text: said.into(),
            citations: citations.iter().map(citations::write).collect(),
        }),
        Said::Refusal(refusal) if !has_text && !has_stand_in => Some(text(refusal)),
        Said::Thinking { text, seal } => Some(OutBlock::Thinking {
            thinking: text,
            signature: seal.as_ref().map(|seal| seal.for_client(NAME)).unwrap_or_default(),
        }),
        Said::Redacted(seal) => Some(OutBlock::RedactedThinking { data: seal.for_client(NAME) }),
        Said::ToolCall(call) if stands_in(call) => Some(text(&call.arguments)),
        Said::ToolCall(call) => Some(OutBlock::ToolUse {
            id: id_with(&call.id, call.seal.as_ref()),
            name: &call.name,
            input: arguments_kept(&call.arguments),
        }),
        // The format has no pictures in answers.
        _ => None,
    };
    choice.said.iter().filter_map(block).collect()
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

//! A whole answer.

use serde::{Deserialize, Serialize};
use tollgate_core::usage::Usage;

use super::annotations::{Annotation, citations};
use super::logprobs::Logprobs;
use super::thinking::{self, Block};
use super::usage::WireUsage;
use crate::chat::{Choice, Response, Said, StopReason, ToolCall, data_url, id_with};
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
    choices: Vec<WrittenChoice>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WrittenChoice {
    message: AnswerMessage,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct AnswerMessage {
    content: Option<String>,
    refusal: Option<String>,
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
    #[serde(default)]
    annotations: Option<Vec<Annotation>>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: String,
    function: Function,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Function {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: String,
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    if written.choices.is_empty() {
        return Err("`choices` is empty".to_owned());
    }
    Ok(Response {
        id: written.id,
        model: written.model,
        created: written.created,
        choices: written.choices.into_iter().map(choice).collect(),
        usage: written.usage.as_ref().map(Usage::from),
    })
}

fn choice(written: WrittenChoice) -> Choice {
    let message = written.message;
    let calls = message.tool_calls.unwrap_or_default();
    let stop = match &message.refusal {
        Some(_) => StopReason::Refused,
        None => stop_reason(written.finish_reason.as_deref().unwrap_or("stop"), !calls.is_empty()),
    };
    let mut said = Vec::new();
    let thought = message.reasoning_content.filter(|text| !text.is_empty());
    said.extend(thought.map(|text| Said::Thinking { text, seal: None }));
    let citations = citations(message.annotations);
    said.extend(message.content.filter(|text| !text.is_empty()).map(|text| Said::Text { text, citations }));
    said.extend(message.refusal.map(Said::Refusal));
    said.extend(calls.into_iter().map(|call| {
        let Function { name, arguments } = call.function;
        Said::ToolCall(ToolCall { id: call.id, name, arguments, seal: None })
    }));
    Choice { said, stop, logprobs: written.logprobs.map(Logprobs::into_neutral).unwrap_or_default() }
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

#[derive(Serialize)]
struct Out<'r> {
    id: &'r str,
    object: &'static str,
    created: i64,
    model: &'r str,
    choices: Vec<OutChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WireUsage>,
}

#[derive(Serialize)]
struct OutChoice<'r> {
    index: usize,
    message: OutMessage<'r>,
    logprobs: Option<Logprobs>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct OutMessage<'r> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<Block>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<OutImage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OutCall<'r>>,
}

/// A picture that the model made. The format has no word for it; this is what several gateways write.
#[derive(Serialize)]
pub(super) struct OutImage {
    #[serde(rename = "type")]
    kind: &'static str,
    image_url: OutUrl,
}

#[derive(Serialize)]
struct OutUrl {
    url: String,
}

impl OutImage {
    pub(super) fn new(media_type: &str, data: &str) -> Self {
        Self { kind: "image_url", image_url: OutUrl { url: data_url(media_type, data) } }
    }
}

#[derive(Serialize)]
struct OutCall<'r> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: OutFunction<'r>,
}

#[derive(Serialize)]
struct OutFunction<'r> {
    name: &'r str,
    arguments: &'r str,
}

pub(super) fn write(response: &Response, answer: &AnswerFor) -> Vec<u8> {
    let out = Out {
        id: &response.id,
        object: "chat.completion",
        created: if response.created == 0 { answer.created } else { response.created },
        model: &response.model,
        choices: response.choices.iter().enumerate().map(|(index, c)| out_choice(index, c, answer)).collect(),
        usage: response.usage.as_ref().map(WireUsage::from),
    };
    crate::json::written(&out)
}

fn out_choice<'r>(index: usize, choice: &'r Choice, answer: &AnswerFor) -> OutChoice<'r> {
    let (stands_in, calls): (Vec<_>, Vec<_>) =
        choice.calls().partition(|call| answer.schema_tool && call.name == SCHEMA_TOOL);
    let stop = if calls.is_empty() && !stands_in.is_empty() { &StopReason::End } else { &choice.stop };
    let (reasoning_content, thinking_blocks) = thinking::write(&choice.said);
    let image = |said: &Said| match said {
        Said::Image { media_type, data } => Some(OutImage::new(media_type, data)),
        _ => None,
    };
    let call = |call: &'r ToolCall| OutCall {
        id: id_with(&call.id, call.seal.as_ref()),
        kind: "function",
        function: OutFunction { name: &call.name, arguments: &call.arguments },
    };
    OutChoice {
        index,
        message: OutMessage {
            role: "assistant",
            content: stands_in.first().map(|call| call.arguments.clone()).or_else(|| choice.text()),
            refusal: choice.refusal(),
            reasoning_content,
            thinking_blocks,
            annotations: choice.citations().map(Annotation::of).collect(),
            images: choice.said.iter().filter_map(image).collect(),
            tool_calls: calls.into_iter().map(call).collect(),
        },
        logprobs: (!choice.logprobs.is_empty()).then(|| Logprobs::of(&choice.logprobs)),
        finish_reason: finish_reason(stop),
    }
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

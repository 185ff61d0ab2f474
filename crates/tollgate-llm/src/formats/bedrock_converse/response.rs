//! A whole answer. It says neither an id nor the model: whoever asked knows them.

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_core::usage::Usage;

use super::NAME;
use super::usage::WireUsage;
use crate::chat::{Choice, Citation, NO_ARGUMENTS, Response, Said, Sealed, StopReason, ToolCall};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    output: Output,
    stop_reason: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Output {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Block>,
}

/// A content block: one of these.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    text: Option<String>,
    tool_use: Option<ToolUse>,
    reasoning_content: Option<Reasoning>,
    citations_content: Option<Cited>,
    image: Option<Image>,
}

/// A call, whole or at its start in a stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse {
    #[serde(default)]
    pub(super) tool_use_id: String,
    pub(super) name: String,
    pub(super) input: Option<Box<RawValue>>,
    /// Set where the service itself carries out the call.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    reasoning_text: Option<ReasoningText>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    #[serde(default)]
    text: String,
    signature: Option<String>,
}

#[derive(Deserialize)]
struct Cited {
    #[serde(default)]
    content: Vec<CitedText>,
    #[serde(default)]
    citations: Vec<WrittenCitation>,
}

#[derive(Deserialize)]
struct CitedText {
    text: Option<String>,
}

/// A citation, whole or in a stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenCitation {
    title: Option<String>,
    #[serde(default)]
    source_content: Vec<CitedText>,
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Location {
    web: Option<Web>,
}

#[derive(Deserialize)]
struct Web {
    url: Option<String>,
}

#[derive(Deserialize)]
struct Image {
    format: String,
    source: ImageSource,
}

#[derive(Deserialize)]
struct ImageSource {
    bytes: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    Ok(Response {
        choices: vec![Choice {
            said: written.output.message.content.into_iter().filter_map(said).collect(),
            stop: stop_reason(written.stop_reason.as_deref()),
            logprobs: Vec::new(),
        }],
        usage: written.usage.as_ref().map(Usage::from),
        ..Response::default()
    })
}

fn said(block: Block) -> Option<Said> {
    if let Some(text) = block.text.filter(|text| !text.is_empty()) {
        return Some(Said::Text { text, citations: Vec::new() });
    }
    if let Some(call) = block.tool_use {
        return call.is_ours().then(|| Said::ToolCall(call.into()));
    }
    if let Some(reasoning) = block.reasoning_content {
        return thought(reasoning);
    }
    if let Some(cited) = block.citations_content {
        let text: String = cited.content.into_iter().filter_map(|content| content.text).collect();
        let citations = cited.citations.into_iter().filter_map(citation).collect();
        return Some(Said::Text { text, citations });
    }
    let image = block.image?;
    Some(Said::Image { media_type: format!("image/{}", image.format), data: image.source.bytes? })
}

fn thought(reasoning: Reasoning) -> Option<Said> {
    if let Some(data) = reasoning.redacted_content {
        return Some(Said::Redacted(Sealed::by(NAME, data)));
    }
    let ReasoningText { text, signature } = reasoning.reasoning_text?;
    let seal =
        signature.filter(|signature| !signature.is_empty()).map(|signature| Sealed::by(NAME, signature));
    Some(Said::Thinking { text, seal })
}

/// A citation of an address; those of a document have no counterpart.
pub(super) fn citation(written: WrittenCitation) -> Option<Citation> {
    let cited = written.source_content.into_iter().filter_map(|content| content.text).collect::<String>();
    Some(Citation {
        url: written.location?.web?.url?,
        title: written.title,
        cited: Some(cited).filter(|cited| !cited.is_empty()),
        span: None,
    })
}

impl ToolUse {
    /// Whether the client is to carry it out.
    pub(super) fn is_ours(&self) -> bool {
        self.kind.as_deref() != Some("server_tool_use")
    }
}

impl From<ToolUse> for ToolCall {
    fn from(call: ToolUse) -> Self {
        Self {
            id: call.tool_use_id,
            name: call.name,
            arguments: call.input.map_or_else(|| NO_ARGUMENTS.to_owned(), |input| input.get().to_owned()),
            seal: None,
        }
    }
}

/// Which stop text came up is not said.
pub(super) fn stop_reason(name: Option<&str>) -> StopReason {
    match name {
        Some("max_tokens") => StopReason::MaxTokens,
        Some("stop_sequence") => StopReason::StopText(None),
        Some("tool_use") => StopReason::ToolCalls,
        Some("guardrail_intervened" | "content_filtered") => StopReason::Refused,
        Some("model_context_window_exceeded") => StopReason::ContextFull,
        _ => StopReason::End,
    }
}

//! An answer, or a chunk of a streamed one, as it is read: the two look the same.

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_core::usage::Usage;

use super::NAME;
use super::base64::standard;
use super::citations::{CitationMetadata, GroundingMetadata};
use super::ids::in_answer;
use super::logprobs::LogprobsResult;
use super::usage::WireUsage;
use crate::chat::{Event, NO_ARGUMENTS, Sealed, StopReason};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    pub(super) candidates: Option<Vec<Candidate>>,
    pub(super) prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<WireUsage>,
    model_version: Option<String>,
    response_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    #[serde(default)]
    pub(super) index: u64,
    content: Option<Content>,
    pub(super) finish_reason: Option<String>,
    pub(super) finish_message: Option<String>,
    citation_metadata: Option<CitationMetadata>,
    grounding_metadata: Option<GroundingMetadata>,
    logprobs_result: Option<LogprobsResult>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    #[serde(default)]
    thought: Option<bool>,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
    inline_data: Option<Blob>,
}

#[derive(Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: String,
    args: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    mime_type: String,
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    block_reason: Option<String>,
    block_reason_message: Option<String>,
}

impl PromptFeedback {
    /// Why the prompt was refused, if it was.
    pub(super) fn refusal(self) -> Option<String> {
        let reason = self.block_reason.filter(|reason| !reason.ends_with("UNSPECIFIED"))?;
        Some(self.block_reason_message.unwrap_or_else(|| format!("The prompt was blocked: {reason}")))
    }
}

impl Answer {
    /// Whether it has none of the members of an answer.
    pub(super) fn is_empty(&self) -> bool {
        self.candidates.is_none() && self.prompt_feedback.is_none() && self.usage_metadata.is_none()
    }

    pub(super) fn id(&self) -> &str {
        self.response_id.as_deref().unwrap_or_default()
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage_metadata.as_ref().map(Usage::from)
    }

    /// The event with which the answer begins.
    pub(super) fn start(&self) -> Event {
        let model = self.model_version.clone().unwrap_or_default();
        Event::Start { id: self.id().to_owned(), model, usage: self.usage() }
    }
}

/// What was read of a candidate so far.
#[derive(Default)]
pub(super) struct Progress {
    /// Calls.
    calls: usize,
    /// Whether anything was said that a client can use.
    any: bool,
    /// Bytes of its texts, from which citations count.
    text: String,
}

impl Progress {
    /// The events that a piece of a candidate stands for. `answer_id` is the answer's.
    pub(super) fn events(&mut self, candidate: Candidate, answer_id: &str, out: &mut Vec<Event>) {
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            self.part(part, answer_id, out);
        }
        out.extend(candidate.logprobs_result.map(|result| Event::Logprobs(result.into_neutral())));
        let cited = candidate.citation_metadata.map(|metadata| metadata.citations(&self.text));
        let grounded = candidate.grounding_metadata.map(|metadata| metadata.citations(&self.text));
        out.extend(cited.into_iter().chain(grounded).flatten().map(Event::Citation));
        if let Some(reason) = candidate.finish_reason {
            self.finish(&reason, candidate.finish_message, out);
        }
    }

    fn part(&mut self, part: Part, answer_id: &str, out: &mut Vec<Event>) {
        let signature = part.thought_signature.filter(|signature| !signature.is_empty());
        let seal = signature.map(|signature| Sealed::by(NAME, standard(signature.into())));
        let text = part.text.filter(|text| !text.is_empty());
        if let Some(call) = part.function_call {
            return self.call(call, seal, answer_id, out);
        }
        if part.thought == Some(true) {
            out.extend(text.map(Event::Thinking));
            out.extend(seal.map(Event::ThinkingSeal));
            return;
        }
        self.any |= text.is_some() || part.inline_data.is_some();
        self.text.push_str(text.as_deref().unwrap_or_default());
        out.extend(text.map(Event::Text));
        let image = |blob: Blob| Event::Image { media_type: blob.mime_type, data: blob.data };
        out.extend(part.inline_data.map(image));
        // A signature stands on any part here, elsewhere only on thoughts and calls.
        out.extend(seal.map(Event::Redacted));
    }

    fn call(&mut self, call: FunctionCall, seal: Option<Sealed>, answer_id: &str, out: &mut Vec<Event>) {
        let index = self.calls;
        self.calls += 1;
        self.any = true;
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| in_answer(answer_id, index));
        let fragment = call.args.map_or_else(|| NO_ARGUMENTS.to_owned(), |args| args.get().to_owned());
        out.push(Event::ToolStart { index, id, name: call.name, seal });
        out.push(Event::ToolArguments { index, fragment });
    }

    fn finish(&self, reason: &str, message: Option<String>, out: &mut Vec<Event>) {
        match stop_reason(reason, self.calls > 0) {
            Some(stop) => {
                if stop == StopReason::Refused {
                    out.extend(message.map(Event::Refusal));
                }
                out.push(Event::Stop(stop));
            }
            // The model stumbled. What it said so far is an answer; nothing at all is a failure.
            None if self.calls > 0 => out.push(Event::Stop(StopReason::ToolCalls)),
            None if self.any => out.push(Event::Stop(StopReason::End)),
            None => out.push(Event::Failed(super::error::stumbled(reason, message))),
        }
    }
}

/// Why the answer ended; `None` where it did not come to an end.
fn stop_reason(name: &str, calls_tools: bool) -> Option<StopReason> {
    Some(match name {
        "STOP" if calls_tools => StopReason::ToolCalls,
        "STOP" | "FINISH_REASON_UNSPECIFIED" => StopReason::End,
        // More of the answer would come, but only Google's own clients can ask for it.
        "MAX_TOKENS" | "CONTINUATION" => StopReason::MaxTokens,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED" => StopReason::Refused,
        _ => return None,
    })
}

/// How the format says why an answer ended.
pub(super) fn finish_reason(stop: &StopReason) -> &'static str {
    match stop {
        StopReason::End | StopReason::StopText(_) | StopReason::ToolCalls => "STOP",
        StopReason::MaxTokens | StopReason::ContextFull => "MAX_TOKENS",
        StopReason::Refused => "SAFETY",
        StopReason::Paused => "OTHER",
    }
}

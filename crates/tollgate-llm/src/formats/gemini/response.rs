//! A whole answer.

use std::borrow::Cow;

use tollgate_core::usage::Usage;

use super::NAME;
use super::answer::{Answer, Progress, finish_reason};
use super::citations::CitationMetadata;
use super::logprobs::LogprobsResult;
use super::out::{OutAnswer, OutCandidate, OutContent};
use super::parts::{OutPart, kept};
use super::usage::WireUsage;
use crate::chat::{Choice, Event, Response, Said, StopReason, collect};
use crate::formats::{AnswerFor, SCHEMA_TOOL};
use crate::json::Members;

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let mut answer: Answer = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let mut response = collect([answer.start()]);
    response.choices.clear();
    let candidates = answer.candidates.take().unwrap_or_default();
    if candidates.is_empty() {
        let refusal = answer.prompt_feedback.take().and_then(|feedback| feedback.refusal());
        let refusal = refusal.ok_or("it has no `candidates`")?;
        let said = [Event::Refusal(refusal), Event::Stop(StopReason::Refused)];
        response.choices = collect(said).choices;
        return Ok(response);
    }
    for candidate in candidates {
        let mut events = Vec::new();
        Progress::default().events(candidate, answer.id(), &mut events);
        if let Some(Event::Failed(error)) = events.last() {
            return Err(error.message.clone());
        }
        response.choices.append(&mut collect(events).choices);
    }
    Ok(response)
}

/// Only what the meter needs. A body without any of the members of an answer is none; a count of tokens costs nothing.
pub(super) fn usage(body: &str) -> Result<Option<Usage>, String> {
    const WANTED: &[&str] = &["candidates", "promptFeedback", "usageMetadata", "totalTokens"];
    let members = Members::find(body, WANTED).map_err(|e| e.to_string())?;
    if WANTED.iter().all(|name| members.get(name).is_none()) {
        return Err("it has no `candidates`".to_owned());
    }
    let usage: Option<WireUsage> = members.read("usageMetadata").map_err(|e| e.to_string())?;
    Ok(usage.as_ref().map(Usage::from))
}

pub(super) fn write(response: &Response, answer: &AnswerFor) -> Vec<u8> {
    let candidate = |(index, choice)| candidate(index, choice, answer);
    let out = OutAnswer {
        candidates: response.choices.iter().enumerate().map(candidate).collect(),
        usage_metadata: response.usage.as_ref().map(WireUsage::from),
        model_version: &response.model,
        response_id: &response.id,
    };
    crate::json::written(&out)
}

fn candidate<'r>(index: usize, choice: &'r Choice, answer: &AnswerFor) -> OutCandidate<'r> {
    let mut parts = Vec::with_capacity(choice.said.len());
    for said in &choice.said {
        parts.push(part(said, answer));
    }
    let text = choice.text().unwrap_or_default();
    OutCandidate {
        content: OutContent::new(parts),
        finish_reason: Some(finish_reason(&choice.stop)),
        citation_metadata: CitationMetadata::of(choice.citations(), &text),
        logprobs_result: LogprobsResult::of(&choice.logprobs),
        index,
    }
}

fn part<'r>(said: &'r Said, answer: &AnswerFor) -> OutPart<'r> {
    match said {
        Said::Text { text, .. } | Said::Refusal(text) => OutPart::plain(text),
        Said::Thinking { text, seal } => {
            let signature = seal.as_ref().map(|seal| seal.for_client(NAME).into());
            OutPart::plain(text).thought().signed(signature)
        }
        Said::Redacted(seal) => OutPart::plain("").signed(Some(seal.for_client(NAME).into())),
        // The call stands in for an answer to a schema: its arguments are the text.
        Said::ToolCall(call) if answer.schema_tool && call.name == SCHEMA_TOOL => {
            OutPart::plain(&call.arguments)
        }
        Said::ToolCall(call) => {
            let signature: Option<Cow<'_, str>> = call.seal.as_ref().map(|seal| seal.for_client(NAME).into());
            OutPart::call(Some(&call.id), &call.name, kept(&call.arguments)).signed(signature)
        }
        Said::Image { media_type, data } => OutPart::inline(media_type, data),
    }
}

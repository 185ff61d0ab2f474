//! A whole answer, into the neutral form.

use serde::Deserialize;
use tollgate_core::usage::Usage;

use super::parts::Part;
use super::seal;
use super::usage::WireUsage;
use crate::chat::{Choice, Response, Said, StopReason, ToolCall};
use crate::json::Members;

/// The answer, whole or as an event of a stream holds it.
#[derive(Deserialize)]
pub(super) struct Written {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) model: String,
    /// A number by the document, with a fraction at some servers.
    #[serde(default)]
    created_at: f64,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    incomplete_details: Option<Details>,
    #[serde(default)]
    error: Option<Failure>,
    #[serde(default)]
    output: Option<Vec<WrittenItem>>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Details {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    message: String,
}

/// An item. Those of OpenAI's own tools are passed over.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WrittenItem {
    Message {
        #[serde(default)]
        content: Vec<Part>,
    },
    Reasoning(Thought),
    FunctionCall {
        #[serde(default)]
        call_id: String,
        name: String,
        #[serde(default)]
        arguments: String,
    },
    ImageGenerationCall {
        #[serde(default)]
        result: Option<String>,
        #[serde(default)]
        output_format: Option<String>,
    },
    #[serde(other)]
    Other,
}

/// A reasoning item: a summary, or the thought itself at servers of open models.
#[derive(Deserialize)]
pub(super) struct Thought {
    #[serde(default)]
    id: String,
    #[serde(default)]
    summary: Option<Vec<ThoughtPart>>,
    #[serde(default)]
    content: Option<Vec<ThoughtPart>>,
    #[serde(default)]
    encrypted_content: Option<String>,
}

#[derive(Deserialize)]
struct ThoughtPart {
    #[serde(default)]
    text: String,
}

impl Thought {
    /// What is told of it, and its seal.
    pub(super) fn into_neutral(self) -> Option<Said> {
        let summary = self.summary.filter(|summary| !summary.is_empty());
        let told = summary.or(self.content.filter(|content| !content.is_empty()));
        let text = told.map(|told| told.into_iter().map(|part| part.text).collect::<Vec<_>>().join("\n\n"));
        let sealed = self.encrypted_content.filter(|sealed| !sealed.is_empty());
        let seal = sealed.map(|sealed| seal::seal(&self.id, &sealed));
        match (text, seal) {
            (Some(text), seal) => Some(Said::Thinking { text, seal }),
            (None, Some(seal)) => Some(Said::Redacted(seal)),
            (None, None) => None,
        }
    }
}

impl Written {
    /// Why it ended.
    pub(super) fn stop(&self, any_calls: bool, any_refusal: bool) -> StopReason {
        let details = self.incomplete_details.as_ref();
        match (self.status.as_deref(), details.and_then(|details| details.reason.as_deref())) {
            (Some("incomplete"), Some("content_filter")) => StopReason::Refused,
            (Some("incomplete"), _) => StopReason::MaxTokens,
            _ if any_calls => StopReason::ToolCalls,
            _ if any_refusal => StopReason::Refused,
            _ => StopReason::End,
        }
    }
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let mut written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    if let Some(failure) = &written.error {
        return Err(format!("it says that it failed: {}", failure.message));
    }
    let items = written.output.take().ok_or("it has no `output`")?;
    let mut choice = Choice::default();
    for item in items {
        push_item(&mut choice, item);
    }
    let (any_calls, any_refusal) = (choice.calls().next().is_some(), choice.refusal().is_some());
    choice.stop = written.stop(any_calls, any_refusal);
    Ok(Response {
        id: written.id,
        model: written.model,
        created: seconds(written.created_at),
        choices: vec![choice],
        usage: written.usage.as_ref().map(Usage::from),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "seconds since 1970; out of range saturates")]
fn seconds(number: f64) -> i64 {
    number as i64
}

fn push_item(choice: &mut Choice, item: WrittenItem) {
    match item {
        WrittenItem::Message { content } => content.into_iter().for_each(|part| push_part(choice, part)),
        WrittenItem::Reasoning(thought) => choice.said.extend(thought.into_neutral()),
        WrittenItem::FunctionCall { call_id, name, arguments } => {
            choice.said.push(Said::ToolCall(ToolCall { id: call_id, name, arguments, seal: None }));
        }
        WrittenItem::ImageGenerationCall { result: Some(data), output_format } => {
            choice.said.push(Said::Image { media_type: media_type(output_format), data });
        }
        WrittenItem::ImageGenerationCall { .. } | WrittenItem::Other => {}
    }
}

fn push_part(choice: &mut Choice, part: Part) {
    match part {
        Part::OutputText { text, annotations, logprobs } => {
            choice.logprobs.extend(logprobs.into_iter().flatten().map(super::parts::Token::into_neutral));
            let citations =
                annotations.into_iter().filter_map(super::parts::Annotation::into_neutral).collect();
            choice.said.push(Said::Text { text, citations });
        }
        Part::Refusal { refusal } => choice.said.push(Said::Refusal(refusal)),
        Part::Other => {}
    }
}

/// Such as `png`; that is also what holds when nothing is said.
pub(super) fn media_type(output_format: Option<String>) -> String {
    format!("image/{}", output_format.as_deref().unwrap_or("png"))
}

/// Only what the meter needs. `output` must be there: a body without it is no answer.
pub(super) fn usage(body: &str) -> Result<Option<Usage>, String> {
    let members = Members::find(body, &["output", "usage"]).map_err(|e| e.to_string())?;
    if members.get("output").is_none() {
        return Err("it has no `output`".to_owned());
    }
    let usage: Option<WireUsage> = members.read("usage").map_err(|e| e.to_string())?;
    Ok(usage.as_ref().map(Usage::from))
}

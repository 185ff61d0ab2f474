//! The items of an answer and the answer around them, as they are written whole and in a stream.

use serde::Serialize;

use super::parts::Part;
use super::usage::WireUsage;
use crate::chat::StopReason;

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// It goes on.
    InProgress,
    /// It is whole.
    Completed,
    /// It was cut off.
    Incomplete,
    /// There is none.
    Failed,
}

/// An item of the answer.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) status: Status,
    #[serde(flatten)]
    pub(super) kind: Kind,
}

/// What an item is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Kind {
    /// Text and refusals.
    Message { role: &'static str, content: Vec<Part> },
    /// A thought.
    Reasoning { summary: Vec<Summary>, encrypted_content: Option<String> },
    /// A call of a function.
    FunctionCall { call_id: String, name: String, arguments: String },
    /// A call of a tool of free text.
    CustomToolCall { call_id: String, name: String, input: String },
    /// A picture.
    ImageGenerationCall { result: String },
}

/// What is told of a thought.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary_text")]
pub(super) struct Summary {
    pub(super) text: String,
}

impl Kind {
    pub(super) fn message() -> Self {
        Self::Message { role: "assistant", content: Vec::new() }
    }

    /// A thought of which nothing is told yet.
    pub(super) fn thought(encrypted_content: Option<String>) -> Self {
        Self::Reasoning { summary: Vec::new(), encrypted_content }
    }

    /// How many bytes it holds when it begins.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Message { .. } => 0,
            Self::Reasoning { encrypted_content, .. } => encrypted_content.as_ref().map_or(0, String::len),
            Self::FunctionCall { call_id, name, .. } | Self::CustomToolCall { call_id, name, .. } => {
                call_id.len() + name.len()
            }
            Self::ImageGenerationCall { result } => result.len(),
        }
    }

    /// What the ids of such items begin with.
    fn prefix(&self) -> &'static str {
        match self {
            Self::Message { .. } => "msg",
            Self::Reasoning { .. } => "rs",
            Self::FunctionCall { .. } => "fc",
            Self::CustomToolCall { .. } => "ctc",
            Self::ImageGenerationCall { .. } => "ig",
        }
    }
}

/// The ids of an answer, all made from the upstream's: the same answer has the same ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    base: String,
}

/// What the ids of answers begin with, here and elsewhere.
const PREFIXES: &[&str] = &["resp_", "chatcmpl-", "msg_"];

impl Ids {
    pub(super) fn of(upstream: &str) -> Self {
        let bare = PREFIXES.iter().find_map(|prefix| upstream.strip_prefix(prefix)).unwrap_or(upstream);
        let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        Self { base: bare.chars().map(clean).collect() }
    }

    /// The answer's.
    pub(super) fn response(&self) -> String {
        format!("resp_{}", self.base)
    }

    /// A new item, which is the answer's item number `index`.
    pub(super) fn item(&self, kind: Kind, status: Status, index: usize) -> Item {
        Item { id: format!("{}_{}_{index}", kind.prefix(), self.base), status, kind }
    }
}

/// Why an answer is incomplete.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Incomplete {
    reason: &'static str,
}

/// Why the answer is incomplete, if it is. A refusal that was said is a whole answer.
pub(super) fn incomplete(stop: &StopReason, any_refusal: bool) -> Option<Incomplete> {
    match stop {
        StopReason::MaxTokens | StopReason::ContextFull => Some(Incomplete { reason: "max_output_tokens" }),
        StopReason::Refused if !any_refusal => Some(Incomplete { reason: "content_filter" }),
        _ => None,
    }
}

/// The answer. What it repeats of the request is what holds where the request says nothing: clients demand the
/// members and make nothing of them.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'w> {
    pub(super) id: &'w str,
    object: &'static str,
    created_at: i64,
    pub(super) status: Status,
    error: Option<Failure<'w>>,
    pub(super) incomplete_details: Option<Incomplete>,
    instructions: Option<()>,
    model: &'w str,
    pub(super) output: &'w [Item],
    parallel_tool_calls: bool,
    temperature: Option<()>,
    tool_choice: &'static str,
    tools: [(); 0],
    top_p: Option<()>,
    metadata: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<WireUsage>,
}

#[derive(Debug, Serialize)]
struct Empty {}

/// Why there is no answer.
#[derive(Debug, Serialize)]
struct Failure<'w> {
    code: &'w str,
    message: &'w str,
}

impl<'w> Answer<'w> {
    /// One that has just begun.
    pub(super) fn begun(id: &'w str, model: &'w str, created_at: i64) -> Self {
        Self {
            id,
            object: "response",
            created_at,
            status: Status::InProgress,
            error: None,
            incomplete_details: None,
            instructions: None,
            model,
            output: &[],
            parallel_tool_calls: true,
            temperature: None,
            tool_choice: "auto",
            tools: [],
            top_p: None,
            metadata: Empty {},
            usage: None,
        }
    }

    /// The same when it has ended.
    pub(super) fn ended(self, output: &'w [Item], why: Option<Incomplete>, usage: Option<WireUsage>) -> Self {
        let status = if why.is_some() { Status::Incomplete } else { Status::Completed };
        Self { status, incomplete_details: why, output, usage, ..self }
    }

    /// One that failed.
    pub(super) fn failed(self, code: &'w str, message: &'w str) -> Self {
        Self { status: Status::Failed, error: Some(Failure { code, message }), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_for_the_same_answer_and_fit_a_path() {
        let ids = Ids::of("chatcmpl-a/1");
        assert_eq!(ids.response(), "resp_a_1");
        assert_eq!(ids.item(Kind::message(), Status::Completed, 2).id, "msg_a_1_2");
        assert_eq!(Ids::of("resp_1").response(), "resp_1");
    }
}

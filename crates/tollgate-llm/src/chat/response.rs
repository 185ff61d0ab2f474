//! What a model answers, whole or as a stream.

use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;

/// A whole answer.
#[derive(Debug, Default)]
pub struct Response {
    /// The upstream's id for it.
    pub id: String,
    /// The model, as the upstream calls it.
    pub model: String,
    /// When it was made, seconds since 1970; 0 where the upstream does not say.
    pub created: i64,
    /// The text.
    pub text: Option<String>,
    /// The text of a refusal.
    pub refusal: Option<String>,
    /// The tools that the model wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub stop: StopReason,
    /// What it used.
    pub usage: Option<Usage>,
}

/// A tool that the model wants called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Ties the result to the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments: a JSON object as text.
    pub arguments: String,
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StopReason {
    /// It was complete.
    #[default]
    End,
    /// One of the client's stop texts came up; which, where the upstream says so.
    StopText(Option<String>),
    /// It reached the longest answer that was asked for.
    MaxTokens,
    /// It wants tools called.
    ToolCalls,
    /// The model or the provider's filter refused.
    Refused,
    /// The context window was full.
    ContextFull,
    /// The provider paused a long turn; sending it back goes on.
    Paused,
}

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The answer begins.
    Start {
        /// The upstream's id for it.
        id: String,
        /// The model, as the upstream calls it.
        model: String,
        /// What is known of the usage by now.
        usage: Option<Usage>,
    },
    /// More text.
    Text(String),
    /// More of a refusal.
    Refusal(String),
    /// A tool call begins. Calls are numbered from 0.
    ToolStart {
        /// Which call.
        index: usize,
        /// Ties the result to the call.
        id: String,
        /// The tool.
        name: String,
    },
    /// More of a call's arguments.
    ToolArguments {
        /// Which call.
        index: usize,
        /// A piece of a JSON object's text.
        fragment: String,
    },
    /// The model has stopped.
    Stop(StopReason),
    /// The usage so far; the last one counts.
    Usage(Usage),
    /// The answer is complete.
    Done,
    /// The upstream failed in the middle.
    Failed(UpstreamError),
}

//! The entries that calls and events leave in the journal. Their members are a public format: one JSON object
//! a line, told apart by `entry`. `docs/records.md` describes each member.

mod capture;
mod checkpoint;
mod counted;
mod labels;
mod tools;

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

pub use self::capture::{Capture, CaptureMode, Direction, Frame, Kept};
pub use self::checkpoint::{Checkpoint, HeldMore, Total};
pub use self::counted::{Counted, Counts, SPENT_ELSEWHERE};
pub use self::labels::{end_user, tags};
pub use self::tools::{AskedFor, ChosenTool, ToolUse, ToolsOffered};
use crate::call::CallId;
use crate::config::file::Strategy;
use crate::digest::Digest;
use crate::effect::Effect;
use crate::fault::{Blame, FaultClass, SideEffect};
use crate::price::Cost;
use crate::principal::Principal;
use crate::trace::{SpanId, TraceId};
use crate::usage::Usage;

/// One line of the journal.
#[derive(Debug, Serialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry<'a> {
    /// Written before the first byte of a call may go upstream.
    Opened(&'a Opened<'a>),
    /// Written before each further attempt.
    Attempt(&'a Attempt<'a>),
    /// Written once, on every exit.
    Closed(&'a Closed<'a>),
    /// Something that is no call.
    Event(&'a Event<'a>),
    /// What stands at the beginning of a segment, so that it needs none before it.
    Checkpoint(&'a Checkpoint<'a>),
}

/// Where a call belongs.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// What all calls of the trace share.
    pub trace_id: TraceId,
    /// This call's own span; that of attempt N differs in its last bits, see [`SpanId::of`].
    pub span_id: SpanId,
    /// The span that caused it, as the caller's `traceparent` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// The call that caused it, where the gate knows which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// Why a call belongs to the trace of another.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Cause {
    /// Its prompt carries the result of a tool call that the model chose in that call.
    ToolCall {
        /// The call whose answer chose the tool.
        call_id: CallId,
        /// The model's id for the choice.
        tool_call_id: String,
    },
    /// It executes the tool call that the model chose in that call.
    Choice {
        /// The call whose answer chose the tool.
        call_id: CallId,
        /// The model's id for the choice.
        tool_call_id: String,
    },
    /// It goes on with that call, whose answer was a question.
    Retry {
        /// The call that was answered with the question.
        call_id: CallId,
    },
    /// It takes back what that call did.
    Undo {
        /// The call that is taken back.
        call_id: CallId,
    },
    /// An operator sent it again.
    Replay {
        /// The original, as the operator named it.
        call_id: CallId,
    },
}

/// What is held for a call until it is settled.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Reservation {
    /// What it may use: its prompt, and the longest answer that it asks for.
    pub usage: Usage,
    /// What that costs at the dearest deployment that may be tried.
    #[serde(rename = "cost_nano_usd")]
    pub cost: Cost,
}

/// A call that may go upstream now.
#[derive(Debug, Serialize)]
pub struct Opened<'a> {
    /// When.
    pub at: Timestamp,
    /// Which call.
    pub call_id: CallId,
    /// Where it belongs.
    pub trace: &'a Trace,
    /// On whose behalf.
    pub principal: &'a Principal,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The client's protocol, such as `openai_chat` or `mcp`.
    pub surface: &'a str,
    /// The public model name; absent where no model is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// The deployment, or the tool server, of the first attempt.
    pub deployment: &'a str,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// What it can change, apart from what it costs.
    pub effect: Effect,
    /// What is held for it.
    pub reservation: Reservation,
    /// Under which budgets and limits how much of that is held.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub held: &'a Counts,
    /// Size of the request body.
    pub request_bytes: u64,
    /// Keyed digest of the request body.
    pub request_digest: Digest,
    /// What is asked of which tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<&'a ToolUse>,
    /// The tools that the model is offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<&'a ToolsOffered>,
    /// The tool calls whose results the prompt carries, the latest last.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub results: &'a [String],
    /// Request headers that the configuration allows into records.
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "as_map")]
    pub headers: &'a [(String, String)],
    /// The caller's own user, as the caller says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<&'a str>,
    /// What the caller wants it counted under.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub tags: &'a [String],
    /// What was kept of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<&'a Capture>,
}

fn as_map<S: serde::Serializer>(pairs: &&[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// A further attempt of an open call.
#[derive(Debug, Serialize)]
pub struct Attempt<'a> {
    /// When.
    pub at: Timestamp,
    /// Which call.
    pub call_id: CallId,
    /// Its number; the first attempt is 1 and is part of `opened`.
    pub number: u32,
    /// The deployment that is tried now.
    pub deployment: &'a str,
    /// Why the attempt before failed; absent where it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultClass>,
    /// Whether this one is made because the attempt before has not begun to answer, and goes on beside it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hedge: bool,
    /// Under which budgets and limits how much is held for the whole call from now on.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub held: &'a Counts,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered; the last byte was handed to the transport.
    Ok,
    /// Refused by the gate before any upstream was asked.
    Refused,
    /// No upstream answered, or its answer broke off.
    Failed,
    /// The client went away first.
    ClientGone,
    /// The gate died before the call had ended: it may have been sent.
    Unknown,
}

impl Outcome {
    /// The name in records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::ClientGone => "client_gone",
            Self::Unknown => "unknown",
        }
    }
}

/// The end of a call.
#[derive(Debug, Serialize)]
pub struct Closed<'a> {
    /// When.
    pub at: Timestamp,
    /// Which call.
    pub call_id: CallId,
    /// Where it belongs.
    pub trace: &'a Trace,
    /// On whose behalf.
    pub principal: &'a Principal,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The client's protocol.
    pub surface: &'a str,
    /// The public model name; absent when the request could not be read that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// The deployment, or the tool server, that answered; absent when none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<&'a str>,
    /// What was asked of which tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<&'a ToolUse>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status that the client got.
    pub status: u16,
    /// Why, when it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultEntry<'a>>,
    /// Every attempt, in order.
    pub attempts: &'a [AttemptEntry],
    /// Why the deployments were tried in this order; absent where there was no choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a RouteEntry>,
    /// What was used; absent when nothing was sent upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What it cost; absent when nothing was sent upstream.
    #[serde(rename = "cost_nano_usd", skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Under which budgets and limits how much was counted.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub counted: &'a Counts,
    /// The tool calls that the model chose.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub chosen: &'a [ChosenTool],
    /// What the gate changed in the request, and on whose account.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub edits: &'a [EditEntry],
    /// The caller's own user, as the caller says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<&'a str>,
    /// What the caller wants it counted under.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub tags: &'a [String],
    /// From the request's arrival to the answer's end.
    pub duration_us: u64,
    /// Until the first byte of the answer was ready for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Size of the answer's body as sent to the client.
    pub response_bytes: u64,
    /// Keyed digest of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_digest: Option<Digest>,
    /// What was kept of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<&'a Capture>,
}

/// A change that the gate made to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EditEntry {
    /// What made it: `model` (the deployment's name for it), `translation`, `drop_params`, `image_urls`, `count_tokens`.
    pub by: &'static str,
    /// What was changed, in words.
    pub what: String,
}

/// A fault in a record.
#[derive(Debug, Serialize)]
pub struct FaultEntry<'a> {
    /// What kind.
    pub class: FaultClass,
    /// Who has to change something.
    pub blame: Blame,
    /// Whether trying again may help.
    pub retryable: bool,
    /// Whether the call had an effect all the same.
    pub side_effect: SideEffect,
    /// What happened.
    pub message: &'a str,
}

/// One attempt in a `closed` entry.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptEntry {
    /// The deployment, or the tool server.
    pub deployment: Arc<str>,
    /// The upstream's HTTP status; absent when it never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed; absent when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultClass>,
    /// The upstream's own id for the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    /// When it began, from the request's arrival.
    pub started_us: u64,
    /// How long until the upstream's answer began, or the attempt failed.
    pub waited_us: u64,
    /// What it used; absent where nothing is charged for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What that cost.
    #[serde(rename = "cost_nano_usd", skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// How a model's deployments were put in order.
#[derive(Clone, Debug, Serialize)]
pub struct RouteEntry {
    /// The strategy that decided among equals.
    pub strategy: Strategy,
    /// Those that could be tried, in the order in which they would be.
    pub considered: Vec<Considered>,
    /// Those that could not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Considered>,
}

/// A deployment in a routing decision.
#[derive(Clone, Debug, Serialize)]
pub struct Considered {
    /// The deployment.
    pub deployment: Arc<str>,
    /// What was known of it then: `weight 3`, `rests for 12000 ms`.
    pub because: String,
}

/// Something that is no call.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// When.
    pub at: Timestamp,
    /// What, such as `start`, `reload`, `egress`.
    pub event: &'a str,
    /// The call that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// The rest, by name.
    pub detail: serde_json::Value,
}

//! The entries that calls and events leave in the journal. Their members are a public format: one JSON object
//! a line, told apart by `entry`. `docs/records.md` describes each member.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::call::CallId;
use crate::config::file::Strategy;
use crate::fault::{Blame, Fault, FaultClass};
use crate::price::Cost;
use crate::principal::Principal;
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
}

/// A call that may go upstream now.
#[derive(Debug, Serialize)]
pub struct Opened<'a> {
    /// When.
    pub at: Timestamp,
    /// Which call.
    pub call_id: CallId,
    /// On whose behalf.
    pub principal: &'a Principal,
    /// The client's protocol, such as `openai_chat`.
    pub surface: &'a str,
    /// The public model name.
    pub model: &'a str,
    /// The deployment of the first attempt.
    pub deployment: &'a str,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Size of the request body.
    pub request_bytes: u64,
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
}

impl Outcome {
    /// The name in records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::ClientGone => "client_gone",
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
    /// On whose behalf.
    pub principal: &'a Principal,
    /// The client's protocol.
    pub surface: &'a str,
    /// The public model name; absent when the request could not be read that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// The deployment that answered; absent when none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<&'a str>,
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
    /// What the gate changed in the request: `model`, members that were dropped.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub edits: &'a [String],
    /// From the request's arrival to the answer's end.
    pub duration_us: u64,
    /// Until the first byte of the answer was ready for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Size of the answer's body as sent to the client.
    pub response_bytes: u64,
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
    /// What happened.
    pub message: &'a str,
}

impl<'a> From<&'a Fault> for FaultEntry<'a> {
    fn from(fault: &'a Fault) -> Self {
        Self {
            class: fault.class,
            blame: fault.class.blame(),
            retryable: fault.retryable(),
            message: &fault.message,
        }
    }
}

/// One attempt in a `closed` entry.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptEntry {
    /// The deployment.
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

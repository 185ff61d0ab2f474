//! What a call's record says besides its course: where it belongs, which tools it is about, digests of its content.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;
use tollgate_core::call::CallId;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::digest::{Digest, DigestKey, Digesting};
use tollgate_core::principal::Principal;
use tollgate_core::record::{AskedFor, Cause, ChosenTool, ToolUse, ToolsOffered, Trace, tags};
use tollgate_core::trace::TraceParent;
use tollgate_llm::chat::{ToolCall, bare_id};
use tollgate_llm::tool_facts::{ToolFacts, canonical_arguments, clipped};

use super::Film;
use crate::causes::Causes;
use crate::inbound::Inbound;

/// The header by which an operator's client says of which call its own is a replay, or which one it takes back.
const CAUSE: &str = "x-tollgate-cause";

/// What stands before the call's id where the client's own takes it back.
const UNDO: &str = "undo ";

/// The headers in which a client says under which tags its call is to be counted: the gate's own, and LiteLLM's.
const TAGS: [&str; 2] = ["x-tollgate-tags", "x-litellm-tags"];

/// The longest header value that is recorded.
const LONGEST_VALUE: usize = 512;

/// So many choices of one answer are recorded.
const MOST_CHOSEN: usize = 128;

/// What a call's record says besides its course.
#[derive(Debug)]
pub(super) struct Witness {
    pub(super) trace: Trace,
    /// Whether the caller keeps its part of the trace.
    pub(super) sampled: bool,
    /// Whether the caller has said which trace it is.
    told: bool,
    pub(super) peer: Option<IpAddr>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) end_user: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) request_digest: Option<Digest>,
    pub(super) tool: Option<ToolUse>,
    pub(super) tools: Option<ToolsOffered>,
    pub(super) results: Vec<String>,
    pub(super) chosen: Vec<ChosenTool>,
    pub(super) film: Option<Arc<Film>>,
    answer: Option<Digesting>,
}

impl Witness {
    /// What is said of it. An `operator` may say why the call is made; of others that would be an excuse.
    pub(super) fn new(call: CallId, inbound: &Inbound, snapshot: &Snapshot, operator: bool) -> Self {
        let told: Option<TraceParent> =
            inbound.header("traceparent").and_then(|value| value.trim().parse().ok());
        let cause = inbound.header(CAUSE).map(str::trim).filter(|_| operator);
        let replayed = cause.and_then(|id| id.parse().ok());
        let undone = cause.and_then(|said| said.strip_prefix(UNDO)?.trim().parse().ok());
        let value = |name: &http::HeaderName| {
            let value = inbound.header(name.as_str())?;
            Some((name.to_string(), value[..value.floor_char_boundary(LONGEST_VALUE)].to_owned()))
        };
        Self {
            trace: Trace {
                trace_id: told.map_or(call.trace(), |told| told.trace),
                span_id: call.span(0),
                parent_span_id: told.map(|told| told.span),
                cause: (replayed.map(|call_id| Cause::Replay { call_id }))
                    .or(undone.map(|call_id| Cause::Undo { call_id })),
            },
            sampled: told.is_none_or(|told| told.sampled),
            told: told.is_some(),
            peer: inbound.peer.map(|peer| peer.to_canonical()),
            headers: snapshot.capture.headers.iter().filter_map(value).collect(),
            end_user: None,
            tags: tags(TAGS.iter().filter_map(|name| inbound.header(name))),
            request_digest: None,
            tool: None,
            tools: None,
            results: Vec::new(),
            chosen: Vec::new(),
            film: None,
            answer: None,
        }
    }

    /// Takes what the request says of tools, and ties the call to the one that chose the last of them.
    pub(super) fn tools(
        &mut self,
        facts: ToolFacts,
        principal: &Principal,
        causes: &Causes,
        key: &DigestKey,
    ) {
        if facts.count > 0 {
            let digest = key.digest(facts.definitions.as_bytes());
            self.tools = Some(ToolsOffered { count: facts.count, names: facts.names, digest });
        }
        self.results = facts.results;
        if self.trace.cause.is_some() {
            return;
        }
        // Of a conversation all results are sent again; the last one is new.
        let Some(last) = self.results.last() else { return };
        let Some((call_id, trace_id)) = causes.of(principal, last) else { return };
        self.trace.cause = Some(Cause::ToolCall { call_id, tool_call_id: last.clone() });
        if !self.told {
            self.trace.trace_id = trace_id;
        }
    }

    /// Takes why the call is made, where nothing else is known.
    pub(super) fn caused_by(&mut self, cause: Cause) {
        self.trace.cause.get_or_insert(cause);
    }

    /// Takes what is asked of a tool server, and ties the call to the one whose answer chose it.
    pub(super) fn asks(&mut self, mut tool: ToolUse, principal: &Principal, causes: &Causes) {
        let name = tool.shown_as.as_ref().or(tool.name.as_ref());
        // What is only rehearsed executes no choice.
        if let (Some(name), Some(arguments), false) = (name, tool.arguments_digest, tool.dry_run) {
            let choice = causes.choice(principal, name, arguments);
            tool.asked = Some(choice.as_ref().map_or(AskedFor::No, |choice| choice.asked));
            if let Some(choice) = choice.filter(|_| self.trace.cause.is_none()) {
                self.trace.cause =
                    Some(Cause::Choice { call_id: choice.call_id, tool_call_id: choice.tool_call_id });
                if !self.told {
                    self.trace.trace_id = choice.trace_id;
                }
            }
        }
        self.tool = Some(tool);
    }

    /// Notes the tool calls that the model chose.
    pub(super) fn chose<'a>(&mut self, calls: impl Iterator<Item = &'a ToolCall>, key: &DigestKey) {
        let chosen = calls.take(MOST_CHOSEN).map(|call| ChosenTool {
            id: clipped(&bare_id(call.id.as_str().into())).to_owned(),
            name: clipped(&call.name).to_owned(),
            arguments_digest: key.digest(canonical_arguments(&call.arguments).as_bytes()),
        });
        self.chosen = chosen.collect();
    }

    /// Takes a piece of the answer.
    pub(super) fn answering(&mut self, piece: &[u8], key: &DigestKey) {
        self.answer.get_or_insert_with(|| key.digesting()).push(piece);
    }

    /// The digest of the answer so far.
    pub(super) fn answer_digest(&self) -> Option<Digest> {
        self.answer.as_ref().map(Digesting::finish)
    }

    /// Begins to keep content, where the configuration says so for `model`.
    pub(super) fn film(&mut self, snapshot: &Snapshot, model: &str, arrived: Instant) {
        self.film = Film::of(&snapshot.capture, model, arrived, false);
    }

    /// The same of a tool call, where what passes is also kept for whoever takes it back.
    pub(super) fn film_tool(&mut self, snapshot: &Snapshot, tool: &ToolUse, arrived: Instant) {
        self.film = Film::of(&snapshot.capture, "", arrived, tool.undo.is_some());
    }
}

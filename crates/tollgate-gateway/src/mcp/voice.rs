//! How faults are said in MCP: as errors of JSON-RPC, with the fault as data beside the message for people. A call that
//! got as far as a tool says the same in the `_meta` of its result.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use tollgate_core::fault::{Blame, Fault, FaultClass, SideEffect};
use tollgate_llm::formats::Shown;
use tollgate_mcp::json::{object, quoted};
use tollgate_mcp::message::{Failure, codes, error, response};
use tollgate_mcp::revision::Revision;

use super::client::Client;
use crate::voice::Voice;

/// The surface's name.
pub(crate) const NAME: &str = "mcp";

/// What a fault is called in `_meta` and in the data of errors.
pub(crate) const FAULT: &str = "tollgate/fault";

/// How one request is answered that went wrong.
#[derive(Clone, Debug)]
pub(crate) struct McpVoice {
    /// The request's id, as it is written; `None` where it could not be read.
    pub(crate) id: Option<String>,
    /// What the client speaks.
    pub(crate) revision: Revision,
    /// The code, where it is not the one of the fault's class.
    pub(crate) code: Option<i64>,
    /// More for programs, a JSON object, instead of the fault: what the protocol defines for the code.
    pub(crate) data: Option<String>,
    /// Whether a tool is called: then what a model can learn from is said in a result, which models get to read.
    pub(crate) of_tool: bool,
    /// Where clients find out where to get tokens, where that is said.
    pub(crate) metadata: Option<Arc<str>>,
    /// Whether the client opens addresses that its user is to see.
    pub(crate) opens_addresses: bool,
}

/// A fault as programs read it.
#[derive(Debug, Serialize)]
pub(crate) struct FaultData<'a> {
    class: FaultClass,
    blame: Blame,
    retryable: bool,
    side_effect: SideEffect,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
}

impl<'a> FaultData<'a> {
    /// What `shown` is.
    pub(crate) fn of(shown: &Shown<'a>) -> Self {
        let fault = shown.fault;
        Self {
            class: fault.class,
            blame: fault.class.blame(),
            retryable: fault.retryable(),
            side_effect: shown.side_effect,
            retry_after_ms: fault.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            call_id: shown.call_id.map(|id| id.to_string()),
            param: fault.param.as_deref(),
        }
    }

    /// As JSON.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The error code of a class: the protocol's where it has one, and otherwise that of a server's own errors (JSON-RPC 2.0
/// §5.1).
fn code(class: FaultClass) -> i64 {
    use FaultClass as C;
    match class {
        C::Invalid | C::InvalidArguments | C::ToolNotFound | C::Unsupported => codes::INVALID_PARAMS,
        C::MethodNotFound | C::RouteNotFound | C::MethodNotAllowed => codes::METHOD_NOT_FOUND,
        C::HeaderMismatch => codes::HEADER_MISMATCH,
        C::TooLarge | C::MediaType | C::SessionOver => codes::INVALID_REQUEST,
        C::Internal | C::BadUpstream => codes::INTERNAL_ERROR,
        _ => -32_000,
    }
}

impl Default for McpVoice {
    fn default() -> Self {
        Self::unread(Revision::NEWEST_STATEFUL)
    }
}

impl McpVoice {
    /// The voice for a request of which nothing is known but that its client speaks `revision`.
    pub(crate) fn unread(revision: Revision) -> Self {
        let opens_addresses = false;
        Self { id: None, revision, code: None, data: None, of_tool: false, metadata: None, opens_addresses }
    }

    /// The voice for a request of `client` for `method`.
    pub(crate) fn of(client: &Client, method: &str) -> Self {
        let of_tool = method == "tools/call";
        // Only this revision has an error that says so.
        let opens_addresses = client.revision == Revision::V2025_11_25 && client.can("elicitation.url");
        Self { of_tool, opens_addresses, ..Self::unread(client.revision) }
    }

    /// The message that says `shown`.
    pub(crate) fn message(&self, shown: &Shown<'_>) -> String {
        if let Some(at) = shown.fault.mended_at.as_deref().filter(|_| self.opens_addresses) {
            return self.asks_to_open(at, shown);
        }
        if let Some(id) = self.id.as_deref().filter(|_| self.of_tool && teaches(shown.fault.class)) {
            return response(id, &self.result(shown));
        }
        let data = match &self.data {
            Some(data) => data.clone(),
            None => format!("{{\"{FAULT}\":{}}}", FaultData::of(shown).text()),
        };
        let failure = Failure {
            code: self.code.unwrap_or_else(|| code(shown.fault.class)),
            message: Cow::Borrowed(&shown.fault.message),
            data: Some(data.into()),
        };
        error(self.id.as_deref(), &failure, self.revision)
    }
}

impl McpVoice {
    /// The error that has the client open an address with its user, after which the request may be made again (2025-11-25,
    /// elicitation, URL mode).
    fn asks_to_open(&self, at: &str, shown: &Shown<'_>) -> String {
        let id = shown.call_id.map_or_else(|| "0".to_owned(), |id| id.to_string());
        let asked = object([
            ("mode", quoted("url").into()),
            ("elicitationId", quoted(&id).into()),
            ("url", quoted(at).into()),
            ("message", quoted(&shown.fault.message).into()),
        ]);
        let fault = FaultData::of(shown).text();
        let failure = Failure {
            code: codes::URL_ELICITATION_REQUIRED,
            message: Cow::Borrowed(&shown.fault.message),
            data: Some(format!("{{\"elicitations\":[{asked}],\"{FAULT}\":{fault}}}").into()),
        };
        error(self.id.as_deref(), &failure, self.revision)
    }

    /// The result of a tool that did not do what was asked (2025-11-25, tools, error handling).
    fn result(&self, shown: &Shown<'_>) -> String {
        let text = object([("type", quoted("text").into()), ("text", quoted(&shown.fault.message).into())]);
        let meta = format!("{{\"{FAULT}\":{}}}", FaultData::of(shown).text());
        let kind = self.revision.is_stateless().then(|| ("resultType", Cow::Owned(quoted("complete"))));
        let members = [
            ("content", Cow::Owned(format!("[{text}]"))),
            ("isError", "true".into()),
            ("_meta", meta.into()),
        ];
        object(members.into_iter().chain(kind))
    }
}

/// Whether a model can do better next time when it reads what was wrong.
fn teaches(class: FaultClass) -> bool {
    use FaultClass as C;
    matches!(class, C::InvalidArguments | C::NotApproved | C::ApprovalPending | C::NotConnected)
}

impl Voice for McpVoice {
    fn name(&self) -> &'static str {
        NAME
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        self.message(shown).into_bytes()
    }

    /// RFC 6750 §3, RFC 9728 §5.1: where to get a token, and what one must say.
    fn challenge(&self, fault: &Fault) -> Option<String> {
        let error = match fault.class {
            // Whoever sent none has not sent a wrong one.
            FaultClass::Unauthenticated => fault.param.as_ref().map(|_| "invalid_token"),
            FaultClass::InsufficientScope => Some("insufficient_scope"),
            _ => return None,
        };
        let plain = |text: &str| text.replace(['"', '\\'], "'");
        let said = error.map(|_| plain(&fault.message));
        let parts = [
            ("error", error.map(str::to_owned)),
            ("error_description", said.filter(|text| text.bytes().all(|b| matches!(b, 0x20..=0x7e)))),
            ("scope", fault.scopes.as_deref().map(str::to_owned)),
            ("resource_metadata", self.metadata.as_deref().map(str::to_owned)),
        ];
        let parts: Vec<String> =
            parts.into_iter().filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value?))).collect();
        Some(format!("Bearer {}", parts.join(", ")).trim_end().to_owned())
    }

    /// An error is an answer (200), but for what transports and OAuth clients look for in the status.
    fn status(&self, fault: &Fault) -> u16 {
        use FaultClass as C;
        let stateless = self.revision.is_stateless();
        match fault.class {
            C::Unauthenticated
            | C::InsufficientScope
            | C::RouteNotFound
            | C::MethodNotAllowed
            | C::TooLarge
            | C::MediaType
            | C::SlowRequest
            | C::HeaderMismatch
            | C::SessionOver => fault.status(),
            C::Forbidden | C::InstanceAway | C::Lost | C::Unavailable if self.id.is_none() => fault.status(),
            C::MethodNotFound if stateless => 404,
            C::Invalid if self.id.is_none() || self.code.is_some() => 400,
            _ => 200,
        }
    }
}

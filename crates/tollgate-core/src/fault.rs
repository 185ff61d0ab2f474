//! An error as data: who is to blame, what kind it is, whether trying again can help.

use std::time::Duration;

use serde::Serialize;

/// Who has to change something for the error to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The caller.
    Client,
    /// The gate or its configuration.
    Gate,
    /// The provider.
    Upstream,
    /// A tool.
    Tool,
}

impl Blame {
    /// The name in records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gate => "gate",
            Self::Upstream => "upstream",
            Self::Tool => "tool",
        }
    }
}

/// Whether something happened in the world all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SideEffect {
    /// No: nothing was sent, or it was refused before anything was done.
    None,
    /// Nobody knows: it was sent, and what became of it was not said.
    Possible,
    /// Yes.
    Certain,
}

macro_rules! fault_classes {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $status:literal, $blame:ident, $retryable:literal, $effect:ident;)+) => {
        /// What kind of error a [`Fault`] is. One line each: name, HTTP status, blame, whether a further
        /// attempt at the same upstream may succeed, whether a request that went out and failed so had an effect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FaultClass { $($(#[doc = $doc])+ $variant,)+ }

        impl FaultClass {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in records, metrics and error bodies.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }

            /// The HTTP status that a client gets, unless the upstream's own is kept.
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status,)+ } }

            /// Who has to change something.
            pub const fn blame(self) -> Blame { match self { $(Self::$variant => Blame::$blame,)+ } }

            /// Whether a further attempt at the same upstream may succeed.
            pub const fn retryable(self) -> bool { match self { $(Self::$variant => $retryable,)+ } }

            /// Whether a request that went upstream and failed so had an effect: it was worked on, and may be billed.
            pub const fn side_effect(self) -> SideEffect { match self { $(Self::$variant => SideEffect::$effect,)+ } }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str { match self { $(Self::$variant => concat!($($doc),+),)+ } }
        }
    };
}

fault_classes! {
    /// No credential, or one that is not known.
    Unauthenticated, "unauthenticated", 401, Client, false, None;
    /// The caller may not do this.
    Forbidden, "forbidden", 403, Client, false, None;
    /// The token lacks a scope that the tool wants; one that has it can be got.
    InsufficientScope, "insufficient_scope", 403, Client, false, None;
    /// Whoever calls has no account at the tool server, or has not connected it yet.
    NotConnected, "not_connected", 403, Client, false, None;
    /// No such model.
    ModelNotFound, "model_not_found", 404, Client, false, None;
    /// No such tool, prompt or resource, or none that the caller may know of.
    ToolNotFound, "tool_not_found", 404, Client, false, None;
    /// Nobody answers the method.
    MethodNotFound, "method_not_found", 404, Client, false, None;
    /// The arguments are not what the tool's schema says.
    InvalidArguments, "invalid_arguments", 400, Client, false, None;
    /// The tool's definition has changed, or is suspicious, and waits for somebody to approve it.
    ToolHeld, "tool_held", 403, Gate, false, None;
    /// The call wanted somebody's approval, and did not get it in time or at all.
    NotApproved, "not_approved", 403, Client, false, None;
    /// The client's session is not known, or over: it begins another.
    SessionOver, "session_over", 404, Client, true, None;
    /// The tool server does not know the session any more that the gate had with it: what it held is lost.
    SessionLost, "session_lost", 502, Upstream, true, None;
    /// The tool says that it failed.
    ToolFailed, "tool_failed", 502, Tool, false, Possible;
    /// No such path.
    RouteNotFound, "route_not_found", 404, Client, false, None;
    /// The path has no such method.
    MethodNotAllowed, "method_not_allowed", 405, Client, false, None;
    /// The request is malformed, or the upstream says that it is.
    Invalid, "invalid_request", 400, Client, false, None;
    /// The request asks for what the chosen upstream cannot express.
    Unsupported, "unsupported", 400, Client, false, None;
    /// The request's headers do not repeat what its body says.
    HeaderMismatch, "header_mismatch", 400, Client, false, None;
    /// The request is larger than a limit.
    TooLarge, "too_large", 413, Client, false, None;
    /// The content type is not JSON.
    MediaType, "unsupported_media_type", 415, Client, false, None;
    /// The client was too slow to send its request.
    SlowRequest, "request_timeout", 408, Client, true, None;
    /// The prompt is longer than the model's context window.
    ContextWindow, "context_window", 400, Client, false, None;
    /// The provider's content policy refused the prompt.
    ContentPolicy, "content_policy", 400, Client, false, None;
    /// The call waits for somebody's approval; it may be made again with the same arguments once that is given.
    ApprovalPending, "approval_pending", 403, Gate, true, None;
    /// The upstream's rate limit.
    RateLimited, "rate_limited", 429, Upstream, true, None;
    /// Every deployment is at a limit that the configuration sets.
    AtLimit, "at_limit", 429, Gate, true, None;
    /// A budget has no room for the call.
    BudgetExceeded, "budget_exceeded", 429, Client, false, None;
    /// A limit of requests, tokens or calls at the same time has no room for the call.
    LimitExceeded, "limit_exceeded", 429, Client, true, None;
    /// The upstream refused the gate's own credential, model name or address.
    UpstreamRefused, "upstream_refused", 502, Gate, false, None;
    /// The upstream failed.
    UpstreamFailed, "upstream_failed", 502, Upstream, true, Possible;
    /// The upstream is overloaded.
    Overloaded, "upstream_overloaded", 503, Upstream, true, None;
    /// No connection to the upstream.
    Connect, "connect", 502, Upstream, true, None;
    /// The upstream took longer than a time-out.
    Timeout, "timeout", 504, Upstream, true, Possible;
    /// The upstream sent what is no answer in its protocol.
    BadUpstream, "bad_upstream_response", 502, Upstream, true, Possible;
    /// The upstream's answer ended before its end.
    Cut, "upstream_cut", 502, Upstream, true, Possible;
    /// The client went away before its answer was complete.
    ClientGone, "client_gone", 499, Client, false, Possible;
    /// The instance of the gate that holds the client's session cannot be reached.
    InstanceAway, "instance_away", 503, Gate, true, None;
    /// Nothing can serve the model now: a credential is missing, or its provider is not supported.
    Unavailable, "unavailable", 503, Gate, false, None;
    /// The record cannot be written, so the call must not be made.
    Unrecordable, "unrecordable", 503, Gate, false, None;
    /// Another attempt of the call answered first.
    Superseded, "superseded", 499, Gate, false, Possible;
    /// The gate is stopping.
    Draining, "draining", 503, Gate, true, Possible;
    /// The call has already passed this gate: its upstream is the gate itself.
    Loop, "loop_detected", 508, Gate, false, None;
    /// The gate died before the call had ended: it may have been sent.
    Lost, "lost", 500, Gate, false, Possible;
    /// A defect of the gate.
    Internal, "internal", 500, Gate, false, Possible;
}

impl Serialize for FaultClass {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What an upstream said of its own error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// The format in which it was said: `kind`, `code` and `param` mean something in that format only.
    pub format: &'static str,
    /// HTTP status; 0 when the error came inside a stream.
    pub status: u16,
    /// The error's `type` member.
    pub kind: Option<String>,
    /// The error's `code` member.
    pub code: Option<String>,
    /// The error's `param` member.
    pub param: Option<String>,
    /// Its message.
    pub message: String,
}

/// An error as data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", class.name())]
pub struct Fault {
    /// What kind.
    pub class: FaultClass,
    /// What happened, why, and what to do about it.
    pub message: String,
    /// The member of the request that is to blame.
    pub param: Option<String>,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
    /// What the upstream said, when it was the upstream that failed.
    pub upstream: Option<Box<UpstreamError>>,
    /// The status, where the configuration wants another than the class's.
    pub configured_status: Option<u16>,
    /// The scopes that a token must have, where they are missing.
    pub scopes: Option<Box<str>>,
    /// Where a person mends it, in a browser.
    pub mended_at: Option<Box<str>>,
}

impl Fault {
    /// A fault of `class` that says `message`.
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            param: None,
            retry_after: None,
            upstream: None,
            configured_status: None,
            scopes: None,
            mended_at: None,
        }
    }

    /// The same, naming the request member that is to blame.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The HTTP status for the client: the upstream's own where it says more than the class does.
    pub fn status(&self) -> u16 {
        match (&self.upstream, self.class) {
            (Some(upstream), FaultClass::UpstreamFailed | FaultClass::Overloaded)
                if (500..600).contains(&upstream.status) =>
            {
                upstream.status
            }
            (Some(upstream), FaultClass::Invalid)
                if matches!(upstream.status, 400 | 409 | 413 | 415 | 422) =>
            {
                upstream.status
            }
            _ => self.configured_status.unwrap_or(self.class.status()),
        }
    }

    /// Whether the client may try again: SDKs obey `x-should-retry`.
    pub fn retryable(&self) -> bool {
        self.class.retryable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_statuses_are_errors() {
        let mut names: Vec<_> = FaultClass::ALL.iter().map(|c| c.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FaultClass::ALL.len());
        assert!(FaultClass::ALL.iter().all(|c| (400..600).contains(&c.status())));
    }
}

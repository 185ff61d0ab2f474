//! What went wrong with a tool server, as a fault: what was not sent, what broke, what took too long, what is no MCP, and
//! what the server says itself are told apart.

use std::time::Duration;

use tollgate_core::config::tools::ToolServer;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::hidden;
use tollgate_mcp::message::{ErrorBody, codes};

use super::link::LinkError;

/// The longest of what a server says that is passed on, in bytes.
const LONGEST: usize = 1_000;

/// `error` of a link to `server`.
pub(super) fn fault(server: &ToolServer, error: &LinkError) -> Fault {
    let class = match error {
        LinkError::NotSent(_) | LinkError::NoToken(_) => FaultClass::Connect,
        LinkError::Broken(_) => FaultClass::Cut,
        LinkError::TooLate { .. } => FaultClass::Timeout,
        LinkError::Garbage(_) => FaultClass::BadUpstream,
        LinkError::SessionGone => FaultClass::SessionLost,
        LinkError::Full(_) => FaultClass::AtLimit,
        LinkError::NoAccount { .. } => FaultClass::NotConnected,
        LinkError::Status { status, .. } => match status {
            401 | 403 => FaultClass::UpstreamRefused,
            429 => FaultClass::RateLimited,
            503 => FaultClass::Overloaded,
            _ => FaultClass::UpstreamFailed,
        },
    };
    let retry_after: Option<Duration> = match error {
        LinkError::Status { retry_after, .. } => *retry_after,
        _ => None,
    };
    let mended_at = match error {
        LinkError::NoAccount { mended_at, .. } => mended_at.as_deref().map(Box::from),
        _ => None,
    };
    Fault { retry_after, mended_at, ..said_of(server, class, &error.to_string()) }
}

/// `error`, with which `server` has answered `method`.
pub(super) fn said(server: &ToolServer, method: &str, error: &ErrorBody<'_>) -> Fault {
    let class = match error.code {
        codes::INVALID_PARAMS | codes::INVALID_REQUEST => FaultClass::Invalid,
        codes::RESOURCE_NOT_FOUND => FaultClass::ToolNotFound,
        codes::METHOD_NOT_FOUND => FaultClass::MethodNotFound,
        _ => FaultClass::UpstreamFailed,
    };
    said_of(server, class, &format!("{method}: {} (error {})", error.message, error.code))
}

/// An answer to `what` that cannot be read.
pub(super) fn unreadable(server: &ToolServer, what: &str, why: &dyn std::fmt::Display) -> Fault {
    said_of(server, FaultClass::BadUpstream, &format!("the answer to {what} cannot be read: {why}"))
}

/// A fault that names the server, and shows none of its secrets: servers echo what they were sent.
fn said_of(server: &ToolServer, class: FaultClass, what: &str) -> Fault {
    let text = server.secrets().iter().fold(what.to_owned(), |text, secret| secret.scrub(text));
    Fault::new(class, format!("{}: {}", server.name, hidden::excerpt(&text, LONGEST)))
}

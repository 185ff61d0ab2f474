//! Errors: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

use serde::Deserialize;
use serde_json::json;
use tollgate_core::fault::{FaultClass, UpstreamError};

use super::NAME;
use crate::formats::{Shown, excerpt};

#[derive(Deserialize)]
struct Written {
    error: WrittenError,
}

#[derive(Deserialize)]
struct WrittenError {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

pub(super) fn read(status: u16, body: &[u8]) -> UpstreamError {
    match serde_json::from_slice::<Written>(body) {
        Ok(Written { error }) => UpstreamError {
            format: NAME,
            status,
            kind: error.kind,
            message: error.message.unwrap_or_default(),
            ..UpstreamError::default()
        },
        Err(_) => UpstreamError { format: NAME, status, message: excerpt(body), ..UpstreamError::default() },
    }
}

pub(super) fn write(shown: &Shown<'_>) -> Vec<u8> {
    let kind = shown
        .upstream_in(NAME)
        .and_then(|upstream| upstream.kind.as_deref())
        .unwrap_or(kind(shown.fault.class));
    json!({
        "type": "error",
        "error": { "type": kind, "message": shown.message() },
        "request_id": shown.call_id.map(|id| id.to_string()),
        "tollgate": shown.facts(),
    })
    .to_string()
    .into_bytes()
}

fn kind(class: FaultClass) -> &'static str {
    use FaultClass as C;
    match class {
        C::Unauthenticated => "authentication_error",
        C::Forbidden => "permission_error",
        C::ModelNotFound | C::RouteNotFound => "not_found_error",
        C::TooLarge => "request_too_large",
        C::RateLimited | C::AtLimit | C::BudgetExceeded | C::LimitExceeded => "rate_limit_error",
        C::Overloaded | C::Draining | C::Unavailable => "overloaded_error",
        C::Timeout => "timeout_error",
        C::MethodNotAllowed
        | C::Invalid
        | C::Unsupported
        | C::MediaType
        | C::SlowRequest
        | C::ContextWindow
        | C::ContentPolicy
        | C::ClientGone => "invalid_request_error",
        _ => "api_error",
    }
}

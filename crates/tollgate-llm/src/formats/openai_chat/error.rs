//! Errors, as every one of OpenAI's formats writes them: `{"error": {"message", "type", "param", "code"}}`.

use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::fault::{FaultClass, UpstreamError};

use crate::formats::{Shown, excerpt};

/// What `kind`, `code` and `param` of these errors mean something in: all of OpenAI's formats.
pub(crate) const DIALECT: &str = "openai";

#[derive(Deserialize)]
struct Written {
    error: WrittenError,
}

/// Servers that are merely compatible also write a bare text.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenError {
    Full {
        #[serde(default)]
        message: Option<String>,
        #[serde(default, rename = "type")]
        kind: Option<String>,
        #[serde(default)]
        code: Option<Value>,
        #[serde(default)]
        param: Option<String>,
    },
    Text(String),
}

pub(crate) fn read(status: u16, body: &[u8]) -> UpstreamError {
    match serde_json::from_slice::<Written>(body) {
        Ok(Written { error }) => from_written(status, error),
        Err(_) => {
            UpstreamError { format: DIALECT, status, message: excerpt(body), ..UpstreamError::default() }
        }
    }
}

/// The error that a chunk is, when it is one.
pub(crate) fn in_stream(text: &str) -> Option<UpstreamError> {
    let value: Written = serde_json::from_str(text).ok()?;
    match &value.error {
        WrittenError::Full { message: None, kind: None, code: None, .. } => None,
        _ => Some(from_written(0, value.error)),
    }
}

fn from_written(status: u16, error: WrittenError) -> UpstreamError {
    match error {
        WrittenError::Text(message) => {
            UpstreamError { format: DIALECT, status, message, ..UpstreamError::default() }
        }
        WrittenError::Full { message, kind, code, param } => UpstreamError {
            format: DIALECT,
            status,
            kind,
            code: code.and_then(|code| match code {
                Value::String(text) => Some(text),
                Value::Null => None,
                other => Some(other.to_string()),
            }),
            param,
            message: message.unwrap_or_default(),
        },
    }
}

pub(crate) fn write(shown: &Shown<'_>) -> Vec<u8> {
    json!({ "error": object(shown) }).to_string().into_bytes()
}

/// What `error` holds.
pub(crate) fn object(shown: &Shown<'_>) -> Value {
    let upstream = shown.upstream_in(DIALECT);
    let (kind, code) = kind_and_code(shown.fault.class);
    json!({
        "message": shown.message(),
        "type": upstream.and_then(|u| u.kind.as_deref()).unwrap_or(kind),
        "param": upstream.and_then(|u| u.param.as_deref()).or(shown.fault.param.as_deref()),
        "code": upstream.and_then(|u| u.code.as_deref()).or(code),
        "tollgate": shown.facts(),
    })
}

fn kind_and_code(class: FaultClass) -> (&'static str, Option<&'static str>) {
    use FaultClass as C;
    match class {
        C::Unauthenticated => ("invalid_request_error", Some("invalid_api_key")),
        C::Forbidden => ("permission_error", Some("forbidden")),
        C::ModelNotFound => ("invalid_request_error", Some("model_not_found")),
        C::RouteNotFound => ("invalid_request_error", Some("unknown_url")),
        C::ContextWindow => ("invalid_request_error", Some("context_length_exceeded")),
        C::ContentPolicy => ("invalid_request_error", Some("content_filter")),
        C::Unsupported => ("invalid_request_error", Some("unsupported_parameter")),
        C::MethodNotAllowed | C::Invalid | C::TooLarge | C::MediaType | C::SlowRequest | C::ClientGone => {
            ("invalid_request_error", None)
        }
        C::RateLimited | C::AtLimit | C::LimitExceeded => ("rate_limit_error", Some("rate_limit_exceeded")),
        C::BudgetExceeded => ("budget_exceeded", Some("budget_exceeded")),
        C::Timeout => ("timeout_error", Some("timeout")),
        _ => ("server_error", Some(class.name())),
    }
}

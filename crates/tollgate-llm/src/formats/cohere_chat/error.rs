//! Errors, as every one of Cohere's formats writes them: `{"message", "id"}`.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use tollgate_core::fault::UpstreamError;

use crate::formats::{Shown, excerpt};

/// What these errors mean something in: all of Cohere's formats.
const DIALECT: &str = "cohere";

/// The status for what Cohere's filter blocked.
const BLOCKED: u16 = 498;

#[derive(Deserialize)]
struct Written {
    message: String,
}

/// The upstream's id for a request.
pub(in crate::formats) fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-debug-trace-id").or_else(|| headers.get("x-request-id"))?.to_str().ok()
}

/// What an error body says.
pub(in crate::formats) fn read(status: u16, body: &[u8]) -> UpstreamError {
    written(status, body).unwrap_or_else(|| told(status, excerpt(body)))
}

/// What an error body says, where it is one of these.
pub(in crate::formats) fn written(status: u16, body: &[u8]) -> Option<UpstreamError> {
    let Written { message } = serde_json::from_slice(body).ok()?;
    Some(told(status, message))
}

fn told(status: u16, message: String) -> UpstreamError {
    let code = (status == BLOCKED).then(|| "content_filter".to_owned());
    UpstreamError { format: DIALECT, status, code, message, ..UpstreamError::default() }
}

/// An answer that the model did not bring to an end. `reason` is Cohere's word for why.
pub(super) fn stumbled(reason: &str, message: Option<String>) -> UpstreamError {
    let kind = if reason == "TIMEOUT" { "timeout_error" } else { "server_error" };
    let message = message.unwrap_or_else(|| "the model gave no answer".to_owned());
    UpstreamError {
        format: DIALECT,
        kind: Some(kind.to_owned()),
        message: format!("{reason}: {message}"),
        ..UpstreamError::default()
    }
}

/// The body of an error for a client.
pub(in crate::formats) fn write(shown: &Shown<'_>) -> Vec<u8> {
    json!({
        "message": shown.message(),
        "id": shown.call_id.map(|id| id.to_string()),
        "tollgate": shown.facts(),
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use tollgate_core::fault::FaultClass;

    use super::*;
    use crate::formats::classify;

    #[test]
    fn errors_are_told_apart() {
        let class = |status, body: &str| classify(&read(status, body.as_bytes()));
        let long = r#"{"id":"x","message":"too many tokens: total number of tokens in the prompt"}"#;
        assert_eq!(class(400, long), FaultClass::ContextWindow);
        assert_eq!(class(422, r#"{"message":"invalid request"}"#), FaultClass::Invalid);
        assert_eq!(class(498, r#"{"message":"blocked"}"#), FaultClass::ContentPolicy);
        assert_eq!(class(429, "{}"), FaultClass::RateLimited);
        assert_eq!(read(502, b"<html>").message, "<html>");
        assert_eq!(classify(&stumbled("TIMEOUT", None)), FaultClass::Timeout);
        assert_eq!(classify(&stumbled("ERROR", Some("m".into()))), FaultClass::UpstreamFailed);
    }
}

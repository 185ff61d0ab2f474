//! Errors: `{"error": {"code", "message", "status", "details"}}`.

use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::fault::{FaultClass, UpstreamError};

use super::NAME;
use crate::formats::{Shown, excerpt};

#[derive(Deserialize)]
struct Written {
    error: WrittenError,
}

#[derive(Deserialize)]
struct WrittenError {
    message: Option<String>,
    status: Option<String>,
    #[serde(default)]
    details: Option<Vec<Detail>>,
}

/// One of many kinds; the kind called `ErrorInfo` has a reason, such as `API_KEY_INVALID`.
#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    reason: Option<Value>,
}

pub(super) fn read(status: u16, body: &[u8]) -> UpstreamError {
    match written(body) {
        Some(error) => from_written(status, error),
        None => UpstreamError { format: NAME, status, message: excerpt(body), ..UpstreamError::default() },
    }
}

/// The error that an event of a stream is, when it is one.
pub(super) fn in_stream(data: &[u8]) -> Option<UpstreamError> {
    // Most events are none, and long.
    memchr::memmem::find(data.get(..64).unwrap_or(data), b"\"error\"")?;
    written(data).map(|error| from_written(0, error))
}

/// A request for a stream that is no event stream gets its error in a list.
fn written(body: &[u8]) -> Option<WrittenError> {
    // Told by the bracket: serde reads a list as a struct, too.
    let written = if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice::<Vec<Written>>(body).ok()?.pop()?
    } else {
        serde_json::from_slice(body).ok()?
    };
    Some(written.error)
}

fn from_written(status: u16, error: WrittenError) -> UpstreamError {
    let reason = |detail: Detail| detail.reason.as_ref().and_then(Value::as_str).map(str::to_owned);
    UpstreamError {
        format: NAME,
        status,
        kind: error.status,
        code: error.details.into_iter().flatten().find_map(reason),
        message: error.message.unwrap_or_default(),
        ..UpstreamError::default()
    }
}

/// An answer that the model did not bring to an end.
pub(super) fn stumbled(reason: &str, message: Option<String>) -> UpstreamError {
    let message = message.unwrap_or_else(|| "the model gave no answer".to_owned());
    UpstreamError {
        format: NAME,
        kind: Some("INTERNAL".to_owned()),
        code: Some(reason.to_owned()),
        message: format!("{reason}: {message}"),
        ..UpstreamError::default()
    }
}

/// `error` comes first: Google's SDK for Python tells an error in a stream by that.
pub(super) fn write(shown: &Shown<'_>) -> Vec<u8> {
    // What an upstream says of the gate's own credential, a client would take for its own.
    let gates = shown.fault.class == FaultClass::UpstreamRefused;
    let upstream = shown.upstream_in(NAME).filter(|_| !gates);
    let mut details = Vec::new();
    if let Some(reason) = upstream.and_then(|u| u.code.as_deref()) {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
        }));
    }
    if let Some(wait) = shown.fault.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{}s", wait.as_secs()),
        }));
    }
    json!({ "error": {
        "code": shown.fault.status(),
        "message": shown.message(),
        "status": upstream.and_then(|u| u.kind.as_deref()).unwrap_or(status(shown.fault.class)),
        "details": details,
        "tollgate": shown.facts(),
    }})
    .to_string()
    .into_bytes()
}

fn status(class: FaultClass) -> &'static str {
    use FaultClass as C;
    match class {
        C::Unauthenticated => "UNAUTHENTICATED",
        C::Forbidden => "PERMISSION_DENIED",
        C::ModelNotFound | C::RouteNotFound => "NOT_FOUND",
        C::MethodNotAllowed => "UNIMPLEMENTED",
        C::RateLimited | C::AtLimit | C::BudgetExceeded | C::LimitExceeded => "RESOURCE_EXHAUSTED",
        C::Overloaded | C::Draining | C::Unavailable => "UNAVAILABLE",
        C::Timeout | C::SlowRequest => "DEADLINE_EXCEEDED",
        C::ClientGone => "CANCELLED",
        C::Invalid | C::Unsupported | C::TooLarge | C::MediaType | C::ContextWindow | C::ContentPolicy => {
            "INVALID_ARGUMENT"
        }
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::fault::Fault;

    use super::*;
    use crate::formats::classify;

    const KEY: &str = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[
        {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"},
        {"@type":"type.googleapis.com/google.rpc.LocalizedMessage","locale":"en-US","message":"…"}]}}"#;

    #[test]
    fn an_error_is_read_alone_and_in_a_list() {
        for body in [KEY.to_owned(), format!("[{KEY}\n]")] {
            let error = read(400, body.as_bytes());
            assert_eq!(error.kind.as_deref(), Some("INVALID_ARGUMENT"));
            assert_eq!(error.code.as_deref(), Some("API_KEY_INVALID"));
            assert_eq!(classify(&error), FaultClass::UpstreamRefused);
        }
        assert_eq!(read(502, b"<html>").message, "<html>");
    }

    #[test]
    fn errors_in_streams_and_of_the_context_window_are_told_apart() {
        let stream = |status: &str| {
            let body = json!({ "error": { "code": 503, "message": "m", "status": status } }).to_string();
            classify(&in_stream(body.as_bytes()).unwrap())
        };
        assert_eq!(stream("UNAVAILABLE"), FaultClass::Overloaded);
        assert_eq!(stream("RESOURCE_EXHAUSTED"), FaultClass::RateLimited);
        assert_eq!(stream("INTERNAL"), FaultClass::UpstreamFailed);
        let long = json!({ "error": { "status": "INVALID_ARGUMENT",
            "message": "The input token count (9) exceeds the maximum number of tokens allowed (8)." } });
        let error = read(400, long.to_string().as_bytes());
        assert_eq!(classify(&error), FaultClass::ContextWindow);
        assert!(in_stream(br#"{"candidates":[{"content":{"parts":[{"text":"\"error\""}]}}]}"#).is_none());
    }

    #[test]
    fn a_client_is_told_the_status_and_what_the_upstream_said() {
        let upstream = read(400, KEY.as_bytes());
        let mut fault = Fault::new(FaultClass::Invalid, "no");
        fault.upstream = Some(Box::new(upstream));
        let shown = |fault: &Fault| -> Value {
            let body = write(&Shown::stranger(fault));
            assert!(body.starts_with(b"{\"error\":{"));
            serde_json::from_slice(&body).unwrap()
        };
        let body = shown(&fault);
        assert_eq!(
            (&body["error"]["code"], &body["error"]["status"]),
            (&json!(400), &json!("INVALID_ARGUMENT"))
        );
        assert_eq!(body["error"]["details"][0]["reason"], "API_KEY_INVALID");
        fault.class = FaultClass::UpstreamRefused;
        assert_eq!(shown(&fault)["error"]["details"], json!([]));
        let mut limited = Fault::new(FaultClass::RateLimited, "slow");
        limited.retry_after = Some(std::time::Duration::from_secs(7));
        assert_eq!(shown(&limited)["error"]["details"][0]["retryDelay"], "7s");
    }
}

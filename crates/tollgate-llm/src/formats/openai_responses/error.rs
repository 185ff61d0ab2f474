//! Errors in a stream: an `error` event and an answer that failed. Those of refused requests look as in OpenAI's
//! other formats.

use serde::Deserialize;
use serde_json::json;
use tollgate_core::fault::UpstreamError;

use super::items::{Answer, Ids};
use super::told::{Told, tell};
use crate::formats::openai_chat::error::{DIALECT, object};
use crate::formats::{Shown, excerpt};
use crate::sse::event;

/// An event that tells of an error. The document has its members at the top; the API itself puts them into
/// `error`, as everywhere else.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    param: Option<String>,
    #[serde(default)]
    error: Option<WrittenError>,
    #[serde(default)]
    response: Option<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(default)]
    error: Option<WrittenError>,
}

#[derive(Default, Deserialize)]
struct WrittenError {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    param: Option<String>,
}

/// Whether an event without a type is an error, as servers write it that are merely compatible.
pub(super) fn is_error(text: &str) -> bool {
    serde_json::from_str::<Written>(text).is_ok_and(|written| written.error.is_some())
}

/// What an `error` event or an answer that failed says.
pub(super) fn in_stream(text: &str) -> UpstreamError {
    let Ok(written) = serde_json::from_str::<Written>(text) else {
        let message = excerpt(text.as_bytes());
        return UpstreamError { format: DIALECT, message, ..UpstreamError::default() };
    };
    let (code, message, param) = (written.code, written.message, written.param);
    let top = WrittenError { kind: None, code, message, param };
    let error = written.error.or(written.response.and_then(|failed| failed.error)).unwrap_or(top);
    UpstreamError {
        format: DIALECT,
        status: 0,
        kind: error.kind.or(error.code.as_deref().and_then(kind_of).map(str::to_owned)),
        code: error.code,
        param: error.param,
        message: error.message.unwrap_or_default(),
    }
}

/// An answer that failed has only a code, which does not say as much as the type that a refused request has.
fn kind_of(code: &str) -> Option<&'static str> {
    let clients =
        code.contains("image") || matches!(code, "invalid_prompt" | "context_length_exceeded" | "bio_policy");
    clients.then_some("invalid_request_error")
}

/// An error in the middle of a stream, as the API tells of it: an `error` event and an answer that failed, for some
/// clients look for one and some for the other. The event has its members at the top, as in the document, and in
/// `error`, which is what SDKs raise. How many events came before is not known here.
pub(super) fn write_in_stream(shown: &Shown<'_>, created: i64) -> Vec<u8> {
    let error = object(shown);
    let told = json!({
        "type": "error",
        "sequence_number": 0,
        "code": error["code"],
        "message": error["message"],
        "param": error["param"],
        "error": error,
    });
    let mut out = event(Some("error"), told.to_string().as_bytes());
    let id = Ids::of(&shown.call_id.map(|id| id.to_string()).unwrap_or_default()).response();
    let code = failure_code(error["code"].as_str().unwrap_or_default(), shown.upstream_in(DIALECT).is_some());
    let message = error["message"].as_str().unwrap_or_default();
    let response = Some(Answer::begun(&id, "", created).failed(code, message));
    tell(&mut 1, Told { kind: "response.failed", response, ..Told::default() }, &mut out);
    out
}

/// The code of an answer that failed. Clients know few; the API's own stay as they are.
fn failure_code(code: &str, said_by_api: bool) -> &str {
    let known = matches!(code, "rate_limit_exceeded" | "context_length_exceeded");
    if known || (said_by_api && !code.is_empty()) { code } else { "server_error" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_streams_are_read_in_all_their_shapes() {
        let read = |text: &str| {
            let error = in_stream(text);
            (error.kind.unwrap_or_default(), error.code.unwrap_or_default(), error.message)
        };
        let told = |kind: &str, code: &str| (kind.to_owned(), code.to_owned(), "m".to_owned());
        assert_eq!(read(r#"{"type":"error","code":"c","message":"m","param":null}"#), told("", "c"));
        assert_eq!(read(r#"{"type":"error","error":{"type":"t","code":"c","message":"m"}}"#), told("t", "c"));
        let failed = |code: &str| {
            format!(
                r#"{{"type":"response.failed","response":{{"error":{{"code":"{code}","message":"m"}}}}}}"#
            )
        };
        assert_eq!(read(&failed("server_error")), told("", "server_error"));
        let invalid = in_stream(&failed("invalid_image_url"));
        assert_eq!(crate::formats::classify(&invalid), tollgate_core::fault::FaultClass::Invalid);
        assert_eq!(read("m"), told("", ""));
    }
}

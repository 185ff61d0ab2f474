//! Errors: `{"message"}`, whole with a status, in a stream with the name of the exception.

use serde::Deserialize;
use tollgate_core::fault::UpstreamError;

use super::NAME;
use crate::formats::excerpt;

/// Each service of Amazon's spells these a little differently.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default, alias = "Message")]
    message: Option<String>,
    /// What the model said, where it was the model that failed.
    #[serde(default)]
    original_message: Option<String>,
    #[serde(default, rename = "__type")]
    kind: Option<String>,
}

/// What is said of a model that is not served here, or not in this way.
const NO_SUCH_MODEL: [&str; 2] = ["model identifier is invalid", "on-demand throughput isn"];

pub(super) fn read(status: u16, body: &[u8]) -> UpstreamError {
    let Ok(written) = serde_json::from_slice::<Written>(body) else {
        return UpstreamError { format: NAME, status, message: excerpt(body), ..UpstreamError::default() };
    };
    // A body of another shape, from whoever is in between, is shown as it is.
    let message = written.message.or(written.original_message).unwrap_or_else(|| excerpt(body));
    // A type may be written with the namespace that it is of, as `com.amazon.coral.service#ThrottlingException`.
    let kind = written.kind.map(|kind| kind.rsplit('#').next().unwrap_or_default().to_owned());
    let unknown_model = NO_SUCH_MODEL.iter().any(|text| message.contains(text));
    let kind = if unknown_model { Some("ResourceNotFoundException".to_owned()) } else { kind };
    UpstreamError { format: NAME, status, kind, message, ..UpstreamError::default() }
}

/// An exception in a stream.
pub(super) fn exception(kind: &str, payload: &[u8]) -> UpstreamError {
    let error = read(0, payload);
    UpstreamError { kind: error.kind.or_else(|| Some(kind.to_owned())), ..error }
}

#[cfg(test)]
mod tests {
    use tollgate_core::fault::FaultClass;

    use super::*;
    use crate::formats::classify;

    #[test]
    fn errors_are_told_apart_by_status_and_words() {
        let class = |status, message: &str| {
            classify(&read(status, serde_json::json!({ "message": message }).to_string().as_bytes()))
        };
        assert_eq!(class(400, "Input is too long for requested model."), FaultClass::ContextWindow);
        assert_eq!(
            class(400, "The model returned the following errors: prompt is too long: 2 tokens > 1 maximum"),
            FaultClass::ContextWindow
        );
        assert_eq!(class(400, "The provided model identifier is invalid."), FaultClass::UpstreamRefused);
        assert_eq!(class(400, "Malformed input request"), FaultClass::Invalid);
        assert_eq!(class(403, "The security token is invalid."), FaultClass::UpstreamRefused);
        assert_eq!(class(424, "The model failed."), FaultClass::UpstreamFailed);
        assert_eq!(class(429, "Too many tokens, please wait."), FaultClass::RateLimited);
        assert_eq!(class(503, "Busy"), FaultClass::Overloaded);
        assert_eq!(classify(&read(502, b"<html>")), FaultClass::UpstreamFailed);
    }

    #[test]
    fn exceptions_in_a_stream_are_told_apart_by_their_names() {
        let class = |kind, payload: &[u8]| classify(&exception(kind, payload));
        assert_eq!(
            class("throttlingException", b"{\"message\":\"Too many tokens\"}"),
            FaultClass::RateLimited
        );
        assert_eq!(class("serviceUnavailableException", b"{}"), FaultClass::Overloaded);
        assert_eq!(
            class("validationException", b"{\"message\":\"Input is too long\"}"),
            FaultClass::ContextWindow
        );
        assert_eq!(class("internalServerException", b""), FaultClass::UpstreamFailed);
        let failed =
            exception("modelStreamErrorException", b"{\"originalMessage\":\"x\",\"originalStatusCode\":500}");
        assert_eq!((classify(&failed), &*failed.message), (FaultClass::UpstreamFailed, "x"));
    }
}

//! Content blocks as they are written.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::{CacheMark, Text};

/// A block: the one member that it has says of which type it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum OutBlock<'r> {
    Text(&'r Text<'r>),
    /// Text that the gate says.
    #[serde(rename = "text")]
    Ours(&'static str),
    Image(OutImage<'r>),
    Document(OutDocument<'r>),
    ToolUse(OutToolUse<'r>),
    ToolResult(OutToolResult<'r>),
    ReasoningContent(OutReasoning<'r>),
    CachePoint(OutCachePoint),
}

#[derive(Serialize)]
pub(super) struct OutImage<'r> {
    pub(super) format: &'static str,
    pub(super) source: OutBytes<'r>,
}

#[derive(Serialize)]
pub(super) struct OutDocument<'r> {
    pub(super) format: &'static str,
    pub(super) name: String,
    pub(super) source: OutBytes<'r>,
}

/// Base64, as bytes are in JSON.
#[derive(Serialize)]
pub(super) struct OutBytes<'r> {
    pub(super) bytes: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutToolUse<'r> {
    pub(super) tool_use_id: std::borrow::Cow<'r, str>,
    pub(super) name: &'r str,
    pub(super) input: &'r RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutToolResult<'r> {
    pub(super) tool_use_id: std::borrow::Cow<'r, str>,
    pub(super) content: Vec<OutBlock<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum OutReasoning<'r> {
    ReasoningText { text: &'r Text<'r>, signature: &'r str },
    RedactedContent(&'r str),
}

/// Up to here the prompt is cached.
#[derive(Serialize)]
pub(super) struct OutCachePoint {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl OutCachePoint {
    /// Only two lifetimes are known; any other is the usual one.
    pub(super) fn of(mark: &CacheMark) -> Self {
        let ttl = ["5m", "1h"].into_iter().find(|known| mark.ttl.as_deref() == Some(known));
        Self { kind: "default", ttl }
    }
}

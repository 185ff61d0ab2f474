//! An answer, or a chunk of a streamed one, as it is written.

use serde::Serialize;

use super::citations::CitationMetadata;
use super::logprobs::LogprobsResult;
use super::parts::OutPart;
use super::usage::WireUsage;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutAnswer<'r> {
    pub(super) candidates: Vec<OutCandidate<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<WireUsage>,
    pub(super) model_version: &'r str,
    pub(super) response_id: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutCandidate<'r> {
    pub(super) content: OutContent<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) citation_metadata: Option<CitationMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs_result: Option<LogprobsResult>,
    pub(super) index: usize,
}

#[derive(Serialize)]
pub(super) struct OutContent<'r> {
    pub(super) parts: Vec<OutPart<'r>>,
    role: &'static str,
}

impl<'r> OutContent<'r> {
    /// What the model said. Clients keep a turn in their history only if it has a part.
    pub(super) fn new(mut parts: Vec<OutPart<'r>>) -> Self {
        if parts.is_empty() {
            parts.push(OutPart::plain(""));
        }
        Self { parts, role: "model" }
    }
}

//! Embeddings of Google's Gemini API (`POST /v1beta/models/MODEL:batchEmbedContents`), as in Google's API reference
//! and its SDK for Python. Only upstreams speak it here.

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::{Usage, UsageSource};

use super::gemini::Gemini;
use super::{EmbeddingsUpstream, Format, Kind, Target};
use crate::chat::{Losses, Text};
use crate::embeddings::{Purpose, Request, Response, Vector};
use crate::json::BodyError;

/// The format.
#[derive(Debug)]
pub struct GeminiEmbeddings;

/// Its name.
pub const NAME: &str = "gemini_embeddings";

impl Format for GeminiEmbeddings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Embeddings
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        Gemini.read_error(status, body)
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        Gemini.request_id(headers)
    }

    fn embeddings_upstream(&'static self) -> Option<&'static dyn EmbeddingsUpstream> {
        Some(self)
    }
}

#[derive(Serialize)]
struct Out<'r> {
    requests: Vec<OutRequest<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutRequest<'r> {
    model: &'r str,
    content: OutContent<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct OutContent<'r> {
    parts: [OutPart<'r>; 1],
}

#[derive(Serialize)]
struct OutPart<'r> {
    text: &'r Text<'r>,
}

impl EmbeddingsUpstream for GeminiEmbeddings {
    fn write_request(
        &self,
        request: &Request<'_>,
        target: &Target,
        losses: &mut Losses,
    ) -> Result<Vec<u8>, BodyError> {
        if request.user.is_some() {
            losses.leave_out("user", "has no counterpart and does not change the answer");
        }
        // Each text names the model again, and it must be the one in the address.
        let model = format!("models/{}", target.model.strip_prefix("models/").unwrap_or(&target.model));
        let task_type = task_type(request, losses);
        let one = |text| OutRequest {
            model: &model,
            content: OutContent { parts: [OutPart { text }] },
            task_type,
            output_dimensionality: request.dimensions,
        };
        Ok(crate::json::written(&Out { requests: request.texts()?.into_iter().map(one).collect() }))
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, String> {
        let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        Ok(Response {
            model: String::new(),
            vectors: written.embeddings.into_iter().map(|embedding| Vector(embedding.values)).collect(),
            usage: written.usage_metadata.as_ref().and_then(WireUsage::counted),
        })
    }
}

/// What the vectors are for; the upstream need not be told.
fn task_type(request: &Request<'_>, losses: &mut Losses) -> Option<&'static str> {
    let task = match Purpose::named(request.purpose.as_deref()?) {
        Some(Purpose::Document) => "RETRIEVAL_DOCUMENT",
        Some(Purpose::Query) => "RETRIEVAL_QUERY",
        Some(Purpose::Classification) => "CLASSIFICATION",
        Some(Purpose::Clustering) => "CLUSTERING",
        Some(Purpose::Similarity) => "SEMANTIC_SIMILARITY",
        Some(Purpose::QuestionAnswering) => "QUESTION_ANSWERING",
        Some(Purpose::FactVerification) => "FACT_VERIFICATION",
        Some(Purpose::CodeQuery) => "CODE_RETRIEVAL_QUERY",
        None => {
            losses.lose("input_type", "the upstream knows no such purpose");
            return None;
        }
    };
    Some(task)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    embeddings: Vec<Embedding>,
    /// Most models report none.
    usage_metadata: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Embedding {
    values: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUsage {
    prompt_token_count: Option<u64>,
}

impl WireUsage {
    fn counted(&self) -> Option<Usage> {
        let input_tokens = self.prompt_token_count?;
        Some(Usage { input_tokens, source: UsageSource::Reported, ..Usage::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_where_it_is_reported() {
        let read = |text: &str| GeminiEmbeddings.read_response(text.as_bytes()).unwrap().usage;
        assert_eq!(read(r#"{"embeddings":[{"values":[0.5]}]}"#), None);
        let told = read(r#"{"embeddings":[],"usageMetadata":{"promptTokenCount":7}}"#);
        assert_eq!(told.unwrap().input_tokens, 7);
    }
}

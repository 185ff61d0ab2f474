//! Cohere's Embed API, second version (`POST /v2/embed`), as in Cohere's API reference and its SDK for Python. Only
//! upstreams speak it here.

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollgate_core::fault::UpstreamError;

use super::cohere_chat::error;
use super::cohere_chat::usage::WireUsage;
use super::{EmbeddingsUpstream, Format, Kind, Target};
use crate::chat::{Losses, Text};
use crate::embeddings::{Purpose, Request, Response, Vector};
use crate::json::BodyError;

/// The format.
#[derive(Debug)]
pub struct CohereEmbeddings;

/// Its name.
pub const NAME: &str = "cohere_embeddings";

impl Format for CohereEmbeddings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Embeddings
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        error::read(status.as_u16(), body)
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        error::request_id(headers)
    }

    fn embeddings_upstream(&'static self) -> Option<&'static dyn EmbeddingsUpstream> {
        Some(self)
    }
}

#[derive(Serialize)]
struct Out<'r> {
    model: &'r str,
    texts: Vec<&'r Text<'r>>,
    input_type: &'static str,
    // Without it, older models answer in another shape.
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
}

impl EmbeddingsUpstream for CohereEmbeddings {
    fn write_request(
        &self,
        request: &Request<'_>,
        target: &Target,
        losses: &mut Losses,
    ) -> Result<Vec<u8>, BodyError> {
        if request.user.is_some() {
            losses.leave_out("user", "has no counterpart and does not change the answer");
        }
        Ok(crate::json::written(&Out {
            model: &target.model,
            texts: request.texts()?,
            input_type: input_type(request, losses),
            embedding_types: ["float"],
            output_dimension: request.dimensions,
        }))
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, String> {
        let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        Ok(Response {
            model: String::new(),
            vectors: written.embeddings.float.into_iter().map(Vector).collect(),
            usage: written.meta.and_then(|meta| meta.counted()),
        })
    }
}

/// What the vectors are for: the upstream demands to be told, and most clients do not say.
fn input_type(request: &Request<'_>, losses: &mut Losses) -> &'static str {
    const USUAL: &str = "search_document";
    let Some(written) = request.purpose.as_deref() else {
        losses.approximate("input_type", "is demanded by the upstream: taken to be `search_document`");
        return USUAL;
    };
    match Purpose::named(written) {
        Some(Purpose::Document) => USUAL,
        Some(Purpose::Query) => "search_query",
        Some(Purpose::Classification) => "classification",
        Some(Purpose::Clustering) => "clustering",
        _ => {
            losses.lose("input_type", "the upstream knows no such purpose");
            USUAL
        }
    }
}

#[derive(Deserialize)]
struct Written {
    embeddings: ByType,
    meta: Option<WireUsage>,
}

#[derive(Deserialize)]
struct ByType {
    float: Vec<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings::Input;

    #[test]
    fn tokens_are_refused() {
        let request = Request { inputs: vec![Input::Tokens(vec![1, 2])], ..Request::default() };
        let wrote = CohereEmbeddings.write_request(&request, &Target::default(), &mut Losses::default());
        assert!(wrote.unwrap_err().to_string().contains("`input`"));
    }

    #[test]
    fn an_unknown_purpose_is_no_other() {
        let request = Request { purpose: Some("FACT_VERIFICATION".into()), ..Request::default() };
        let mut losses = Losses::default();
        CohereEmbeddings.write_request(&request, &Target::default(), &mut losses).unwrap();
        assert_eq!(losses.first_harmful().unwrap().member, "input_type");
    }
}

//! Cohere's Rerank API, as in Cohere's API reference and its SDKs, in two versions.
//!
//! The first (`POST /v1/rerank`) is what gateways and many other servers speak: vLLM, Together and Jina among them.
//! Documents may be objects, and are repeated in the answer where the client wants that. Where other servers count
//! tokens, they say so in `usage`, as OpenAI does.
//!
//! The second (`POST /v2/rerank`) is what Cohere serves by now: documents are texts, and never repeated.

mod request;
mod response;

use http::{HeaderMap, StatusCode};
use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;

use super::cohere_chat::error;
use super::{
    Address, AnswerFor, Format, Kind, Peek, RerankClient, RerankUpstream, SameFormat, Shown, Surface, Target,
    openai_chat,
};
use crate::chat::{Losses, Text};
use crate::json::{BodyError, Found, Members, quoted};
use crate::rerank::{Request, Response};

/// The format, in one of its versions.
#[derive(Debug)]
pub struct CohereRerank(Version);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    First,
    Second,
}

/// The first version.
pub const V1: CohereRerank = CohereRerank(Version::First);

/// The second version.
pub const V2: CohereRerank = CohereRerank(Version::Second);

/// The name of the first version.
pub const NAME: &str = "cohere_rerank";

/// The name of the second version.
pub const NAME_V2: &str = "cohere_rerank_v2";

impl Format for CohereRerank {
    fn name(&self) -> &'static str {
        match self.0 {
            Version::First => NAME,
            Version::Second => NAME_V2,
        }
    }

    fn kind(&self) -> Kind {
        Kind::Rerank
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        // Servers that speak this beside OpenAI's formats write their errors as those do.
        let cohere = error::written(status.as_u16(), body);
        cohere.unwrap_or_else(|| openai_chat::error::read(status.as_u16(), body))
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        error::request_id(headers)
    }

    fn surface(&'static self) -> Option<&'static dyn Surface> {
        Some(self)
    }

    fn rerank_upstream(&'static self) -> Option<&'static dyn RerankUpstream> {
        Some(self)
    }
}

impl Surface for CohereRerank {
    fn peek(&self, body: &str, _: &Address<'_>) -> Result<Peek, BodyError> {
        let members = Members::find(body, &["model"])?;
        let model = members.read("model")?.ok_or_else(|| BodyError::shape("model", "is required"))?;
        Ok(Peek { model, found: members.into_found(), ..Peek::default() })
    }

    fn same_format(&self, body: &str, found: Found, target: &Target) -> Result<SameFormat, BodyError> {
        let edit = found.on(body).replace("model", quoted(&target.model));
        Ok(SameFormat { edits: edit.into_iter().collect(), hide_usage: false })
    }

    fn response_usage(&self, body: &str) -> Result<Option<Usage>, String> {
        response::usage(body)
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        error::write(shown)
    }

    fn write_stream_error(&self, shown: &Shown<'_>, _: &AnswerFor) -> Vec<u8> {
        crate::sse::event(None, &error::write(shown))
    }

    fn request_headers(&self) -> &'static [&'static str] {
        &["x-client-name"]
    }

    fn response_headers(&self, name: &str) -> bool {
        ["x-ratelimit-", "x-trial-endpoint-call-", "x-endpoint-monthly-"]
            .iter()
            .any(|known| name.starts_with(known))
    }

    fn rerank_client(&'static self) -> Option<&'static dyn RerankClient> {
        Some(self)
    }
}

impl RerankClient for CohereRerank {
    fn read_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
        request::read(body, losses)
    }

    fn write_response(&self, response: &Response, documents: Option<&[Text<'_>]>) -> Vec<u8> {
        response::write(response, documents)
    }
}

impl RerankUpstream for CohereRerank {
    fn write_request(&self, request: &Request<'_>, target: &Target, losses: &mut Losses) -> Vec<u8> {
        if self.0 == Version::First && request.max_tokens_per_doc.is_some() {
            losses.approximate("max_tokens_per_doc", "not every upstream of this format knows it");
        }
        request::write(request, target)
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, String> {
        response::read(body)
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::fault::FaultClass;

    use super::*;
    use crate::formats::classify;

    #[test]
    fn errors_are_read_as_cohere_and_as_openai_write_them() {
        let read = |body: &str| V1.read_error(StatusCode::BAD_REQUEST, body.as_bytes());
        assert_eq!(read(r#"{"message":"m","id":"x"}"#).message, "m");
        let openai = read(r#"{"error":{"message":"This model's maximum context length is 8","type":"x"}}"#);
        assert_eq!(classify(&openai), FaultClass::ContextWindow);
    }
}

//! OpenAI Embeddings (`POST /v1/embeddings`), as in OpenAI's OpenAPI document. Compatible servers speak it too.

mod request;
mod response;

use http::{HeaderMap, StatusCode};
use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;

use super::openai_chat::{OpenAiChat, error};
use super::{
    Address, AnswerFor, EmbeddingsClient, EmbeddingsUpstream, Format, Kind, Peek, SameFormat, Shown, Surface,
    Target,
};
use crate::chat::Losses;
use crate::embeddings::{Request, Response};
use crate::json::{BodyError, Found, Members, quoted};

/// The format.
#[derive(Debug)]
pub struct OpenAiEmbeddings;

/// Its name.
pub const NAME: &str = "openai_embeddings";

impl Format for OpenAiEmbeddings {
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
        OpenAiChat.request_id(headers)
    }

    fn surface(&'static self) -> Option<&'static dyn Surface> {
        Some(self)
    }

    fn embeddings_upstream(&'static self) -> Option<&'static dyn EmbeddingsUpstream> {
        Some(self)
    }
}

impl Surface for OpenAiEmbeddings {
    fn peek(&self, body: &str, _: &Address<'_>) -> Result<Peek, BodyError> {
        let members = Members::find(body, &["model", "user"])?;
        let model = members.read("model")?.ok_or_else(|| BodyError::shape("model", "is required"))?;
        let end_user = members.text("user");
        Ok(Peek { model, end_user, found: members.into_found(), ..Peek::default() })
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
        &[]
    }

    fn response_headers(&self, name: &str) -> bool {
        OpenAiChat.response_headers(name)
    }

    fn embeddings_client(&'static self) -> Option<&'static dyn EmbeddingsClient> {
        Some(self)
    }
}

impl EmbeddingsClient for OpenAiEmbeddings {
    fn read_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
        request::read(body, losses)
    }

    fn write_response(&self, response: &Response, answer: &AnswerFor) -> Vec<u8> {
        response::write(response, answer.base64)
    }
}

impl EmbeddingsUpstream for OpenAiEmbeddings {
    fn write_request(
        &self,
        request: &Request<'_>,
        target: &Target,
        _: &mut Losses,
    ) -> Result<Vec<u8>, BodyError> {
        Ok(request::write(request, target))
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, String> {
        response::read(body)
    }
}

//! Cohere's Chat API, second version (`POST /v2/chat`), as in Cohere's API reference and its SDK for Python. Only
//! upstreams speak it here.

mod citations;
pub(in crate::formats) mod error;
mod logprobs;
mod response;
mod stream_read;
pub(in crate::formats) mod usage;
mod write_message;
mod write_request;
mod write_tools;

use http::{HeaderMap, StatusCode};
use tollgate_core::fault::UpstreamError;

use super::{ChatUpstream, Format, Kind, StreamReader, Target};
use crate::chat::{Losses, Request, Response};
use crate::json::BodyError;

/// The format.
#[derive(Debug)]
pub struct CohereChat;

/// Its name.
pub const NAME: &str = "cohere_chat";

impl Format for CohereChat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Chat
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        error::read(status.as_u16(), body)
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        error::request_id(headers)
    }

    fn chat_upstream(&'static self) -> Option<&'static dyn ChatUpstream> {
        Some(self)
    }
}

impl ChatUpstream for CohereChat {
    fn write_request(
        &self,
        request: &Request<'_>,
        target: &Target,
        losses: &mut Losses,
    ) -> Result<(Vec<u8>, bool), BodyError> {
        write_request::write(request, target, losses)
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, String> {
        response::read(body)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_read::EventReader::default())
    }
}

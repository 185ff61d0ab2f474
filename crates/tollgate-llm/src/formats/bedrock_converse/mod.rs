//! Amazon Bedrock's Converse and ConverseStream, as upstreams speak them; no client does. Members are those of the
//! service's published model (`bedrock-runtime`, 2023-09-30).

mod blocks;
mod documents;
mod error;
mod models;
mod response;
mod stream_read;
mod tools;
mod usage;
mod write_content;
mod write_request;

use http::{HeaderMap, StatusCode};
use tollgate_core::fault::UpstreamError;

use super::{ChatUpstream, Format, Kind, StreamReader, Target};
use crate::chat::{Losses, Request, Response};
use crate::framing::Framing;
use crate::json::BodyError;

/// The format.
#[derive(Debug)]
pub struct BedrockConverse;

/// Its name.
pub const NAME: &str = "bedrock_converse";

impl Format for BedrockConverse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Chat
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        error::read(status.as_u16(), body)
    }

    fn framing(&self) -> Framing {
        Framing::AwsEventStream
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get("x-amzn-requestid")?.to_str().ok()
    }

    fn chat_upstream(&'static self) -> Option<&'static dyn ChatUpstream> {
        Some(self)
    }
}

impl ChatUpstream for BedrockConverse {
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

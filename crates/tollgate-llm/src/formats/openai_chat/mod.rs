//! OpenAI Chat Completions (`POST /v1/chat/completions`), as in OpenAI's OpenAPI document.

mod error;
mod read_request;
mod response;
mod same_format;
mod stream_read;
mod stream_write;
mod usage;
mod watch;
mod write_request;

use std::ops::Range;

use http::{HeaderMap, StatusCode};
use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;

use super::{AnswerFor, Format, Peek, SameFormat, Shown, StreamReader, StreamWriter, Target, Watcher};
use crate::chat::{Losses, Request, Response};
use crate::json::{BodyError, Edit, Found, quoted};

/// The format.
#[derive(Debug)]
pub struct OpenAiChat;

/// Its name.
pub const NAME: &str = "openai_chat";

impl Format for OpenAiChat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn peek(&self, body: &str) -> Result<Peek, BodyError> {
        same_format::peek(body)
    }

    fn same_format(&self, body: &str, found: Found, target: &Target) -> Result<SameFormat, BodyError> {
        same_format::edits(&found.on(body), target)
    }

    fn image_urls(&self, body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
        same_format::image_urls(body)
    }

    fn inline_image(&self, span: Range<usize>, media_type: &str, base64: &str) -> Edit {
        Edit { span, with: quoted(&format!("data:{media_type};base64,{base64}")) }
    }

    fn read_request(&self, body: &str, losses: &mut Losses) -> Result<Request, BodyError> {
        read_request::read(body, losses)
    }

    fn write_request(
        &self,
        request: &Request,
        target: &Target,
        losses: &mut Losses,
    ) -> Result<(Vec<u8>, bool), BodyError> {
        Ok((write_request::write(request, target, losses), false))
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, String> {
        response::read(body)
    }

    fn write_response(&self, response: &Response, answer: &AnswerFor) -> Vec<u8> {
        response::write(response, answer)
    }

    fn response_usage(&self, body: &str) -> Result<Option<Usage>, String> {
        response::usage(body)
    }

    fn watcher(&self, hide_usage: bool) -> Box<dyn Watcher> {
        Box::new(watch::ChunkWatcher::new(hide_usage))
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_read::ChunkReader::default())
    }

    fn stream_writer(&self, answer: &AnswerFor) -> Box<dyn StreamWriter> {
        Box::new(stream_write::ChunkWriter::new(answer.clone()))
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        error::read(status.as_u16(), body)
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        error::write(shown)
    }

    fn write_stream_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        crate::sse::event(None, &error::write(shown))
    }

    fn write_token_count(&self, _: u64) -> Option<Vec<u8>> {
        None
    }

    fn request_headers(&self) -> &'static [&'static str] {
        // Not organization and project: they belong to the client's own account, the credential to the gate's.
        &["openai-beta"]
    }

    fn response_headers(&self, name: &str) -> bool {
        name.starts_with("x-ratelimit-") || name == "openai-processing-ms"
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get("x-request-id")?.to_str().ok()
    }
}

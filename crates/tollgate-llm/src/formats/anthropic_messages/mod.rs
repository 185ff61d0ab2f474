//! Anthropic Messages (`POST /v1/messages`, `/v1/messages/count_tokens`).

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
pub struct AnthropicMessages;

/// Its name.
pub const NAME: &str = "anthropic_messages";

impl Format for AnthropicMessages {
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
        let source =
            format!(r#"{{"type":"base64","media_type":{},"data":{}}}"#, quoted(media_type), quoted(base64));
        Edit { span, with: source }
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
        write_request::write(request, target, losses)
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

    fn watcher(&self, _: bool) -> Box<dyn Watcher> {
        Box::new(watch::EventWatcher::default())
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_read::EventReader::default())
    }

    fn stream_writer(&self, answer: &AnswerFor) -> Box<dyn StreamWriter> {
        Box::new(stream_write::EventWriter::new(answer.clone()))
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        error::read(status.as_u16(), body)
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        error::write(shown)
    }

    fn write_stream_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        crate::sse::event(Some("error"), &error::write(shown))
    }

    fn write_token_count(&self, input_tokens: u64) -> Option<Vec<u8>> {
        Some(serde_json::json!({ "input_tokens": input_tokens }).to_string().into_bytes())
    }

    fn request_headers(&self) -> &'static [&'static str] {
        &["anthropic-version", "anthropic-beta"]
    }

    fn response_headers(&self, name: &str) -> bool {
        name.starts_with("anthropic-ratelimit-") || name == "retry-after"
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get("request-id")?.to_str().ok()
    }
}

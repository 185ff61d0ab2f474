//! OpenAI Chat Completions (`POST /v1/chat/completions`), as in OpenAI's OpenAPI document.

mod annotations;
pub(in crate::formats) mod error;
mod logprobs;
mod read_message;
mod read_request;
mod response;
mod same_format;
mod stream_read;
mod stream_write;
mod thinking;
mod usage;
mod watch;
mod write_message;
mod write_request;

use std::ops::Range;

use http::{HeaderMap, StatusCode};
use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;

use super::{
    Address, AnswerFor, ChatClient, ChatUpstream, Format, Kind, Peek, SameFormat, Shown, StreamReader,
    StreamWriter, Surface, Target, Watcher,
};
use crate::chat::{Feature, Losses, Request, Response, Spelling};
use crate::json::{BodyError, Found};

/// The format.
#[derive(Debug)]
pub struct OpenAiChat;

/// Its name.
pub const NAME: &str = "openai_chat";

/// Its own words for features.
const SPELLING: Spelling =
    &[(Feature::ReasoningBudget, "thinking.budget_tokens"), (Feature::ShownThinking, "thinking")];

impl Format for OpenAiChat {
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
        headers.get("x-request-id")?.to_str().ok()
    }

    fn surface(&'static self) -> Option<&'static dyn Surface> {
        Some(self)
    }

    fn chat_upstream(&'static self) -> Option<&'static dyn ChatUpstream> {
        Some(self)
    }
}

impl Surface for OpenAiChat {
    fn peek(&self, body: &str, _: &Address<'_>) -> Result<Peek, BodyError> {
        same_format::peek(body)
    }

    fn same_format(&self, body: &str, found: Found, target: &Target) -> Result<SameFormat, BodyError> {
        same_format::edits(&found.on(body), target)
    }

    fn image_urls(&self, body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
        same_format::image_urls(body)
    }

    fn response_usage(&self, body: &str) -> Result<Option<Usage>, String> {
        response::usage(body)
    }

    fn watcher(&self, answer: &AnswerFor) -> Box<dyn Watcher> {
        Box::new(watch::ChunkWatcher::new(answer.hide_usage))
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        error::write(shown)
    }

    fn write_stream_error(&self, shown: &Shown<'_>, _: &AnswerFor) -> Vec<u8> {
        crate::sse::event(None, &error::write(shown))
    }

    fn request_headers(&self) -> &'static [&'static str] {
        // Not organization and project: they belong to the client's own account, the credential to the gate's.
        &["openai-beta"]
    }

    fn response_headers(&self, name: &str) -> bool {
        name.starts_with("x-ratelimit-") || name == "openai-processing-ms"
    }

    fn chat_client(&'static self) -> Option<&'static dyn ChatClient> {
        Some(self)
    }
}

impl ChatClient for OpenAiChat {
    fn spelling(&self) -> Spelling {
        SPELLING
    }

    fn read_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
        read_request::read(body, losses)
    }

    fn write_response(&self, response: &Response, answer: &AnswerFor) -> Vec<u8> {
        response::write(response, answer)
    }

    fn stream_writer(&self, answer: &AnswerFor) -> Box<dyn StreamWriter> {
        Box::new(stream_write::ChunkWriter::new(answer.clone()))
    }
}

impl ChatUpstream for OpenAiChat {
    fn write_request(
        &self,
        request: &Request<'_>,
        target: &Target,
        losses: &mut Losses,
    ) -> Result<(Vec<u8>, bool), BodyError> {
        Ok((write_request::write(request, target, losses), false))
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, String> {
        response::read(body)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_read::ChunkReader::default())
    }
}

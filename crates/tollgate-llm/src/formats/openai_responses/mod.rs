//! OpenAI Responses (`POST /v1/responses`), as in OpenAI's OpenAPI document.

mod custom_tools;
mod error;
mod items;
mod parts;
mod read_input;
mod read_request;
mod read_response;
mod read_tools;
mod same_format;
mod seal;
mod stream_items;
mod stream_read;
mod stream_write;
mod told;
mod usage;
mod watch;
mod write_input;
mod write_request;
mod write_response;

use std::ops::Range;

use http::{HeaderMap, StatusCode};
use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;

use super::{
    Address, AnswerFor, ChatClient, ChatUpstream, Format, Kind, Peek, SameFormat, Shown, StreamReader,
    StreamWriter, Surface, Target, Watcher, openai_chat,
};
use crate::chat::{Feature, Losses, Request, Response, Spelling};
use crate::json::{BodyError, Found};

/// The format.
#[derive(Debug)]
pub struct OpenAiResponses;

/// Its name.
pub const NAME: &str = "openai_responses";

/// Its own words for features.
const SPELLING: Spelling = &[
    (Feature::Logprobs, "top_logprobs"),
    (Feature::ReasoningEffort, "reasoning.effort"),
    (Feature::ShownThinking, "reasoning.summary"),
    (Feature::JsonObject, "text.format"),
    (Feature::JsonSchema, "text.format"),
    (Feature::User, "safety_identifier"),
    (Feature::Verbosity, "text.verbosity"),
    (Feature::CacheMarks, "prompt_cache_breakpoint"),
    (Feature::Images, "input_image"),
    (Feature::ImageDetail, "input_image.detail"),
    (Feature::Documents, "input_file"),
    (Feature::SealedThinking, "reasoning"),
    (Feature::ToolMedia, "function_call_output"),
];

impl Format for OpenAiResponses {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Chat
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        openai_chat::error::read(status.as_u16(), body)
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        openai_chat::OpenAiChat.request_id(headers)
    }

    fn surface(&'static self) -> Option<&'static dyn Surface> {
        Some(self)
    }

    fn chat_upstream(&'static self) -> Option<&'static dyn ChatUpstream> {
        Some(self)
    }
}

impl Surface for OpenAiResponses {
    fn peek(&self, body: &str, _: &Address<'_>) -> Result<Peek, BodyError> {
        same_format::peek(body)
    }

    fn same_format(&self, body: &str, found: Found, target: &Target) -> Result<SameFormat, BodyError> {
        same_format::edits(body, &found.on(body), target)
    }

    fn image_urls(&self, body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
        same_format::image_urls(body)
    }

    fn response_usage(&self, body: &str) -> Result<Option<Usage>, String> {
        read_response::usage(body)
    }

    fn watcher(&self, _: &AnswerFor) -> Box<dyn Watcher> {
        Box::new(watch::EventWatcher::default())
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        openai_chat::error::write(shown)
    }

    fn write_stream_error(&self, shown: &Shown<'_>, answer: &AnswerFor) -> Vec<u8> {
        error::write_in_stream(shown, answer.created)
    }

    fn request_headers(&self) -> &'static [&'static str] {
        openai_chat::OpenAiChat.request_headers()
    }

    fn response_headers(&self, name: &str) -> bool {
        openai_chat::OpenAiChat.response_headers(name)
    }

    fn chat_client(&'static self) -> Option<&'static dyn ChatClient> {
        Some(self)
    }
}

impl ChatClient for OpenAiResponses {
    fn spelling(&self) -> Spelling {
        SPELLING
    }

    fn read_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
        read_request::read(body, losses)
    }

    fn write_response(&self, response: &Response, answer: &AnswerFor) -> Vec<u8> {
        write_response::write(response, answer)
    }

    fn stream_writer(&self, answer: &AnswerFor) -> Box<dyn StreamWriter> {
        Box::new(stream_write::EventWriter::new(answer.clone()))
    }
}

impl ChatUpstream for OpenAiResponses {
    fn write_request(
        &self,
        request: &Request<'_>,
        target: &Target,
        losses: &mut Losses,
    ) -> Result<(Vec<u8>, bool), BodyError> {
        Ok((write_request::write(request, target, losses), false))
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, String> {
        read_response::read(body)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_read::EventReader::default())
    }
}

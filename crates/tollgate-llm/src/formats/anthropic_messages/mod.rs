//! Anthropic Messages (`POST /v1/messages`, `/v1/messages/count_tokens`).

mod citations;
mod error;
mod read_block;
mod read_request;
mod response;
mod same_format;
mod stream_read;
mod stream_write;
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
use crate::json::{BodyError, Edit, Found, quoted};

/// The format.
#[derive(Debug)]
pub struct AnthropicMessages;

/// Its name.
pub const NAME: &str = "anthropic_messages";

/// Its own words for features.
const SPELLING: Spelling = &[
    (Feature::Stop, "stop_sequences"),
    (Feature::User, "metadata.user_id"),
    (Feature::JsonSchema, "output_config.format"),
    (Feature::ReasoningEffort, "output_config.effort"),
    (Feature::ReasoningBudget, "thinking.budget_tokens"),
    (Feature::ShownThinking, "thinking.display"),
    (Feature::ParallelTools, "tool_choice.disable_parallel_tool_use"),
    (Feature::Documents, "document"),
];

impl Format for AnthropicMessages {
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
        headers.get("request-id")?.to_str().ok()
    }

    fn surface(&'static self) -> Option<&'static dyn Surface> {
        Some(self)
    }

    fn chat_upstream(&'static self) -> Option<&'static dyn ChatUpstream> {
        Some(self)
    }
}

impl Surface for AnthropicMessages {
    fn peek(&self, body: &str, _: &Address<'_>) -> Result<Peek, BodyError> {
        same_format::peek(body)
    }

    fn same_format(&self, body: &str, found: Found, target: &Target) -> Result<SameFormat, BodyError> {
        same_format::edits(body, &found.on(body), target)
    }

    fn image_urls(&self, body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
        same_format::image_urls(body)
    }

    fn inline_image(&self, span: Range<usize>, media_type: &str, base64: &str) -> Edit {
        let source =
            format!(r#"{{"type":"base64","media_type":{},"data":{}}}"#, quoted(media_type), quoted(base64));
        Edit { span, with: source }
    }

    fn response_usage(&self, body: &str) -> Result<Option<Usage>, String> {
        response::usage(body)
    }

    fn watcher(&self, _: &AnswerFor) -> Box<dyn Watcher> {
        Box::new(watch::EventWatcher::default())
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        error::write(shown)
    }

    fn write_stream_error(&self, shown: &Shown<'_>, _: &AnswerFor) -> Vec<u8> {
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

    fn chat_client(&'static self) -> Option<&'static dyn ChatClient> {
        Some(self)
    }
}

impl ChatClient for AnthropicMessages {
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
        Box::new(stream_write::EventWriter::new(answer.clone()))
    }
}

impl ChatUpstream for AnthropicMessages {
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

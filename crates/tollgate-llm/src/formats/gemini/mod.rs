//! Gemini (`POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent`, `:countTokens`), as in Google's
//! protobuf definitions and as its SDKs write it.

mod answer;
mod base64;
mod citations;
mod error;
mod framing;
mod ids;
mod lenient;
mod logprobs;
mod models;
mod out;
mod parts;
mod read_config;
mod read_content;
mod read_request;
mod response;
mod same_format;
mod schema;
mod stream_read;
mod stream_write;
mod usage;
mod watch;
mod write_config;
mod write_content;
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
use crate::json::{BodyError, Edit, Found};

/// The format.
#[derive(Debug)]
pub struct Gemini;

/// Its name.
pub const NAME: &str = "gemini";

/// Its own words for features.
const SPELLING: Spelling = &[
    (Feature::Temperature, "generationConfig.temperature"),
    (Feature::TopP, "generationConfig.topP"),
    (Feature::TopK, "generationConfig.topK"),
    (Feature::Seed, "generationConfig.seed"),
    (Feature::FrequencyPenalty, "generationConfig.frequencyPenalty"),
    (Feature::PresencePenalty, "generationConfig.presencePenalty"),
    (Feature::Candidates, "generationConfig.candidateCount"),
    (Feature::Logprobs, "generationConfig.responseLogprobs"),
    (Feature::Stop, "generationConfig.stopSequences"),
    (Feature::ReasoningEffort, "generationConfig.thinkingConfig.thinkingLevel"),
    (Feature::ReasoningBudget, "generationConfig.thinkingConfig.thinkingBudget"),
    (Feature::ShownThinking, "generationConfig.thinkingConfig.includeThoughts"),
    (Feature::JsonObject, "generationConfig.responseMimeType"),
    (Feature::JsonSchema, "generationConfig.responseJsonSchema"),
    (Feature::ServiceTier, "serviceTier"),
    (Feature::Metadata, "labels"),
    (Feature::Images, "inlineData"),
    (Feature::Documents, "inlineData"),
    (Feature::Audio, "inlineData"),
    (Feature::SealedThinking, "thoughtSignature"),
    (Feature::ToolErrors, "functionResponse.response.error"),
    (Feature::ToolMedia, "functionResponse.parts"),
];

impl Format for Gemini {
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
        headers.get("x-goog-request-id")?.to_str().ok()
    }

    fn surface(&'static self) -> Option<&'static dyn Surface> {
        Some(self)
    }

    fn chat_upstream(&'static self) -> Option<&'static dyn ChatUpstream> {
        Some(self)
    }
}

impl Surface for Gemini {
    fn peek(&self, body: &str, address: &Address<'_>) -> Result<Peek, BodyError> {
        same_format::peek(body, address)
    }

    fn same_format(&self, body: &str, found: Found, target: &Target) -> Result<SameFormat, BodyError> {
        same_format::edits(body, &found.on(body), target)
    }

    fn image_urls(&self, body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
        same_format::image_urls(body)
    }

    fn inline_image(&self, span: Range<usize>, media_type: &str, base64: &str) -> Edit {
        same_format::inline_image(span, media_type, base64)
    }

    fn response_usage(&self, body: &str) -> Result<Option<Usage>, String> {
        response::usage(body)
    }

    fn watcher(&self, answer: &AnswerFor) -> Box<dyn Watcher> {
        Box::new(watch::ChunkWatcher::new(answer.array))
    }

    fn stream_content_type(&self, answer: &AnswerFor) -> &'static str {
        if answer.array { "application/json; charset=UTF-8" } else { "text/event-stream; charset=utf-8" }
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        error::write(shown)
    }

    fn write_stream_error(&self, shown: &Shown<'_>, answer: &AnswerFor) -> Vec<u8> {
        framing::error(&error::write(shown), answer.array)
    }

    fn write_token_count(&self, input_tokens: u64) -> Option<Vec<u8>> {
        Some(serde_json::json!({ "totalTokens": input_tokens }).to_string().into_bytes())
    }

    fn request_headers(&self) -> &'static [&'static str] {
        // Not the client's project: it belongs to the client's own account, the credential to the gate's.
        &[]
    }

    fn response_headers(&self, name: &str) -> bool {
        matches!(name, "retry-after" | "x-gemini-service-tier")
    }

    fn chat_client(&'static self) -> Option<&'static dyn ChatClient> {
        Some(self)
    }
}

impl ChatClient for Gemini {
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
        Box::new(stream_write::ChunkWriter::new(answer))
    }
}

impl ChatUpstream for Gemini {
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
        Box::new(stream_read::ChunkReader::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{StopReason, collect};
    use crate::simulator::{Piece, play};
    use crate::sse::SseReader;

    fn sent(body: &str, stream: bool) -> Vec<u8> {
        let send = |piece| if let Piece::Send(bytes) = piece { bytes } else { Vec::new() };
        play(&Gemini, body, stream, 1).pieces.into_iter().flat_map(send).collect()
    }

    fn streamed(body: &str) -> Response {
        let mut events = SseReader::new(1 << 20);
        events.push(&sent(body, true));
        let (mut reader, mut all) = (Gemini.stream_reader(), Vec::new());
        while let Some(event) = events.next_event().unwrap().or_else(|| events.finish()) {
            all.extend(reader.read(&event).unwrap());
        }
        collect(all)
    }

    #[test]
    fn the_simulator_speaks_it_whole_and_streamed() {
        let hello = r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#;
        let whole = Gemini.read_response(&sent(hello, false)).unwrap();
        let text = whole.choices[0].text().unwrap();
        assert!(text.contains("You said: \"Hello\""), "{text}");
        assert_eq!(streamed(hello).choices[0].text().unwrap(), text);
        assert_eq!(streamed(hello).usage, whole.usage);

        let call = r#"{"contents":[{"parts":[{"text":"call f"}]}],"tools":[{"functionDeclarations":[{"name":"f",
            "parameters":{"type":"OBJECT","properties":{"a":{"type":"INTEGER"}}}}]}]}"#;
        for response in [Gemini.read_response(&sent(call, false)).unwrap(), streamed(call)] {
            let called: Vec<_> = response.choices[0].calls().map(|c| (&*c.name, &*c.arguments)).collect();
            assert_eq!(called, [("f", r#"{"a":42}"#)]);
            assert_eq!(response.choices[0].stop, StopReason::ToolCalls);
        }
    }

    #[test]
    fn any_error_status_of_the_simulator_is_read_again() {
        let script = play(&Gemini, r#"{"contents":[{"parts":[{"text":"simulate: 429"}]}]}"#, false, 1);
        let Some(Piece::Send(body)) = script.pieces.first() else { panic!() };
        let error = Gemini.read_error(StatusCode::TOO_MANY_REQUESTS, body);
        assert_eq!(error.kind.as_deref(), Some("RESOURCE_EXHAUSTED"));
        assert_eq!(Gemini.write_token_count(5).unwrap(), br#"{"totalTokens":5}"#);
    }
}

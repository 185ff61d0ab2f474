//! Wire formats: one folder each, one line each in [`ALL`].

pub mod anthropic_messages;
pub mod bedrock_converse;
mod body;
mod claude;
pub mod cohere_chat;
pub mod cohere_embeddings;
pub mod cohere_rerank;
mod content;
pub mod gemini;
pub mod gemini_embeddings;
mod numbers;
pub mod openai_chat;
pub mod openai_embeddings;
pub mod openai_images;
pub mod openai_responses;
mod shown;
mod unstreamed;

pub(crate) use body::{body, note_unknown};
use http::{HeaderMap, StatusCode};
pub use shown::Shown;
use tollgate_core::fault::{FaultClass, UpstreamError};
use tollgate_core::usage::Usage;

use crate::chat::{Event, Losses, Request, Response, Spelling, Text, data_url};
use crate::framing::Framing;
use crate::json::{BodyError, Edit, Found};
use crate::sse::SseEvent;
use crate::{embeddings, rerank};

/// Every format.
pub const ALL: &[&dyn Format] = &[
    &openai_chat::OpenAiChat,
    &openai_responses::OpenAiResponses,
    &anthropic_messages::AnthropicMessages,
    &bedrock_converse::BedrockConverse,
    &gemini::Gemini,
    &cohere_chat::CohereChat,
    &openai_embeddings::OpenAiEmbeddings,
    &cohere_embeddings::CohereEmbeddings,
    &gemini_embeddings::GeminiEmbeddings,
    &cohere_rerank::V1,
    &cohere_rerank::V2,
    &openai_images::OpenAiImages,
];

/// The format called `name`.
pub fn find(name: &str) -> Option<&'static dyn Format> {
    ALL.iter().copied().find(|format| format.name() == name)
}

/// What a request's address says, in formats that put it there and not into the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address<'a> {
    /// The model.
    pub model: Option<&'a str>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a stream is to be one JSON array and not server-sent events.
    pub array: bool,
}

/// What the gate must know of a request before it knows where it goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The model, as the client calls it.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the stream is to be one JSON array.
    pub array: bool,
    /// The longest answer that is asked for, in tokens.
    pub max_output_tokens: Option<u64>,
    /// The client's own user, as it is said.
    pub end_user: Option<String>,
    /// Where the members stand that [`Surface::same_format`] edits.
    pub found: Found,
}

/// What a same-format request needs changed, and what the answer needs in turn.
#[derive(Debug, Default)]
pub struct SameFormat {
    /// Changes of the request's text.
    pub edits: Vec<Edit>,
    /// Usage was asked for on the gate's own behalf and must be taken out of the answer again.
    pub hide_usage: bool,
}

/// What an upstream needs to know about itself for a request to be written for it.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// What it calls the model.
    pub model: String,
    /// What it calls the longest answer: older OpenAI-compatible servers know only `max_tokens`.
    pub legacy_max_tokens: bool,
    /// Whether it understands `stream_options.include_usage`.
    pub stream_usage: bool,
    /// The longest answer of the model.
    pub max_output_tokens: Option<u64>,
    /// A shorter answer than the request asks for, because a budget pays for no more, in tokens.
    pub output_ceiling: Option<u64>,
    /// Whether the model answers to a schema by itself; otherwise a forced tool call stands in.
    pub native_schema: bool,
    /// Whether the model refuses sampling parameters.
    pub no_sampling: bool,
    /// Whether the model decides by itself how long it thinks, and takes no budget for it.
    pub adaptive_thinking: bool,
    /// Whether the address names the model: a format that puts it into the body leaves it out there.
    pub model_in_address: bool,
    /// What Anthropic's format must say as `anthropic_version` in the body, where it is not said in a header.
    pub anthropic_version: Option<&'static str>,
}

/// What the writer of an answer must know of the request that it answers.
#[derive(Clone, Debug, Default)]
pub struct AnswerFor {
    /// When the answer is made, seconds since 1970, for formats that say so.
    pub created: i64,
    /// Whether the client asked for usage at the end of a stream.
    pub stream_usage: bool,
    /// Usage was asked for on the gate's own behalf and is taken out of a stream of the same format again.
    pub hide_usage: bool,
    /// A stream is one JSON array and not server-sent events.
    pub array: bool,
    /// Vectors are wanted as base64.
    pub base64: bool,
    /// The ranked documents are wanted in the answer.
    pub documents: bool,
    /// A forced call of [`SCHEMA_TOOL`] stands in for an answer to a schema and must be turned back into text.
    pub schema_tool: bool,
}

/// The tool whose forced call stands in for an answer to a schema.
pub const SCHEMA_TOOL: &str = "tollgate_structured_answer";

/// What an event of a same-format stream means to the gate.
#[derive(Debug, PartialEq, Eq)]
pub enum Watch {
    /// Pass it on.
    Forward,
    /// Pass this on instead.
    Replace(Vec<u8>),
    /// Do not pass it on.
    Drop,
    /// Pass it on; nothing follows.
    Last,
    /// The upstream failed.
    Failed(UpstreamError),
    /// It is no event of this format.
    Garbage,
}

/// Reads a same-format stream as it passes.
pub trait Watcher: Send {
    /// Looks at the next event.
    fn event(&mut self, event: &SseEvent) -> Watch;
    /// The usage reported so far.
    fn usage(&self) -> Option<Usage>;
    /// Bytes of content so far, to estimate the usage of a stream that was cut off.
    fn content_bytes(&self) -> u64;
    /// Whether the model has said that it is done, though the format's last event has not come.
    fn stopped(&self) -> bool;
    /// What closes the stream after its last event, where the format frames it.
    fn end(&mut self) -> &'static [u8] {
        b""
    }
}

/// Turns a stream of this format into events.
pub trait StreamReader: Send {
    /// The events that `event` stands for; `Err` when it is no event of this format.
    fn read(&mut self, event: &SseEvent) -> Result<Vec<Event>, String>;
}

/// Turns events into a stream of this format.
pub trait StreamWriter: Send {
    /// The bytes that `event` stands for; may be none.
    fn write(&mut self, event: Event, out: &mut Vec<u8>);
    /// Bytes that it holds back until their turn comes.
    fn held(&self) -> usize {
        0
    }
}

/// What calls of a format are about: only formats of one kind can be translated into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Conversations.
    Chat,
    /// Vectors of texts.
    Embeddings,
    /// The order of documents by how well they fit a query.
    Rerank,
    /// Pictures.
    Images,
}

/// A wire format. All of it is pure: bytes to types and back.
///
/// Every format can name itself and read an upstream's errors. What else it can do, it hands out: [`Surface`] where
/// clients speak it, [`ChatUpstream`] where requests can be translated into it.
pub trait Format: Send + Sync + std::fmt::Debug {
    /// Its name in configuration and records.
    fn name(&self) -> &'static str;

    /// What its calls are about.
    fn kind(&self) -> Kind;

    /// What an upstream's error body says.
    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError;

    /// How its streams are cut into events.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// The upstream's own id for a request.
    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str>;

    /// What clients need of it, where clients speak it.
    fn surface(&'static self) -> Option<&'static dyn Surface> {
        None
    }

    /// What a chat with an upstream needs of it, where it is about chats.
    fn chat_upstream(&'static self) -> Option<&'static dyn ChatUpstream> {
        None
    }

    /// What embedding at an upstream needs of it, where it is about embeddings.
    fn embeddings_upstream(&'static self) -> Option<&'static dyn EmbeddingsUpstream> {
        None
    }

    /// What reranking at an upstream needs of it, where it is about reranking.
    fn rerank_upstream(&'static self) -> Option<&'static dyn RerankUpstream> {
        None
    }
}

/// What clients speak: the half of a format that the gate needs towards clients, and on the way to upstreams that
/// speak the same format.
pub trait Surface: Format {
    /// Reads what the gate must know of a request.
    fn peek(&self, body: &str, address: &Address<'_>) -> Result<Peek, BodyError>;

    /// The closed list of edits that a request to an upstream of the same format gets. `found` is what `peek` found
    /// in `body`.
    fn same_format(&self, body: &str, found: Found, target: &Target) -> Result<SameFormat, BodyError>;

    /// The places of image addresses in a request, each the span of what [`Surface::inline_image`] replaces.
    fn image_urls(&self, _body: &str) -> Result<Vec<(std::ops::Range<usize>, String)>, BodyError> {
        Ok(Vec::new())
    }

    /// What takes the place of an image address once its bytes are here: an edit of the request. By default a `data:`
    /// URL (RFC 2397) for a URL.
    fn inline_image(&self, span: std::ops::Range<usize>, media_type: &str, base64: &str) -> Edit {
        Edit { span, with: crate::json::quoted(&data_url(media_type, base64)) }
    }

    /// The usage of a whole answer; `Err` when the body is no answer of this format.
    fn response_usage(&self, body: &str) -> Result<Option<Usage>, String>;

    /// A reader of a stream that passes unchanged; by default of none, for formats whose answers are always whole.
    fn watcher(&self, _: &AnswerFor) -> Box<dyn Watcher> {
        Box::new(unstreamed::Unstreamed)
    }

    /// The content type of a streamed answer.
    fn stream_content_type(&self, _: &AnswerFor) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// The body of an error for a client.
    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8>;

    /// An error in the middle of a stream, for a client: bytes as they are sent.
    fn write_stream_error(&self, shown: &Shown<'_>, answer: &AnswerFor) -> Vec<u8>;

    /// The answer to a request to count tokens, where the format has one.
    fn write_token_count(&self, _input_tokens: u64) -> Option<Vec<u8>> {
        None
    }

    /// Client headers that mean something in this format and go on to an upstream that speaks it.
    fn request_headers(&self) -> &'static [&'static str];

    /// Response headers of an upstream that mean something to a client of the same format.
    fn response_headers(&self, name: &str) -> bool;

    /// What a translated chat needs of it, where it is about chats.
    fn chat_client(&'static self) -> Option<&'static dyn ChatClient> {
        None
    }

    /// What translated embeddings need of it, where it is about embeddings.
    fn embeddings_client(&'static self) -> Option<&'static dyn EmbeddingsClient> {
        None
    }

    /// What a translated reranking needs of it, where it is about reranking.
    fn rerank_client(&'static self) -> Option<&'static dyn RerankClient> {
        None
    }
}

/// The client's half of a chat that is translated: its requests are read, its answers written.
pub trait ChatClient: Surface {
    /// Its words for features, where they are not those of [`Feature::name`](crate::chat::Feature::name).
    fn spelling(&self) -> Spelling;

    /// Reads a whole request.
    fn read_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError>;

    /// Writes a whole answer.
    fn write_response(&self, response: &Response, answer: &AnswerFor) -> Vec<u8>;

    /// A writer of a stream that is translated.
    fn stream_writer(&self, answer: &AnswerFor) -> Box<dyn StreamWriter>;
}

/// The upstream's half of a chat that is translated: its requests are written, its answers read.
pub trait ChatUpstream: Format {
    /// Writes a request for `target`. Returns the body and whether [`SCHEMA_TOOL`] was used.
    fn write_request(
        &self,
        request: &Request<'_>,
        target: &Target,
        losses: &mut Losses,
    ) -> Result<(Vec<u8>, bool), BodyError>;

    /// Reads a whole answer.
    fn read_response(&self, body: &[u8]) -> Result<Response, String>;

    /// A reader of a stream that is translated.
    fn stream_reader(&self) -> Box<dyn StreamReader>;
}

/// The client's half of embeddings that are translated.
pub trait EmbeddingsClient: Surface {
    /// Reads a whole request.
    fn read_request<'a>(
        &self,
        body: &'a str,
        losses: &mut Losses,
    ) -> Result<embeddings::Request<'a>, BodyError>;

    /// Writes a whole answer.
    fn write_response(&self, response: &embeddings::Response, answer: &AnswerFor) -> Vec<u8>;
}

/// The upstream's half of embeddings that are translated.
pub trait EmbeddingsUpstream: Format {
    /// Writes a request for `target`.
    fn write_request(
        &self,
        request: &embeddings::Request<'_>,
        target: &Target,
        losses: &mut Losses,
    ) -> Result<Vec<u8>, BodyError>;

    /// Reads a whole answer.
    fn read_response(&self, body: &[u8]) -> Result<embeddings::Response, String>;
}

/// The client's half of a reranking that is translated.
pub trait RerankClient: Surface {
    /// Reads a whole request.
    fn read_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<rerank::Request<'a>, BodyError>;

    /// Writes a whole answer. `documents` are the request's, where it wants them repeated.
    fn write_response(&self, response: &rerank::Response, documents: Option<&[Text<'_>]>) -> Vec<u8>;
}

/// The upstream's half of a reranking that is translated.
pub trait RerankUpstream: Format {
    /// Writes a request for `target`.
    fn write_request(&self, request: &rerank::Request<'_>, target: &Target, losses: &mut Losses) -> Vec<u8>;

    /// Reads a whole answer.
    fn read_response(&self, body: &[u8]) -> Result<rerank::Response, String>;
}

/// What kind of fault an upstream's error is. Texts are matched only where no code tells context window and
/// content policy apart from other bad requests.
pub fn classify(error: &UpstreamError) -> FaultClass {
    let kind = error.kind.as_deref().unwrap_or_default();
    let code = error.code.as_deref().unwrap_or_default();
    match error.status {
        401..=404 => FaultClass::UpstreamRefused,
        408 => FaultClass::Timeout,
        413 => FaultClass::TooLarge,
        // Amazon answers so where the model itself failed, and not the request (RFC 4918 §11.4).
        424 => FaultClass::UpstreamFailed,
        429 => FaultClass::RateLimited,
        503 | 529 => FaultClass::Overloaded,
        // Google answers so to a key that it does not know, and where it does not serve.
        400 if code == "API_KEY_INVALID" || kind == "FAILED_PRECONDITION" => FaultClass::UpstreamRefused,
        // Amazon says so of a model that it does not serve, and calls it a wrong request.
        400 if kind == "ResourceNotFoundException" => FaultClass::UpstreamRefused,
        400 | 405..=499 => match bad_request(code, &error.message.to_lowercase()) {
            Some(class) => class,
            None => FaultClass::Invalid,
        },
        // An error inside a stream has no status.
        0 => match (kind, code) {
            ("overloaded_error" | "UNAVAILABLE" | "serviceUnavailableException", _) => FaultClass::Overloaded,
            ("rate_limit_error" | "RESOURCE_EXHAUSTED" | "throttlingException", _)
            | (_, "rate_limit_exceeded") => FaultClass::RateLimited,
            ("invalid_request_error" | "INVALID_ARGUMENT" | "validationException", _) => {
                bad_request(code, &error.message.to_lowercase()).unwrap_or(FaultClass::Invalid)
            }
            ("timeout_error" | "DEADLINE_EXCEEDED" | "modelTimeoutException", _) => FaultClass::Timeout,
            _ => FaultClass::UpstreamFailed,
        },
        500..=599 => FaultClass::UpstreamFailed,
        _ => FaultClass::BadUpstream,
    }
}

fn bad_request(code: &str, message: &str) -> Option<FaultClass> {
    const CONTEXT: [&str; 9] = [
        "maximum context length",
        "prompt is too long",
        "context window",
        "context length",
        "exceed context limit",
        "too many tokens",
        "input is too long",
        "exceeds the maximum number of tokens",
        "number of input tokens exceeds",
    ];
    if code == "context_length_exceeded" || CONTEXT.iter().any(|text| message.contains(text)) {
        return Some(FaultClass::ContextWindow);
    }
    let policy = matches!(code, "content_filter" | "content_policy_violation")
        || ["content management policy", "content policy", "usage policies", "content filtering"]
            .iter()
            .any(|t| message.contains(t));
    policy.then_some(FaultClass::ContentPolicy)
}

/// The beginning of a body that is no error of this format: an HTML page, a proxy's text.
pub fn excerpt(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * LONGEST)]);
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect();
    if text.is_empty() { "(an empty body)".to_owned() } else { text }
}

//! What a client asks of a model.

use std::borrow::Cow;

use super::{Json, Sealed, Text};

/// A chat request. Texts and raw JSON stay as the client wrote them.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// The model, as the client calls it.
    pub model: String,
    /// The conversation, system messages included, in order.
    pub messages: Vec<Message<'a>>,
    /// The tools that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Which of them it must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once; `None` leaves it to the upstream.
    pub parallel_tools: Option<bool>,
    /// What the answer must look like.
    pub output: Option<OutputFormat<'a>>,
    /// The longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// Sampling temperature, as written by the client.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling from the k likeliest tokens.
    pub top_k: Option<u64>,
    /// A seed for repeatable answers.
    pub seed: Option<i64>,
    /// A penalty for tokens by how often they came up.
    pub frequency_penalty: Option<f64>,
    /// A penalty for tokens that came up.
    pub presence_penalty: Option<f64>,
    /// How many answers.
    pub candidates: Option<u64>,
    /// Probabilities of the answer's tokens, each with so many likely others.
    pub logprobs: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How the model thinks.
    pub reasoning: Reasoning,
    /// The end user, for the provider's abuse detection.
    pub user: Option<String>,
    /// How long-winded the answer is: `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// Which capacity the provider uses.
    pub service_tier: Option<String>,
    /// Which requests share a cached prompt.
    pub prompt_cache_key: Option<String>,
    /// Labels that the provider keeps: an object of texts.
    pub metadata: Option<Json<'a>>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a streamed answer ends with its usage, where the format makes that a choice.
    pub stream_usage: bool,
}

impl Request<'_> {
    /// Whether any part of the conversation, those of tool results included, is one that `is` says.
    pub fn any_part(&self, is: impl Fn(&Part<'_>) -> bool) -> bool {
        let inside = |part: &Part<'_>| match part {
            Part::ToolResult { parts, .. } => parts.iter().any(&is),
            _ => false,
        };
        self.messages.iter().flat_map(|message| &message.parts).any(|part| is(part) || inside(part))
    }

    /// The name of the tool that the call `id` of an earlier turn was for.
    pub fn tool_of_call(&self, id: &str) -> Option<&str> {
        self.messages.iter().flat_map(|message| &message.parts).find_map(|part| match part {
            Part::ToolCall { id: known, name, .. } if *known == id => Some(&**name),
            _ => None,
        })
    }
}

/// How the model thinks before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// How much, as a word.
    pub effort: Option<Effort>,
    /// How much, in tokens.
    pub budget_tokens: Option<u64>,
    /// Whether thinking is a part of the answer.
    pub shown: Option<bool>,
}

/// How much a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// More than that.
    XHigh,
    /// As much as it can.
    Max,
}

impl Effort {
    const NAMES: [(&str, Self); 7] = [
        ("none", Self::None),
        ("minimal", Self::Minimal),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("xhigh", Self::XHigh),
        ("max", Self::Max),
    ];

    /// The effort called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, effort)| *effort)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, effort)| *effort == self).map_or("medium", |(name, _)| name)
    }

    /// About so many tokens, for formats that count them.
    pub fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => 1_024,
            Self::Medium => 8_192,
            Self::High => 24_576,
            Self::XHigh | Self::Max => 32_768,
        }
    }

    /// About what `tokens` amount to.
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=2_047 => Self::Low,
            2_048..=16_383 => Self::Medium,
            _ => Self::High,
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions above the conversation.
    System,
    /// Instructions of the application's developer, below the system's; most formats know only one kind.
    Developer,
    /// The client's side, tool results included.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Whether these are instructions.
    pub fn instructs(self) -> bool {
        matches!(self, Self::System | Self::Developer)
    }
}

/// One turn.
#[derive(Debug)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part<'a>>,
}

/// A piece of a turn.
#[derive(Debug)]
pub enum Part<'a> {
    /// Text.
    Text(Text<'a>),
    /// A picture.
    Image {
        /// Where it is.
        source: Source<'a>,
        /// How closely it is looked at: `low`, `high`, `auto`.
        detail: Option<Cow<'a, str>>,
    },
    /// A document, such as a PDF.
    Document {
        /// Where it is.
        source: Source<'a>,
        /// What it is called.
        name: Option<Cow<'a, str>>,
    },
    /// Sound.
    Audio(Source<'a>),
    /// The model's refusal, in an earlier turn.
    Refusal(Text<'a>),
    /// What the model thought, in an earlier turn.
    Thinking {
        /// The thought, or its summary; may be empty.
        text: Text<'a>,
        /// By which the model knows it again.
        seal: Option<Sealed>,
    },
    /// What the model thought and shows to nobody.
    Redacted(Sealed),
    /// The model's call of a tool, in an earlier turn.
    ToolCall {
        /// Ties the result to the call.
        id: Cow<'a, str>,
        /// The tool.
        name: Cow<'a, str>,
        /// Its arguments: a JSON object as text.
        arguments: Cow<'a, str>,
        /// By which the model knows again why it called.
        seal: Option<Sealed>,
    },
    /// What a tool answered.
    ToolResult {
        /// The call.
        id: Cow<'a, str>,
        /// What it answered: texts, pictures, documents.
        parts: Vec<Part<'a>>,
        /// Whether it failed.
        is_error: bool,
    },
    /// Up to here the prompt is cached.
    CacheMark(CacheMark),
}

/// A mark up to which the prompt is cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMark {
    /// For how long, such as `5m` and `1h`; `None` as long as is usual.
    pub ttl: Option<String>,
}

/// Where a picture, a document or sound is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// At an address.
    Url(Cow<'a, str>),
    /// Here.
    Base64 {
        /// Such as `image/png`.
        media_type: Cow<'a, str>,
        /// Base64 (RFC 4648 §4).
        data: Cow<'a, str>,
    },
}

/// A `data:` URL (RFC 2397) for base64.
pub fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}

impl<'a> Source<'a> {
    /// Reads an address, taking a `data:` URL (RFC 2397) apart.
    pub fn from_url(url: Cow<'a, str>) -> Self {
        let Some((media_type, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"))
        else {
            return Self::Url(url);
        };
        let (kind, start) = (media_type.len(), url.len() - data.len());
        let media = 5..5 + kind;
        match url {
            Cow::Borrowed(url) => Self::Base64 { media_type: url[media].into(), data: url[start..].into() },
            Cow::Owned(url) => Self::Base64 {
                media_type: url[media].to_owned().into(),
                data: url[start..].to_owned().into(),
            },
        }
    }

    /// The address, a `data:` URL where it is here.
    pub fn to_url(&self) -> Cow<'_, str> {
        match self {
            Self::Url(url) => Cow::Borrowed(url),
            Self::Base64 { media_type, data } => Cow::Owned(data_url(media_type, data)),
        }
    }
}

/// A tool that the model may call.
#[derive(Debug)]
pub struct Tool<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it does.
    pub description: Option<Text<'a>>,
    /// The JSON schema of its arguments.
    pub schema: Option<Json<'a>>,
    /// Whether the arguments must fit the schema exactly.
    pub strict: Option<bool>,
    /// Up to here the prompt is cached.
    pub cache: Option<CacheMark>,
}

/// Which tools the model must call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// What the answer must look like.
#[derive(Debug)]
pub enum OutputFormat<'a> {
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// The schema.
        schema: Json<'a>,
        /// Whether the answer must fit it exactly.
        strict: Option<bool>,
    },
}

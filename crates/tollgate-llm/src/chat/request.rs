//! What a client asks of a model.

use serde_json::value::RawValue;

/// A chat request. Raw JSON stays the text that the client wrote.
#[derive(Debug, Default)]
pub struct Request {
    /// The model, as the upstream calls it.
    pub model: String,
    /// The conversation, system messages included, in order.
    pub messages: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once; `None` leaves it to the upstream.
    pub parallel_tools: Option<bool>,
    /// What the answer must look like.
    pub output: Option<OutputFormat>,
    /// The longest answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// Sampling temperature, as written by the client.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling from the k likeliest tokens.
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// The end user, for the provider's abuse detection.
    pub user: Option<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a streamed answer ends with its usage, where the format makes that a choice.
    pub stream_usage: bool,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions above the conversation.
    System,
    /// The client's side, tool results included.
    User,
    /// The model.
    Assistant,
}

/// One turn.
#[derive(Debug)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub parts: Vec<Part>,
}

/// A piece of a turn.
#[derive(Debug)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture.
    Image(ImageSource),
    /// The model's refusal, in an earlier turn.
    Refusal(String),
    /// The model's call of a tool, in an earlier turn.
    ToolCall {
        /// Ties the result to the call.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments: a JSON object as text.
        arguments: String,
    },
    /// What a tool answered.
    ToolResult {
        /// The call.
        id: String,
        /// What it answered: texts and images.
        parts: Vec<Part>,
        /// Whether it failed.
        is_error: bool,
    },
}

/// Where a picture is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// At an address.
    Url(String),
    /// Here.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// Base64 (RFC 4648 §4).
        data: String,
    },
}

impl ImageSource {
    /// Reads an address, taking a `data:` URL (RFC 2397) apart.
    pub fn from_url(url: String) -> Self {
        let inline = url.strip_prefix("data:").and_then(|rest| {
            let (kind, data) = rest.split_once(',')?;
            Some(Self::Base64 { media_type: kind.strip_suffix(";base64")?.to_owned(), data: data.to_owned() })
        });
        inline.unwrap_or(Self::Url(url))
    }

    /// The address, a `data:` URL where the picture is here.
    pub fn to_url(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        }
    }
}

/// A tool that the model may call.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub schema: Option<Box<RawValue>>,
    /// Whether the arguments must fit the schema exactly.
    pub strict: Option<bool>,
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
pub enum OutputFormat {
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// The schema.
        schema: Box<RawValue>,
        /// Whether the answer must fit it exactly.
        strict: Option<bool>,
    },
}

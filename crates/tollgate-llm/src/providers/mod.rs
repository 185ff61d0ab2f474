//! Providers: who speaks which format at which address. A service that speaks OpenAI's dialect is a row in
//! [`compatible`]; any other is a file and a line in [`OWN`].

mod anthropic;
mod azure;
mod bedrock;
mod cohere;
mod compatible;
mod gemini;
mod openai;
mod simulator;
mod vertex_ai;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_core::ports::{ProviderFacts, Providers};
use tollgate_core::secret::Secret;

use crate::formats::{Format, Surface};

/// Every provider that has a file of its own.
const OWN: &[&Provider] = &[
    &openai::PROVIDER,
    &anthropic::PROVIDER,
    &gemini::PROVIDER,
    &cohere::PROVIDER,
    &cohere::CHAT,
    &azure::PROVIDER,
    &azure::FOUNDRY,
    &bedrock::PROVIDER,
    &bedrock::CONVERSE,
    &vertex_ai::PROVIDER,
    &simulator::PROVIDER,
];

/// Providers that LiteLLM files name and that this version cannot speak to.
const PLANNED: &[&str] = &["databricks", "replicate", "sagemaker", "watsonx"];

/// Every provider.
pub fn all() -> impl Iterator<Item = &'static Provider> {
    OWN.iter().copied().chain(compatible::ROWS)
}

/// What a call does at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Answer a conversation.
    Chat,
    /// Count the tokens of a conversation.
    CountTokens,
    /// Turn texts into vectors.
    Embed,
    /// Order documents by how well they fit a query.
    Rerank,
    /// Make pictures.
    MakeImages,
    /// Change pictures.
    EditImages,
}

/// What an address is made from.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// What the call does.
    pub operation: Operation,
    /// The name of the format that is spoken.
    pub format: &'a str,
    /// The provider's name for the model.
    pub model: &'a str,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The address that the path is put behind.
    pub base_url: &'a str,
    /// The version of the API, where the address says it.
    pub api_version: Option<&'a str>,
}

/// An adapter for one upstream API family.
#[derive(Debug)]
pub struct Provider {
    /// What configuration knows of it.
    pub facts: ProviderFacts,
    /// The path below the base URL, with its query; `None` where the provider has no such thing.
    pub path: fn(&Endpoint<'_>) -> Option<Cow<'static, str>>,
    /// Puts the credential, and whatever else every request carries, into the headers.
    pub headers: fn(&mut HeaderMap, Option<&Secret>),
    /// Turns a base URL as people write it into the one that paths are put behind.
    pub normalise_base_url: fn(&str) -> &str,
    /// Whether it knows only `max_tokens`, as servers do that follow an older OpenAI.
    pub legacy_max_tokens: bool,
    /// Which of its formats it speaks for a model, where that depends on the model.
    pub formats_for: Option<fn(&str) -> &'static [&'static str]>,
    /// What it wants to hear as `anthropic_version` in the body, where it speaks Anthropic's format. The address of a
    /// chat then names the model, and the body does not.
    pub anthropic_version: Option<&'static str>,
    /// Whether it is part of the gate and answers without a connection.
    pub built_in: bool,
    /// What it was tried against.
    pub tried: Tried,
}

/// What a provider was tried against. The services themselves never were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Chats by real SDKs at an independent mock of the service; whatever else it answers, such as embeddings, at
    /// scripted answers, made after its published schema.
    Mock,
    /// The same, and streams that were recorded at the service.
    Recordings,
    /// Chats with Gemini at the mock; those with Claude at scripted answers.
    GeminiAtMock,
    /// Only what `openai_compatible` was: its address and its variables were compared with what another published
    /// client of the service has.
    Row,
    /// It is part of the gate.
    Itself,
}

impl Tried {
    /// For a reader of the documentation.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Mock => "chats: an independent mock, by real SDKs; all else: scripted answers",
            Self::Recordings => "an independent mock, by real SDKs; recorded streams",
            Self::GeminiAtMock => "Gemini: an independent mock, by real SDKs; Claude: scripted answers",
            Self::Row => "as `openai_compatible`; address and variables as other clients have them",
            Self::Itself => "itself: it is part of the gate",
        }
    }
}

impl Provider {
    /// The format to speak to it about `model` for a client that speaks `surface`: what is configured, else the same,
    /// else the first that is about the same kind of call; `None` when there is none.
    pub fn format_for(
        &self,
        surface: &dyn Surface,
        configured: Option<&str>,
        model: &str,
    ) -> Option<&'static dyn Format> {
        let formats = match (configured, self.formats_for) {
            (None, Some(formats_for)) => formats_for(model),
            _ => self.facts.formats,
        };
        let known = || formats.iter().filter_map(|name| crate::formats::find(name));
        let of_kind = |format: &&'static dyn Format| format.kind() == surface.kind();
        known()
            .filter(of_kind)
            .find(|format| configured == Some(format.name()))
            .or_else(|| known().find(|format| format.name() == surface.name()))
            .or_else(|| known().find(of_kind))
    }
}

/// The provider called `name`.
pub fn find(name: &str) -> Option<&'static Provider> {
    all().find(|provider| provider.facts.name == name)
}

/// The table, as configuration asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Table;

impl Providers for Table {
    fn find(&self, name: &str) -> Option<ProviderFacts> {
        find(name).map(|provider| provider.facts)
    }

    fn names(&self) -> Vec<&'static str> {
        all().map(|provider| provider.facts.name).collect()
    }

    fn planned(&self, name: &str) -> bool {
        PLANNED.contains(&name)
    }

    fn built_in(&self, name: &str) -> bool {
        find(name).is_some_and(|provider| provider.built_in)
    }
}

/// `text` as one segment of a path, or as a value of a query (RFC 3986 §2.1).
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A header that holds a credential: marked, so that no log shows it.
fn put_secret(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Credentials were checked for this when the configuration was read.
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

/// `Authorization: Bearer …` (RFC 6750 §2.1).
fn bearer(headers: &mut HeaderMap, key: Option<&Secret>) {
    if let Some(key) = key {
        put_secret(headers, http::header::AUTHORIZATION, &format!("Bearer {}", key.expose()));
    }
}

//! From a request to a provider and back.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tollgate_core::ports::Catalog;
use tollgate_core::price::Cost;
use tollgate_core::secret::Secret;
use tollgate_core::usage::Usage;
use tollgate_llm::catalog::BuiltIn;
use tollgate_llm::chat::Losses;
use tollgate_llm::formats::openai_chat::OpenAiChat;
use tollgate_llm::formats::openai_embeddings::OpenAiEmbeddings;
use tollgate_llm::formats::{ChatClient, EmbeddingsClient, Format, Surface, Target};
use tollgate_llm::providers::{self, Endpoint, Operation, Provider};

use crate::{Answer, Chat, Embedding, Error, Stream};

/// For a whole answer.
const TIMEOUT: Duration = Duration::from_mins(10);

/// The largest answer that is read.
const LARGEST: usize = 64 << 20;

type Http = HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Where credentials and addresses come from, and how long to wait. Connections are shared by all clients.
#[derive(Clone, Debug, Default)]
pub struct Client {
    api_key: Option<Secret>,
    base_url: Option<String>,
    timeout: Option<Duration>,
}

/// A provider, and the model as it calls it.
struct Place {
    provider: &'static Provider,
    model: String,
    base_url: String,
    api_key: Option<Secret>,
}

impl Client {
    /// A client that looks where the providers' own SDKs look.
    pub fn from_environment() -> Self {
        Self::default()
    }

    /// The credential, instead of the provider's usual variable.
    #[must_use]
    pub fn api_key(self, key: &str) -> Self {
        Self { api_key: Some(Secret::new(key)), ..self }
    }

    /// The address, instead of the provider's usual one.
    #[must_use]
    pub fn base_url(self, url: impl Into<String>) -> Self {
        Self { base_url: Some(url.into()), ..self }
    }

    /// How long to wait for a whole answer, or for the beginning of a stream; ten minutes otherwise.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Answers `chat`, whole.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn completion(&self, chat: &Chat) -> Result<Answer, Error> {
        let place = self.place(&chat.model)?;
        let format = place.format(&OpenAiChat)?;
        let upstream = format.chat_upstream().ok_or_else(|| place.unable("chat"))?;
        let body = translated(chat, &place, format, false)?;
        let answer = self.exchange(&place, format, Operation::Chat, false, body).await?;
        let response = upstream.read_response(&answer).map_err(Error::BadAnswer)?;
        let cost = place.cost(response.usage.as_ref());
        Ok(Answer::new(response, cost))
    }

    /// Answers `chat`, piece by piece.
    ///
    /// # Errors
    /// See [`Error`]; what goes wrong later comes as a piece.
    pub async fn stream(&self, chat: &Chat) -> Result<Stream, Error> {
        let place = self.place(&chat.model)?;
        let format = place.format(&OpenAiChat)?;
        let upstream = format.chat_upstream().ok_or_else(|| place.unable("chat"))?;
        let body = translated(chat, &place, format, true)?;
        let response = self.send(&place, format, Operation::Chat, true, body).await?;
        Ok(Stream::new(response.into_body(), upstream.framing(), upstream.stream_reader()))
    }

    /// Turns each of `texts` into a vector.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn embedding(&self, model: &str, texts: &[&str]) -> Result<Embedding, Error> {
        let place = self.place(model)?;
        let format = place.format(&OpenAiEmbeddings)?;
        let upstream = format.embeddings_upstream().ok_or_else(|| place.unable("embeddings"))?;
        let asked = serde_json::json!({ "model": place.model, "input": texts }).to_string();
        let mut losses = Losses::default();
        let request = EmbeddingsClient::read_request(&OpenAiEmbeddings, &asked, &mut losses)?;
        let body = upstream.write_request(&request, &place.target(), &mut losses)?;
        refuse_losses(&losses, format)?;
        let answer = self.exchange(&place, format, Operation::Embed, false, body).await?;
        let response = upstream.read_response(&answer).map_err(Error::BadAnswer)?;
        let numbers = |vector: &tollgate_llm::embeddings::Vector| serde_json::from_str(vector.0.get());
        let vectors = response.vectors.iter().map(numbers).collect::<Result<_, _>>();
        let cost = place.cost(response.usage.as_ref());
        let vectors = vectors.map_err(|e| Error::BadAnswer(e.to_string()))?;
        Ok(Embedding { vectors, usage: response.usage, cost })
    }

    fn place(&self, model: &str) -> Result<Place, Error> {
        let wrong = |why: &str| Error::Model { model: model.to_owned(), why: why.to_owned() };
        let (name, upstream) = model
            .split_once('/')
            .ok_or_else(|| wrong("write it as `provider/model`, such as openai/gpt-4o"))?;
        let provider = providers::find(name).ok_or_else(|| wrong("nobody knows this provider"))?;
        let variable = |name: &&str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let facts = &provider.facts;
        let base_url = self
            .base_url
            .clone()
            .or_else(|| facts.base_url_variables.iter().find_map(variable))
            .or_else(|| facts.base_url.filter(|url| !url.contains('{')).map(str::to_owned))
            .ok_or_else(|| wrong("its address is not known: set `base_url`"))?;
        let api_key =
            self.api_key.clone().or_else(|| facts.key_variables.iter().find_map(variable).map(Secret::new));
        if api_key.is_none() && !facts.key_optional {
            let names = facts.key_variables.join(" or ");
            let why = format!("set {names}; tokens and signatures of clouds are the gate's business");
            return Err(Error::Credential { provider: facts.name, why });
        }
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Place { provider, model: upstream.to_owned(), base_url, api_key })
    }

    /// A whole answer.
    async fn exchange(
        &self,
        place: &Place,
        format: &dyn Format,
        operation: Operation,
        stream: bool,
        body: Vec<u8>,
    ) -> Result<Bytes, Error> {
        let response = self.send(place, format, operation, stream, body).await?;
        tokio::time::timeout(self.timeout.unwrap_or(TIMEOUT), read(response.into_body()))
            .await
            .map_err(|_| Error::Timeout)?
    }

    /// Sends the request; an answer that is no success is an error.
    async fn send(
        &self,
        place: &Place,
        format: &dyn Format,
        operation: Operation,
        stream: bool,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Error> {
        let request = place.request(format, operation, stream, body)?;
        let sent = tokio::time::timeout(self.timeout.unwrap_or(TIMEOUT), http()?.request(request)).await;
        let response = sent.map_err(|_| Error::Timeout)?.map_err(|e| Error::Connection(reasons(&e)))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = read(response.into_body()).await.unwrap_or_default();
        Err(Error::upstream(format.read_error(status, &body)))
    }
}

impl Place {
    fn format(&self, surface: &dyn Surface) -> Result<&'static dyn Format, Error> {
        let kind = format!("{:?}", surface.kind()).to_lowercase();
        self.provider.format_for(surface, None, &self.model).ok_or_else(|| self.unable(&kind))
    }

    fn unable(&self, what: &str) -> Error {
        let why = format!("this provider has no {what}");
        Error::Model { model: format!("{}/{}", self.provider.facts.name, self.model), why }
    }

    fn target(&self) -> Target {
        let facts = BuiltIn.facts(self.provider.facts.name, &self.model).unwrap_or_default();
        Target {
            model: self.model.clone(),
            legacy_max_tokens: self.provider.legacy_max_tokens,
            stream_usage: true,
            output_ceiling: None,
            max_output_tokens: facts.max_output_tokens,
            native_schema: facts.native_schema,
            no_sampling: facts.no_sampling,
            adaptive_thinking: facts.adaptive_thinking,
            model_in_address: self.provider.anthropic_version.is_some(),
            anthropic_version: self.provider.anthropic_version,
        }
    }

    fn cost(&self, usage: Option<&Usage>) -> Cost {
        let facts = BuiltIn.facts(self.provider.facts.name, &self.model);
        let price = facts.and_then(|facts| facts.price);
        usage.zip(price.as_ref()).map_or(Cost::Unknown, |(usage, price)| price.cost(usage))
    }

    fn request(
        &self,
        format: &dyn Format,
        operation: Operation,
        stream: bool,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let base_url = (self.provider.normalise_base_url)(&self.base_url);
        let endpoint = Endpoint {
            operation,
            format: format.name(),
            model: &self.model,
            stream,
            base_url,
            api_version: None,
        };
        let path: Cow<'_, str> = (self.provider.path)(&endpoint).ok_or_else(|| self.unable(format.name()))?;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{base_url}{path}")
            .parse()
            .map_err(|_| Error::Connection(format!("{base_url} is no address")))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (self.provider.headers)(&mut headers, self.api_key.as_ref());
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// The body for an upstream of `format`.
fn translated(chat: &Chat, place: &Place, format: &dyn Format, stream: bool) -> Result<Vec<u8>, Error> {
    let asked = chat.body(&place.model, stream);
    if format.name() == OpenAiChat.name() {
        return Ok(asked.into_bytes());
    }
    let upstream = providers_chat(format)?;
    let mut losses = Losses::new(OpenAiChat.spelling());
    let mut request = ChatClient::read_request(&OpenAiChat, &asked, &mut losses)?;
    request.stream = stream;
    let (body, _) = upstream.write_request(&request, &place.target(), &mut losses)?;
    refuse_losses(&losses, format)?;
    Ok(body)
}

fn providers_chat(format: &dyn Format) -> Result<&'static dyn tollgate_llm::formats::ChatUpstream, Error> {
    let found = tollgate_llm::formats::find(format.name()).and_then(|format| format.chat_upstream());
    found.ok_or_else(|| Error::Request(format!("{} is no chat format", format.name())))
}

/// What the provider cannot express, and what would change the answer, is an error here.
fn refuse_losses(losses: &Losses, format: &dyn Format) -> Result<(), Error> {
    match losses.first_harmful() {
        None => Ok(()),
        Some(loss) => Err(Error::Unsupported {
            member: loss.member.clone(),
            format: format.name(),
            why: loss.why.to_owned(),
        }),
    }
}

async fn read(body: Incoming) -> Result<Bytes, Error> {
    let collected = Limited::new(body, LARGEST).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|e| Error::Connection(e.to_string()))
}

/// Connections, made once.
fn http() -> Result<&'static Http, Error> {
    static HTTP: OnceLock<Result<Http, String>> = OnceLock::new();
    let made = HTTP.get_or_init(|| {
        let tls = rustls::ClientConfig::builder().try_with_platform_verifier().map_err(|e| e.to_string())?;
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_all_versions()
            .build();
        Ok(HyperClient::builder(TokioExecutor::new()).build(https))
    });
    made.as_ref().map_err(|why| Error::Connection(format!("the system's certificates cannot be read: {why}")))
}

/// An error with the reasons behind it.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

//! The list of models, and what to say when one is not on it. Reading the list reaches no upstream: it is no call.

use std::sync::Arc;

use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tollgate_core::config::nearest;
use tollgate_core::config::snapshot::{Model, Snapshot};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::anthropic_messages::AnthropicMessages;
use tollgate_llm::formats::gemini::Gemini;
use tollgate_llm::formats::openai_chat::OpenAiChat;

use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::identify::Identified;
use crate::inbound::Inbound;
use crate::pipeline::refuse_stranger;
use crate::voice::InFormat;
use crate::{identify, reject};

/// Whose list it is: the three APIs have it at the same path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    OpenAi,
    Anthropic,
    Google,
}

impl Dialect {
    fn of(inbound: &Inbound) -> Self {
        let headers = &inbound.head.headers;
        let key_in_query =
            || inbound.head.uri.query().is_some_and(|q| q.split('&').any(|pair| pair.starts_with("key=")));
        if headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else if headers.contains_key("x-goog-api-key")
            || headers.contains_key("x-goog-api-client")
            || inbound.head.uri.path().starts_with("/v1beta/")
            || key_in_query()
        {
            Self::Google
        } else {
            Self::OpenAi
        }
    }

    fn surface(self) -> InFormat {
        match self {
            Self::OpenAi => InFormat(&OpenAiChat),
            Self::Anthropic => InFormat(&AnthropicMessages),
            Self::Google => InFormat(&Gemini),
        }
    }

    fn list(self, snapshot: &Snapshot, whose: &Identified) -> Value {
        let models = snapshot.models.iter().filter(|model| whose.may_call(&model.name));
        let models: Vec<Value> = models.map(|model| self.model(&model.name, model)).collect();
        let id = |model: Option<&Value>| model.map(|m| m["id"].clone());
        match self {
            Self::OpenAi => json!({ "object": "list", "data": models }),
            Self::Anthropic => json!({
                "first_id": id(models.first()), "last_id": id(models.last()), "has_more": false, "data": models,
            }),
            Self::Google => json!({ "models": models }),
        }
    }

    /// `created` is required by two of the formats; a gate does not know when a model was made.
    fn model(self, id: &str, model: &Model) -> Value {
        let first = model.deployments.first();
        match self {
            Self::OpenAi => {
                let owner = first.map_or("tollgate", |deployment| deployment.provider);
                json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
            }
            Self::Anthropic => {
                json!({ "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z" })
            }
            Self::Google => {
                let facts = first.map(|deployment| &deployment.facts);
                json!({
                    "name": format!("models/{id}"),
                    "displayName": id,
                    "inputTokenLimit": facts.and_then(|facts| facts.max_input_tokens),
                    "outputTokenLimit": facts.and_then(|facts| facts.max_output_tokens),
                    "supportedGenerationMethods": ["generateContent", "countTokens"],
                })
            }
        }
    }
}

/// What whoever asks for something that is no call speaks, as far as that can be told.
pub fn surface(inbound: &Inbound) -> InFormat {
    Dialect::of(inbound).surface()
}

/// `GET /v1/models` and `GET /v1/models/{id}`, in the format of whoever asks.
pub async fn answer(gate: &Arc<Gate>, inbound: &Inbound, id: Option<&str>) -> Response<AnswerBody> {
    let dialect = Dialect::of(inbound);
    let snapshot = &gate.runtime().snapshot;
    let whose = match identify::identify(gate, snapshot, inbound).await {
        Ok(identified) => identified,
        Err(fault) => return refuse_stranger(gate, &fault, &dialect.surface(), inbound.peer),
    };
    let body = match id {
        None => dialect.list(snapshot, &whose),
        // What somebody may not call is not there for them.
        Some(id) => match snapshot.models.find(id).filter(|_| whose.may_call(id)) {
            None => return reject::stranger(&not_found(snapshot, id), &dialect.surface()),
            Some(found) => dialect.model(id, &found.model),
        },
    };
    let mut response = Response::new(AnswerBody::whole(body.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// There is no such model; the nearest names are given.
pub(crate) fn not_found(snapshot: &Snapshot, name: &str) -> Fault {
    let shown: String = name.chars().take(100).collect();
    if snapshot.added_unread {
        let message = format!(
            "the model `{shown}` is not configured, and those that were added could not be read yet; try again in a moment"
        );
        return Fault::new(FaultClass::Unavailable, message).param("model");
    }
    let mut message = format!("there is no model `{shown}`");
    match nearest(name, snapshot.models.names()) {
        Some(near) => message.push_str(&format!("; did you mean `{near}`?")),
        None => message.push_str("; GET /v1/models lists them"),
    }
    Fault::new(FaultClass::ModelNotFound, message).param("model")
}

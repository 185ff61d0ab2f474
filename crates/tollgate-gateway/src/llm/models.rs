//! The list of models, and what to say when one is not on it. Reading the list reaches no upstream: it is no call.

use std::sync::Arc;

use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tollgate_core::config::nearest;
use tollgate_core::config::snapshot::{Model, Snapshot};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::Surface;
use tollgate_llm::formats::anthropic_messages::AnthropicMessages;
use tollgate_llm::formats::openai_chat::OpenAiChat;

use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::inbound::Inbound;
use crate::pipeline::refuse_stranger;
use crate::{identify, reject};

/// `GET /v1/models` and `GET /v1/models/{id}`, in the format of whoever asks: both APIs have the same path.
pub fn answer(gate: &Arc<Gate>, inbound: &Inbound, id: Option<&str>) -> Response<AnswerBody> {
    let anthropic = inbound.head.headers.contains_key("anthropic-version");
    let format: &dyn Surface = if anthropic { &AnthropicMessages } else { &OpenAiChat };
    let snapshot = &gate.runtime().snapshot;
    if let Err(fault) = identify::principal(snapshot, inbound) {
        return refuse_stranger(gate, &fault, format);
    }
    let body = match id {
        None if anthropic => page(snapshot.models.iter().map(|m| anthropic_model(&m.name)).collect()),
        None => {
            json!({ "object": "list", "data": snapshot.models.iter().map(|m| openai_model(&m.name, m)).collect::<Value>() })
        }
        Some(id) => match snapshot.models.find(id) {
            None => return not_listed(snapshot, id, format),
            Some(_) if anthropic => anthropic_model(id),
            Some(found) => openai_model(id, &found.model),
        },
    };
    let mut response = Response::new(AnswerBody::whole(body.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn not_listed(snapshot: &Snapshot, id: &str, format: &dyn Surface) -> Response<AnswerBody> {
    reject::stranger(&not_found(snapshot, id), format)
}

/// `created` is required by the format; a gate does not know when a model was made.
fn openai_model(id: &str, model: &Model) -> Value {
    let owner = model.deployments.first().map_or("tollgate", |deployment| deployment.provider);
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
}

fn anthropic_model(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z" })
}

fn page(models: Vec<Value>) -> Value {
    let id = |model: Option<&Value>| model.map(|m| m["id"].clone());
    json!({ "first_id": id(models.first()), "last_id": id(models.last()), "has_more": false, "data": models })
}

/// There is no such model; the nearest names are given.
pub(crate) fn not_found(snapshot: &Snapshot, name: &str) -> Fault {
    let shown: String = name.chars().take(100).collect();
    let mut message = format!("there is no model `{shown}`");
    match nearest(name, snapshot.models.names()) {
        Some(near) => message.push_str(&format!("; did you mean `{near}`?")),
        None => message.push_str("; GET /v1/models lists them"),
    }
    Fault::new(FaultClass::ModelNotFound, message).param("model")
}

//! What stands behind the models, in LiteLLM's words: `/model/info` for whoever may call them, `/health` for whoever runs
//! the gate. Neither reaches an upstream.

use http::{HeaderValue, Response, header};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tollgate_core::config::snapshot::{Deployment, Model, Origin};
use tollgate_core::price::PicoUsd;
use tollgate_llm::formats::openai_chat::OpenAiChat;

use crate::answer::AnswerBody;
use crate::gate::{Gate, Runtime};
use crate::identify;
use crate::inbound::Inbound;
use crate::pipeline::refuse_stranger;
use crate::voice::InFormat;

/// `GET /model/info`: the deployments of every model that whoever asks may call. No credentials, and of addresses only what
/// a deployment's name says, which every answer tells.
pub async fn info(gate: &Gate, inbound: &Inbound) -> Response<AnswerBody> {
    let snapshot = &gate.runtime().snapshot;
    let whose = match identify::identify(gate, snapshot, inbound).await {
        Ok(identified) => identified,
        Err(fault) => return refuse_stranger(gate, &fault, &InFormat(&OpenAiChat), inbound.peer),
    };
    let models = snapshot.models.iter().filter(|model| whose.may_call(&model.name));
    let each =
        models.flat_map(|model| model.deployments.iter().map(|deployment| described(model, deployment)));
    json_answer(&json!({ "data": each.collect::<Vec<_>>() }))
}

fn described(model: &Model, deployment: &Deployment) -> Value {
    let facts = &deployment.facts;
    let mut info = json!({
        "id": deployment.id,
        "db_model": model.origin == Origin::Added,
        "litellm_provider": deployment.provider,
        "max_input_tokens": facts.max_input_tokens,
        "max_output_tokens": facts.max_output_tokens,
    });
    if let Some(price) = &facts.price {
        info["input_cost_per_token"] = dollars(price.rates.input);
        info["output_cost_per_token"] = dollars(price.rates.output);
    }
    json!({
        "model_name": model.name,
        "litellm_params": { "model": upstream(deployment) },
        "model_info": info,
    })
}

/// A price as a number, which is what their clients read.
fn dollars(pico: PicoUsd) -> Value {
    serde_json::from_str(&format!("{pico}e-12")).unwrap_or_default()
}

fn upstream(deployment: &Deployment) -> String {
    format!("{}/{}", deployment.provider, deployment.model)
}

/// `GET /health`: which deployments are in service, as their last calls showed it. Nothing is called for it.
pub fn health(runtime: &Runtime, now: Instant) -> Response<AnswerBody> {
    let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
    for model in runtime.snapshot.models.iter() {
        for deployment in &model.deployments {
            let mut shown = Map::new();
            shown.insert("model".to_owned(), json!(upstream(deployment)));
            shown.insert("model_name".to_owned(), json!(model.name));
            shown.insert("model_id".to_owned(), json!(deployment.id));
            match why_out(runtime, model, deployment, now) {
                None => healthy.push(shown),
                Some(why) => {
                    shown.insert("error".to_owned(), json!(why));
                    unhealthy.push(shown);
                }
            }
        }
    }
    json_answer(&json!({
        "healthy_count": healthy.len(),
        "unhealthy_count": unhealthy.len(),
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
    }))
}

/// Why nothing is sent to a deployment now, if so.
fn why_out(runtime: &Runtime, model: &Model, deployment: &Deployment, now: Instant) -> Option<String> {
    if let Some(why) = &deployment.unavailable {
        return Some(why.clone());
    }
    let until = runtime.health_of(&model.name, &deployment.id)?.resting(now)?;
    Some(format!("it failed, and rests for {} ms", until.duration_since(now).as_millis()))
}

fn json_answer(body: &Value) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(body.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

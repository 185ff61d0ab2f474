//! Contracts of tools: what is pinned, what waits, and what people decide.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_contracts::{ContractError, Shown};
use tollgate_core::contract::{ContractRef, ContractState, ToolContract};
use tollgate_core::effect::Effect;
use tollgate_mcp::contract::lock;

use crate::Sources;
use crate::error::ApiError;
use crate::holders::{expected, object, tagged, taken};
use crate::who::Who;

/// Which contracts are asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContractFilter {
    /// Those in this state: `pinned`, `pending` or `rejected`.
    #[param(value_type = Option<String>)]
    state: Option<ContractState>,
    /// After this one: the `next` of the page before.
    after: Option<String>,
    /// So many at most; default 50, at most 1000.
    limit: Option<usize>,
}

type Of = Path<(String, String)>;

/// `GET /api/v1/tools/contracts`: in the order of their names.
pub(crate) async fn list(
    State(sources): State<Sources>,
    filter: Result<Query<ContractFilter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    let limit = filter.limit.unwrap_or(50).clamp(1, 1_000);
    let page = sources.contracts.page(filter.state, filter.after.as_deref(), limit);
    Ok(Json(json!({ "items": page.items, "next": page.next })))
}

/// `GET /api/v1/tools/lock`: every pinned definition, as `tools.lock` holds them.
pub(crate) async fn locked(State(sources): State<Sources>) -> Result<Response, ApiError> {
    let text = lock::write(&sources.contracts.pinned()).map_err(ApiError::invalid)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// `GET /api/v1/tools/contracts/{server}/{tool}`.
pub(crate) async fn one(State(sources): State<Sources>, Path(of): Of) -> Result<Response, ApiError> {
    let name = named(&of);
    let shown = sources.contracts.get(&name).ok_or(ContractError::Missing(name))?;
    Ok(answer(shown))
}

/// `POST /api/v1/tools/contracts/{server}/{tool}/approve`: the definition that `digest` names.
pub(crate) async fn approve(
    State(sources): State<Sources>,
    who: Who,
    Path(of): Of,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (digest, mut said) = looked_at(&body)?;
    let effect = taken(&mut said, "effect")?;
    let effect: Option<Effect> =
        effect
            .map(|text| serde_json::from_value(Value::String(text)))
            .transpose()
            .map_err(|_| ApiError::of("effect", "it is `read`, `write` or `destructive`"))?;
    nothing_else(&said)?;
    let expected = expected(&headers)?;
    let approved = sources.contracts.approve(&who.principal, &named(&of), &digest, effect, expected).await?;
    Ok(answer(approved))
}

/// `POST /api/v1/tools/contracts/{server}/{tool}/reject`: the definition that `digest` names.
pub(crate) async fn reject(
    State(sources): State<Sources>,
    who: Who,
    Path(of): Of,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (digest, said) = looked_at(&body)?;
    nothing_else(&said)?;
    let expected = expected(&headers)?;
    Ok(answer(sources.contracts.reject(&who.principal, &named(&of), &digest, expected).await?))
}

/// `DELETE /api/v1/tools/contracts/{server}/{tool}`: what is known of the tool is forgotten.
pub(crate) async fn forget(
    State(sources): State<Sources>,
    who: Who,
    Path(of): Of,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    sources.contracts.forget(&who.principal, &named(&of), expected(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The definition that whoever decides has looked at, and what else is said.
fn looked_at(body: &Bytes) -> Result<(String, Value), ApiError> {
    let mut said = object(body)?;
    let digest = taken(&mut said, "digest")?;
    let digest = digest
        .ok_or_else(|| ApiError::of("digest", "it is missing: which definition have you looked at?"))?;
    Ok((digest, said))
}

fn nothing_else(said: &Value) -> Result<(), ApiError> {
    let more = said.as_object().and_then(|members| members.keys().next());
    more.map_or(Ok(()), |member| Err(ApiError::of(member, "there is no such member here")))
}

fn named((server, tool): &(String, String)) -> ContractRef {
    match server.split_once('@') {
        Some((server, audience)) => ToolContract::name(server, tool, Some(audience)),
        None => ToolContract::name(server, tool, None),
    }
}

fn answer(shown: Shown) -> Response {
    tagged(StatusCode::OK, shown.change, shown.value)
}

//! Models and credentials that admins add.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::addition::{AdditionKind, AdditionRef};
use tollgate_models::{AdditionError, Shown};

use crate::Sources;
use crate::error::ApiError;
use crate::holders::{expected, object, tagged, taken};
use crate::who::Who;

/// Which additions are asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdditionFilter {
    /// After this one: the `next` of the page before.
    after: Option<String>,
    /// So many at most; default 50, at most 1000.
    limit: Option<usize>,
}

/// `GET /api/v1/models` and `/credentials`: in the order of their names.
pub(crate) async fn list(
    kind: AdditionKind,
    State(sources): State<Sources>,
    filter: Result<Query<AdditionFilter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    let limit = filter.limit.unwrap_or(50).clamp(1, 1_000);
    let page = sources.additions.page(kind, filter.after.as_deref(), limit);
    Ok(Json(json!({ "items": page.items, "next": page.next })))
}

/// `GET /api/v1/models/{name}` and `/credentials/{id}`.
pub(crate) async fn one(
    kind: AdditionKind,
    State(sources): State<Sources>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let name = named(kind, &id);
    let shown = sources.additions.get(&name).ok_or(AdditionError::Missing(name))?;
    Ok(answer(StatusCode::OK, shown))
}

/// `POST /api/v1/models` and `/credentials`. A secret is taken and not shown again.
pub(crate) async fn create(
    kind: AdditionKind,
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Response, ApiError> {
    let mut said = object(&body)?;
    let (by, additions) = (&who.principal, &sources.additions);
    let shown = match kind {
        AdditionKind::Model => {
            let name = taken(&mut said, "name")?.ok_or_else(|| ApiError::of("name", "it is missing"))?;
            additions.create_model(by, &name, said).await?
        }
        AdditionKind::Credential => {
            let id = taken(&mut said, "id")?;
            additions.create_credential(by, id.as_deref(), said).await?
        }
    };
    Ok(answer(StatusCode::CREATED, shown))
}

/// `PATCH /api/v1/models/{name}` and `/credentials/{id}`: a merge patch (RFC 7396).
pub(crate) async fn change(
    kind: AdditionKind,
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (patch, expected) = (object(&body)?, expected(&headers)?);
    let (by, additions) = (&who.principal, &sources.additions);
    let shown = match kind {
        AdditionKind::Model => additions.change_model(by, &id, expected, patch).await?,
        AdditionKind::Credential => additions.change_credential(by, &id, expected, patch).await?,
    };
    Ok(answer(StatusCode::OK, shown))
}

/// `DELETE /api/v1/models/{name}` and `/credentials/{id}`.
pub(crate) async fn remove(
    kind: AdditionKind,
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    sources.additions.remove(&who.principal, &named(kind, &id), expected(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn named(kind: AdditionKind, id: &str) -> AdditionRef {
    AdditionRef { kind, id: id.into() }
}

/// What stands in the configuration file has no version.
fn answer(status: StatusCode, shown: Shown) -> Response {
    match shown.change {
        Some(change) => tagged(status, change, shown.value),
        None => (status, Json(shown.value)).into_response(),
    }
}

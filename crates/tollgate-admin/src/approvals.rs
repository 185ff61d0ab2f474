//! Calls that wait for somebody to let them pass.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_approvals::ApprovalError;
use tollgate_core::approval::Approval;

use crate::Sources;
use crate::error::ApiError;
use crate::holders::{expected, object_if_any, tagged, taken};
use crate::who::Who;

/// Which approvals are asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApprovalFilter {
    /// Whether those are left out that do not wait any more; default false.
    pending: bool,
    /// After this one: the `next` of the page before.
    after: Option<String>,
    /// So many at most; default 50, at most 1000.
    limit: Option<usize>,
}

/// `GET /api/v1/approvals`: the oldest first.
pub(crate) async fn list(
    State(sources): State<Sources>,
    filter: Result<Query<ApprovalFilter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    let limit = filter.limit.unwrap_or(50).clamp(1, 1_000);
    let (items, next) = sources.approvals.page(filter.pending, filter.after.as_deref(), limit);
    Ok(Json(json!({ "items": items, "next": next })))
}

/// `GET /api/v1/approvals/{id}`: with the arguments of the call, for as long as it waits.
pub(crate) async fn one(
    State(sources): State<Sources>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (value, change) = sources.approvals.get(&id).ok_or(ApprovalError::Missing(Approval::name(&id)))?;
    Ok(tagged(StatusCode::OK, change, value))
}

/// `POST /api/v1/approvals/{id}/approve` and `/deny`.
pub(crate) async fn decide(
    approve: bool,
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let mut said = object_if_any(&body)?;
    let reason = taken(&mut said, "reason")?;
    if let Some(member) = said.as_object().and_then(|members| members.keys().next()) {
        return Err(ApiError::of(member, "there is no such member here"));
    }
    let expected = expected(&headers)?;
    let decided = sources.approvals.decide(&who.principal, &id, approve, reason.as_deref(), expected).await?;
    Ok(tagged(StatusCode::OK, decided.1, decided.0))
}

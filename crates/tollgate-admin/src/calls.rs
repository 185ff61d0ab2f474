//! Past calls and traces.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use http::header;
use tollgate_core::call::CallId;
use tollgate_core::query::{CallFilter, CallPage, CallStory, TraceStory};

use crate::Sources;
use crate::error::ApiError;

/// `GET /api/v1/calls`: the calls that the query says, the latest first.
pub(crate) async fn list(
    State(sources): State<Sources>,
    filter: Result<Query<CallFilter>, QueryRejection>,
) -> Result<Json<CallPage>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    Ok(Json(sources.records.calls(filter).await?))
}

/// `GET /api/v1/calls/{id}`: every entry of one call.
pub(crate) async fn one(
    State(sources): State<Sources>,
    Path(id): Path<String>,
) -> Result<Json<CallStory>, ApiError> {
    let id: CallId = id.parse().map_err(|_| ApiError::invalid("this is no call's id"))?;
    let story = sources.records.call(id).await?;
    story.map(Json).ok_or_else(|| ApiError::missing(format!("there is no call {id} in the index")))
}

/// `GET /api/v1/traces/{id}`: the calls of a trace; the id may be that of one of them.
pub(crate) async fn trace(
    State(sources): State<Sources>,
    Path(id): Path<String>,
) -> Result<Json<TraceStory>, ApiError> {
    let story = sources.records.trace(id.clone()).await?;
    story.map(Json).ok_or_else(|| ApiError::missing(format!("there is no trace or call {id} in the index")))
}

/// `GET /api/v1/content/{instance}/{name}`: the frames that were kept in a side file.
pub(crate) async fn content(
    State(sources): State<Sources>,
    Path((instance, name)): Path<(String, String)>,
) -> Result<impl IntoResponse, ApiError> {
    let live = sources.live;
    let read = tokio::task::spawn_blocking(move || live.aside(&instance, &name)).await;
    let frames = read.map_err(|error| ApiError::missing(error.to_string()))?;
    let frames = frames.map_err(|error| ApiError::missing(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], frames))
}

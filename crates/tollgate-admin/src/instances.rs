//! The instances that share budgets and limits.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

/// `GET /api/v1/instances`: those that have ever shared, and whether they do now.
pub(crate) async fn list(State(sources): State<Sources>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "items": sources.registrar.instances().await? })))
}

/// `POST /api/v1/instances/{id}/release`: it will not come back.
pub(crate) async fn release(
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    sources.registrar.release(&who.principal, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

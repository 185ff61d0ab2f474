//! What the gate's own authorization server signs with.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use tollgate_identity::server::NotWithdrawn;

use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

/// `GET /api/v1/signing-keys`: nothing of what signs.
pub(crate) async fn list(State(sources): State<Sources>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "items": sources.signers.visible().await?, "next": null })))
}

/// `DELETE /api/v1/signing-keys/{id}`.
pub(crate) async fn withdraw(
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    match sources.signers.withdraw(&who.principal, &id).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(why @ NotWithdrawn::Missing(_)) => Err(ApiError::missing(why.to_string())),
        Err(NotWithdrawn::Away(why)) => Err(ApiError::away(why)),
    }
}

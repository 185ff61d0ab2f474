//! Applications of the gate's own authorization server.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use tollgate_identity::server::{Expects, Rehearsal, rehearse};

use crate::Sources;
use crate::error::ApiError;

/// `GET /api/v1/clients/{id}/rehearsal`: what an application would see of somebody who signs in, and why it would refuse.
pub(crate) async fn rehearsal(
    State(sources): State<Sources>,
    Path(id): Path<String>,
    expects: Result<Query<Expects>, QueryRejection>,
) -> Result<Json<Rehearsal>, ApiError> {
    let Query(expects) = expects.map_err(|error| ApiError::invalid(error.body_text()))?;
    let snapshot = sources.additions.snapshot();
    let server = snapshot.identity_server.as_ref();
    let server = server.ok_or_else(|| ApiError::missing("`identity.server` is not configured"))?;
    let rehearsed = rehearse(server, &sources.logins, &id, &expects, sources.clock.now());
    rehearsed.map(Json).map_err(|why| ApiError::missing(why.to_string()))
}

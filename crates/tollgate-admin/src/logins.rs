//! How users sign in at the gate's own authorization server.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tollgate_core::access::{HolderKind, HolderRef};
use tollgate_ledger::RegistrarError;

use crate::Sources;
use crate::error::ApiError;
use crate::holders::{expected, object, object_if_any, tagged};
use crate::who::Who;

/// How long an invitation is good where nothing is said, and at most, in hours.
const HOURS: (u64, u64) = (72, 24 * 30);

/// `POST /api/v1/users/{id}/invitation`: the link is in this answer and never again. Makes the user where there is none.
pub(crate) async fn invite(
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let snapshot = sources.additions.snapshot();
    let server = snapshot.identity_server.as_ref();
    let server = server.ok_or_else(|| {
        ApiError::conflict(
            "nobody signs in here: `identity.server` is not configured, in which users have logins",
        )
    })?;
    let mut said = object_if_any(&body)?;
    let hours = match said.as_object_mut().and_then(|members| members.remove("valid_hours")) {
        None => HOURS.0,
        Some(hours) => hours
            .as_u64()
            .filter(|hours| (1..=HOURS.1).contains(hours))
            .ok_or_else(|| ApiError::of("valid_hours", format!("1 to {}", HOURS.1)))?,
    };
    let name = HolderRef { kind: HolderKind::User, id: id.as_str().into() };
    if sources.registrar.ledger().get(&name).is_none() {
        match sources.registrar.create(&who.principal, HolderKind::User, Some(&id), json!({})).await {
            Ok(_) | Err(RegistrarError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let lasts = Duration::from_hours(hours);
    let invited = sources.logins.invite(&who.principal, &id, said, lasts).await?;
    let answer = json!({
        "link": format!("{}/oauth/invitation?token={}", server.issuer, invited.token),
        "ends_at": invited.ends_at,
        "login": invited.login,
    });
    let mut response = (StatusCode::CREATED, axum::Json(answer)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `GET /api/v1/users/{id}/login`: whether there is a password and a second factor, and nothing of either.
pub(crate) async fn one(
    State(sources): State<Sources>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (value, change) = sources.logins.get(&id)?;
    Ok(tagged(StatusCode::OK, change, value))
}

/// `PATCH /api/v1/users/{id}/login`: a merge patch (RFC 7396).
pub(crate) async fn change(
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (patch, expected) = (object(&body)?, expected(&headers)?);
    let (value, change) = sources.logins.change(&who.principal, &id, expected, patch).await?;
    Ok(tagged(StatusCode::OK, change, value))
}

/// What is taken away besides.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ending {
    /// The password.
    password: bool,
    /// One-time codes.
    totp: bool,
}

/// `POST /api/v1/users/{id}/login/end`: sessions and what applications were granted.
pub(crate) async fn end(
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let said = object_if_any(&body)?;
    let ending: Ending =
        serde_json::from_value(said).map_err(|error| ApiError::invalid(error.to_string()))?;
    let (value, change) = sources.logins.end(&who.principal, &id, (ending.password, ending.totp)).await?;
    Ok(tagged(StatusCode::OK, change, value))
}

/// `DELETE /api/v1/users/{id}/login`.
pub(crate) async fn remove(
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    sources.logins.remove(&who.principal, &id, expected(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

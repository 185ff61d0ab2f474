//! Why a request has no answer, as JSON.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use tollgate_core::query::QueryError;

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) struct ApiError(StatusCode, String);

impl ApiError {
    /// What was asked for is not there.
    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, what.into())
    }

    /// The request makes no sense.
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": { "message": self.1 } }))).into_response()
    }
}

/// For every path that is none.
pub(crate) async fn no_such_path() -> ApiError {
    ApiError::missing(
        "there is nothing here: /api/v1/calls, /api/v1/calls/ID, /api/v1/traces/ID, /api/v1/tail",
    )
}

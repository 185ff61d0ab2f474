//! Why a request has no answer, as a problem (RFC 9457).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use tollgate_core::query::QueryError;
use tollgate_ledger::RegistrarError;

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    detail: String,
    /// The member of the request that is to blame.
    member: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), member: None }
    }

    /// What was asked for is not there.
    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    /// The request makes no sense.
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// Whoever asks may not.
    pub(crate) fn forbidden(why: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, why)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<RegistrarError> for ApiError {
    fn from(error: RegistrarError) -> Self {
        let status = match &error {
            RegistrarError::Spec(_) => StatusCode::UNPROCESSABLE_ENTITY,
            RegistrarError::Missing(_) => StatusCode::NOT_FOUND,
            RegistrarError::Exists(_) | RegistrarError::InUse(..) | RegistrarError::NoInstance(_) => {
                StatusCode::CONFLICT
            }
            RegistrarError::Stale(_) => StatusCode::PRECONDITION_FAILED,
            RegistrarError::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let member = match &error {
            RegistrarError::Spec(error) => Some(error.member.clone()),
            _ => None,
        };
        Self { status, detail: error.to_string(), member }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let mut problem = json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail });
        if let Some(member) = self.member {
            problem["member"] = member.into();
        }
        let mut response = (self.status, Json(problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// For every path that is none.
pub(crate) async fn no_such_path() -> ApiError {
    let paths = crate::routes::paths();
    ApiError::missing(format!("there is nothing here: {}", paths.join(", ")))
}

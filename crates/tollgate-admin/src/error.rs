//! Why a request has no answer, as a problem (RFC 9457). Where LiteLLM's routes answer, the same is said in their words
//! (`litellm/error.rs`).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use tollgate_approvals::ApprovalError;
use tollgate_contracts::ContractError;
use tollgate_core::fault::Fault;
use tollgate_core::query::QueryError;
use tollgate_identity::server::LoginError;
use tollgate_ledger::RegistrarError;
use tollgate_models::AdditionError;

use crate::litellm;

/// Why a request has no answer.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    /// The member of the request that is to blame.
    pub(crate) member: Option<String>,
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

    /// A member of the request says what cannot be.
    pub(crate) fn of(member: &str, why: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, why);
        Self { member: Some(member.to_owned()), ..error }
    }

    /// A member of the request says what another has already.
    pub(crate) fn taken(member: &str, why: impl Into<String>) -> Self {
        Self { member: Some(member.to_owned()), ..Self::new(StatusCode::CONFLICT, why) }
    }

    /// It cannot be done as things are.
    pub(crate) fn conflict(why: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, why)
    }

    /// What is needed cannot be reached now.
    pub(crate) fn away(why: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
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
            RegistrarError::Missing(_) | RegistrarError::NoInstance(_) => StatusCode::NOT_FOUND,
            RegistrarError::Exists(_) | RegistrarError::InUse(..) | RegistrarError::StillPresent(_) => {
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

impl From<AdditionError> for ApiError {
    fn from(error: AdditionError) -> Self {
        let status = match &error {
            AdditionError::Spec(_) => StatusCode::UNPROCESSABLE_ENTITY,
            AdditionError::Missing(_) => StatusCode::NOT_FOUND,
            AdditionError::Exists(_)
            | AdditionError::InFile(_)
            | AdditionError::InUse(..)
            | AdditionError::TooMany(_)
            | AdditionError::NoKey => StatusCode::CONFLICT,
            AdditionError::Stale(_) => StatusCode::PRECONDITION_FAILED,
            AdditionError::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let member = match &error {
            AdditionError::Spec(error) => Some(error.member.clone()),
            _ => None,
        };
        Self { status, detail: error.to_string(), member }
    }
}

impl From<ContractError> for ApiError {
    fn from(error: ContractError) -> Self {
        let status = match &error {
            ContractError::Missing(_) => StatusCode::NOT_FOUND,
            ContractError::Decided(_) | ContractError::Another(_) | ContractError::Locked => {
                StatusCode::CONFLICT
            }
            ContractError::Stale(_) => StatusCode::PRECONDITION_FAILED,
            ContractError::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        let status = match &error {
            LoginError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            LoginError::Missing(_) => StatusCode::NOT_FOUND,
            LoginError::Taken | LoginError::TooMany(_) => StatusCode::CONFLICT,
            LoginError::Stale => StatusCode::PRECONDITION_FAILED,
            LoginError::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let member = match &error {
            LoginError::Invalid(error) => Some(error.member.clone()),
            _ => None,
        };
        Self { status, detail: error.to_string(), member }
    }
}

impl From<ApprovalError> for ApiError {
    fn from(error: ApprovalError) -> Self {
        let status = match &error {
            ApprovalError::Missing(_) => StatusCode::NOT_FOUND,
            ApprovalError::Decided(..) | ApprovalError::Over(_) => StatusCode::CONFLICT,
            ApprovalError::OwnCall => StatusCode::FORBIDDEN,
            ApprovalError::Stale(_) => StatusCode::PRECONDITION_FAILED,
            ApprovalError::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// The type of a problem.
const PROBLEM: &str = "application/problem+json";

/// How the gate's own refusal is said at `path`, before anything here is asked; `None` at LiteLLM's paths, whose envelope
/// is OpenAI's.
pub fn says(path: &str, fault: &Fault) -> Option<(&'static str, Vec<u8>)> {
    if litellm::is_theirs(path) {
        return None;
    }
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some((PROBLEM, ApiError::new(status, fault.message.clone()).problem().to_string().into_bytes()))
}

impl ApiError {
    fn problem(&self) -> Value {
        let title = self.status.canonical_reason().unwrap_or_default();
        let mut problem = json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail });
        if let Some(member) = &self.member {
            problem["member"] = member.as_str().into();
        }
        problem
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.problem())).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        // For whoever says it in other words.
        response.extensions_mut().insert(self);
        response
    }
}

/// For every path that is none.
pub(crate) async fn no_such_path(uri: Uri) -> ApiError {
    let same_api = |path: &String| litellm::is_theirs(path) == litellm::is_theirs(uri.path());
    let paths: Vec<String> = crate::routes::paths().into_iter().filter(same_api).collect();
    ApiError::missing(format!("there is nothing here: {}", paths.join(", ")))
}

/// For every path that is one, but not for this method.
pub(crate) async fn wrong_method(method: Method) -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path does not take {method}"))
}

//! Why a request has no answer, in the envelope that LiteLLM's clients read.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::is_theirs;
use crate::error::ApiError;

/// Says what went wrong at their paths in their words: `{"error": {"message", "type", "param", "code"}}`.
pub(crate) async fn in_their_words(request: Request, next: Next) -> Response {
    let theirs = is_theirs(request.uri().path());
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<ApiError>().filter(|_| theirs) {
        Some(error) => envelope(error),
        None => response,
    }
}

fn envelope(ApiError { status, detail, member }: ApiError) -> Response {
    let error = json!({
        "message": detail,
        "type": kind(status),
        "param": member.as_deref().map(theirs),
        // A text, as OpenAI's SDKs have it.
        "code": status.as_u16().to_string(),
    });
    (status, Json(json!({ "error": error }))).into_response()
}

/// Their name for a member of ours.
fn theirs(member: &str) -> &str {
    match member {
        "user" => "user_id",
        "team" => "team_id",
        "expires_at" => "duration",
        member => member,
    }
}

/// Their word for a status.
fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "auth_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::UNPROCESSABLE_ENTITY => "validation_error",
        StatusCode::SERVICE_UNAVAILABLE => "no_db_connection",
        status if status.is_server_error() => "internal_server_error",
        _ => "bad_request_error",
    }
}

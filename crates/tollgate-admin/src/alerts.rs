//! Alerts, to try them.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::Sources;
use crate::who::Who;

/// `POST /api/v1/alerts/test`: sends a test alert to each address, and says what became of it.
pub(crate) async fn test(State(sources): State<Sources>, who: Who) -> Json<Value> {
    Json(json!({ "items": sources.alerts.test(&who.principal).await }))
}

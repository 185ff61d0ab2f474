//! The management API: what people and their tools ask a running gate. Whoever reaches it was identified by the gate
//! and may manage it.

mod calls;
mod error;
mod tail;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tollgate_core::query::{Live, Records};

/// What the API answers from.
#[derive(Clone)]
pub struct Sources {
    /// The index over the journal.
    pub records: Arc<dyn Records>,
    /// The journal as it grows.
    pub live: Arc<dyn Live>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

/// All of its paths, under `/api/v1`.
pub fn router(sources: Sources) -> Router {
    Router::new()
        .route("/api/v1/calls", get(calls::list))
        .route("/api/v1/calls/{id}", get(calls::one))
        .route("/api/v1/traces/{id}", get(calls::trace))
        .route("/api/v1/content/{instance}/{name}", get(calls::content))
        .route("/api/v1/tail", get(tail::tail))
        .fallback(error::no_such_path)
        .with_state(sources)
}

//! The management API: what people and their tools ask a running gate. Whoever reaches it was identified by the gate;
//! what they may do there stands beside each route.

mod additions;
mod alerts;
mod approvals;
mod calls;
mod clients;
mod contracts;
mod error;
mod holders;
mod idempotency;
mod instances;
mod litellm;
mod logins;
mod openapi;
mod routes;
mod signing_keys;
mod spend;
mod tail;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tollgate_approvals::Waiting;
use tollgate_contracts::Contracts;
use tollgate_core::deliver::Alerting;
use tollgate_core::ports::Clock;
use tollgate_core::query::{Live, Records};
use tollgate_identity::server::{Logins, Signers};
use tollgate_ledger::Registrar;
use tollgate_models::Additions;

pub use error::says;
pub use who::Needs;

/// What the API answers from.
#[derive(Clone)]
pub struct Sources {
    /// The index over the journal.
    pub records: Arc<dyn Records>,
    /// The journal as it grows.
    pub live: Arc<dyn Live>,
    /// Keys, users and teams.
    pub registrar: Arc<Registrar>,
    /// Alerts, to try them.
    pub alerts: Arc<dyn Alerting>,
    /// Models and credentials.
    pub additions: Arc<Additions>,
    /// Contracts of tools.
    pub contracts: Arc<Contracts>,
    /// Calls that wait for somebody to let them pass.
    pub approvals: Arc<Waiting>,
    /// How users sign in.
    pub logins: Arc<Logins>,
    /// What the authorization server signs with.
    pub signers: Arc<Signers>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

/// All of its paths, under `/api/v1`, and those that LiteLLM has.
pub fn router(sources: Sources) -> Router {
    let router =
        routes::router().fallback(error::no_such_path).method_not_allowed_fallback(error::wrong_method);
    let answers = idempotency::Answers::new(Arc::clone(&sources.clock));
    let router = router.layer(from_fn_with_state(answers, idempotency::once));
    router.layer(from_fn(litellm::in_their_words)).with_state(sources)
}

/// Whether the API answers at a path, be it that there is nothing.
pub fn takes(path: &str) -> bool {
    path.starts_with("/api/") || litellm::is_theirs(path)
}

/// Whether the answer at a path is for anybody, so that nobody need be identified for it.
pub fn is_for_anybody(path: &str) -> bool {
    [openapi::DOCUMENT, openapi::PAGE].contains(&path)
}

/// Every route, and what it asks of whoever uses it.
pub fn needs() -> Vec<(http::Method, String, Needs)> {
    routes::all().into_iter().map(|route| (route.method, route.path, route.needs)).collect()
}

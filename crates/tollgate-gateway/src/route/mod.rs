//! Phase 5: what to try, in which order.

mod health;
mod order;
mod target;
mod tries;

pub use health::{Busy, Health};
pub use order::{By, explain, in_order};
pub use target::Target;
pub use tries::ModelTries;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::config::snapshot::{Deployment, Found, Snapshot};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::RouteEntry;

/// What to do after a failure.
#[derive(Debug)]
pub enum Next<C> {
    /// Try this, after a pause.
    Try(Duration, C),
    /// Give up: the failure is the answer.
    Stop,
}

/// What is still to be tried for a call: the decisions of phase 7, without its input and output.
pub trait Tries: Send {
    /// What is tried.
    type Candidate: Clone + Into<Target> + Send + Sync;

    /// What to try first, or why nothing can be.
    fn first(&mut self, now: Instant) -> Result<Self::Candidate, Fault>;

    /// What to do after `fault`.
    fn next(&mut self, fault: &Fault, now: Instant) -> Next<Self::Candidate>;

    /// One that nobody has tried yet, to be asked beside the one that is under way.
    fn beside(&mut self, _now: Instant) -> Option<Self::Candidate> {
        None
    }

    /// Takes into account that one of two attempts that were under way, the one at `id`, has failed, and the other goes on.
    fn failed_beside(&mut self, _id: Arc<str>, _fault: &Fault) {}

    /// Why the first is tried before others; `None` where there was no choice.
    fn decision(&mut self) -> Option<RouteEntry> {
        None
    }
}

/// A deployment that may be tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// The upstream's name for the model.
    pub upstream_model: Arc<str>,
    /// How it has been doing.
    pub health: Arc<Health>,
}

/// What to try: the model that was asked for, then others by why it failed.
#[derive(Clone, Debug)]
pub struct Route {
    /// The model that was asked for.
    pub first: Found,
    general: Vec<Found>,
    context_window: Vec<Found>,
    content_policy: Vec<Found>,
}

impl Route {
    /// The route of a call for `model`.
    pub fn plan(snapshot: &Snapshot, name: &str, first: Found) -> Self {
        let routing = &snapshot.routing;
        let of = |table: &tollgate_core::config::file::Fallbacks| -> Vec<Found> {
            let names = table.get(name).or_else(|| table.get(&*first.model.name)).or_else(|| table.get("*"));
            names.into_iter().flatten().filter_map(|n| snapshot.models.find(n)).collect()
        };
        let mut general = of(&routing.fallbacks);
        if general.is_empty() {
            let others = routing.default_fallbacks.iter().filter(|other| *other != name);
            general = others.filter_map(|n| snapshot.models.find(n)).collect();
        }
        Self {
            general,
            context_window: of(&routing.context_window_fallbacks),
            content_policy: of(&routing.content_policy_fallbacks),
            first,
        }
    }

    /// The models to try after a fault of `class`, in order.
    pub fn fallbacks(&self, class: FaultClass) -> &[Found] {
        let own = match class {
            FaultClass::ContextWindow => &self.context_window,
            FaultClass::ContentPolicy => &self.content_policy,
            _ => &self.general,
        };
        if own.is_empty() { &self.general } else { own }
    }
}

/// Why none of `deployments` can be tried at all.
pub fn unavailable(model: &str, deployments: &[Arc<Deployment>]) -> Fault {
    let reasons: Vec<String> = deployments
        .iter()
        .filter_map(|d| d.unavailable.as_ref().map(|why| format!("{}: {why}", d.id)))
        .collect();
    Fault::new(FaultClass::Unavailable, format!("model `{model}` cannot be served: {}", reasons.join("; ")))
}

//! The gate: what all calls share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tollgate_core::config::snapshot::{Deployment, Found, Snapshot};
use tollgate_core::ports::{Catalog, Clock, Journal};
use tollgate_core::record::{Entry, Event};

use crate::dice::Dice;
use crate::metrics::Metrics;
use crate::route::{Candidate, Health};
use crate::upstream::Upstream;

/// What the gate is made of; `wire.rs` in the binary and the testkit choose the parts.
#[derive(Clone)]
pub struct Parts {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Where records go.
    pub journal: Arc<dyn Journal>,
    /// Prices of models that a pattern stands for.
    pub catalog: Arc<dyn Catalog>,
    /// What carries requests to upstreams.
    pub upstream: Arc<dyn Upstream>,
    /// Chance.
    pub dice: Arc<Dice>,
    /// The gate's name in the loop header, unique among gates.
    pub instance: Arc<str>,
}

/// What all calls share.
pub struct Gate {
    /// Clock, journal and the like.
    pub parts: Parts,
    /// Counters.
    pub metrics: Metrics,
    runtime: ArcSwap<Runtime>,
    draining: AtomicBool,
    open_calls: AtomicU64,
    /// Whether the journal took the last entry.
    recordable: AtomicBool,
}

/// A snapshot and what is remembered about its deployments.
#[derive(Debug)]
pub struct Runtime {
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    health: BTreeMap<Arc<str>, Arc<Health>>,
}

impl Gate {
    /// A gate that begins with `snapshot`.
    pub fn new(parts: Parts, snapshot: Snapshot) -> Arc<Self> {
        let runtime = Runtime::new(snapshot, &BTreeMap::new());
        Arc::new(Self {
            parts,
            metrics: Metrics::new(),
            runtime: ArcSwap::from_pointee(runtime),
            draining: AtomicBool::new(false),
            open_calls: AtomicU64::new(0),
            recordable: AtomicBool::new(true),
        })
    }

    /// The configuration of now. A call keeps the one that it began with.
    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    /// Replaces the configuration; what is known of a deployment that stays is kept.
    pub fn publish(&self, snapshot: Snapshot) {
        let before = self.runtime();
        self.runtime.store(Arc::new(Runtime::new(snapshot, &before.health)));
    }

    /// Writes an entry, and remembers whether that worked.
    pub fn record(&self, entry: &Entry<'_>) -> Result<(), tollgate_core::ports::JournalError> {
        let written = self.parts.journal.append(entry);
        if self.recordable.swap(written.is_ok(), Ordering::Relaxed)
            && let Err(error) = &written
        {
            tracing::error!(%error, "records cannot be written; new calls are refused until they can");
        }
        written
    }

    /// Writes an event. Its loss is logged and harms no call.
    pub fn event(
        &self,
        event: &str,
        call_id: Option<tollgate_core::call::CallId>,
        detail: serde_json::Value,
    ) {
        let entry = Event { at: self.parts.clock.now(), event, call_id, detail };
        let _ = self.record(&Entry::Event(&entry));
    }

    /// Whether the journal took the last entry.
    pub fn is_recordable(&self) -> bool {
        self.recordable.load(Ordering::Relaxed)
    }

    /// Takes no new calls from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether new calls are refused because the gate is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Calls that have begun and not ended.
    pub fn open_calls(&self) -> u64 {
        self.open_calls.load(Ordering::Relaxed)
    }

    pub(crate) fn call_began(&self) {
        self.open_calls.fetch_add(1, Ordering::Relaxed);
        self.metrics.open_calls.inc();
    }

    pub(crate) fn call_ended(&self) {
        self.open_calls.fetch_sub(1, Ordering::Relaxed);
        self.metrics.open_calls.dec();
    }
}

impl Runtime {
    fn new(snapshot: Snapshot, before: &BTreeMap<Arc<str>, Arc<Health>>) -> Self {
        let all = snapshot.models.iter().flat_map(|model| &model.deployments);
        let health = all
            .map(|deployment| {
                let known = before.get(&deployment.id).cloned();
                (Arc::clone(&deployment.id), known.unwrap_or_default())
            })
            .collect();
        Self { snapshot: Arc::new(snapshot), health }
    }

    /// What may be tried for `found`: every deployment that is in service.
    pub fn candidates(&self, found: &Found, catalog: &dyn Catalog) -> Vec<Candidate> {
        let in_service = found.model.deployments.iter().filter(|d| d.unavailable.is_none());
        in_service
            .map(|deployment| {
                let upstream_model = deployment.model_for(found.wild.as_deref());
                Candidate {
                    model: Arc::clone(&found.model.name),
                    health: self.health.get(&deployment.id).cloned().unwrap_or_default(),
                    deployment: priced(deployment, &upstream_model, catalog),
                    upstream_model,
                }
            })
            .collect()
    }
}

/// A deployment of a pattern has no price of its own: it has that of the model that it stands for in this call.
fn priced(deployment: &Arc<Deployment>, upstream_model: &Arc<str>, catalog: &dyn Catalog) -> Arc<Deployment> {
    if Arc::ptr_eq(&deployment.model, upstream_model) || deployment.facts.price.is_some() {
        return Arc::clone(deployment);
    }
    match catalog.facts(deployment.provider, upstream_model) {
        Some(facts) => Arc::new(deployment.with_facts(facts)),
        None => Arc::clone(deployment),
    }
}

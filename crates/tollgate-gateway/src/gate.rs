//! The gate: what all calls share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tollgate_core::approval::Approvals;
use tollgate_core::config::snapshot::{Deployment, Found, Snapshot};
use tollgate_core::identity;
use tollgate_core::ports::{Access, Catalog, Clock, Journal, Peers, Publish};
use tollgate_core::record::{Entry, Event};
use tollgate_mcp::contract::port::ToolContracts;

use crate::causes::Causes;
use crate::dice::Dice;
use crate::mcp::link::{Links, Means};
use crate::mcp::{SealKeys, Tokens, Tools};
use crate::metrics::Metrics;
use crate::route::{Candidate, Health};
use crate::serve::{Managed, Site};
use crate::strangers::Strangers;
use crate::upstream::Upstream;
use crate::upstream::credentials::Credentials;
use crate::web::{Decisions, OpenSockets};

/// What the gate is made of; `wire.rs` in the binary and the testkit choose the parts.
#[derive(Clone)]
pub struct Parts {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Where records go.
    pub journal: Arc<dyn Journal>,
    /// Who may call, and what holds them.
    pub access: Arc<dyn Access>,
    /// Tokens of issuers, as credentials.
    pub tokens: Arc<dyn identity::Tokens>,
    /// Prices of models that a pattern stands for.
    pub catalog: Arc<dyn Catalog>,
    /// What carries requests to upstreams.
    pub upstream: Arc<dyn Upstream>,
    /// Chance.
    pub dice: Arc<Dice>,
    /// The gate's name in the loop header, unique among gates.
    pub instance: Arc<str>,
    /// What tools' definitions are held to.
    pub contracts: Arc<dyn ToolContracts>,
    /// Who is asked to approve calls.
    pub approvals: Arc<dyn Approvals>,
    /// The instances that serve together.
    pub peers: Arc<dyn Peers>,
    /// The binary that guards programs which are tool servers; `None` starts them without a guard.
    pub child_guard: Option<PathBuf>,
    /// Tokens for tool servers that act for people.
    pub accounts: Arc<dyn identity::Accounts>,
    /// Who answers requests below `/api/`; `None` where nobody does.
    pub managed: Option<Arc<dyn Managed>>,
    /// Who answers requests of anybody, where people sign in; `None` where nobody does.
    pub site: Option<Arc<dyn Site>>,
}

/// What all calls share.
pub struct Gate {
    /// Clock, journal and the like.
    pub parts: Parts,
    /// Counters.
    pub metrics: Metrics,
    /// Tokens for upstreams.
    pub credentials: Credentials,
    /// What calls to tool servers share.
    pub tools: Tools,
    runtime: ArcSwap<Runtime>,
    draining: watch::Sender<bool>,
    cut: AtomicBool,
    open_calls: AtomicU64,
    /// Which tool calls models chose of late.
    pub(crate) causes: Causes,
    /// Who was refused before anyone was identified.
    pub(crate) strangers: Strangers,
    /// Who was let into which application of late.
    pub(crate) decisions: Decisions,
    /// WebSockets of applications.
    pub(crate) open_sockets: OpenSockets,
}

type HealthMap = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<Health>>>;

/// A snapshot and what is remembered about its deployments.
#[derive(Debug)]
pub struct Runtime {
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// By public model and deployment: the same upstream may serve two models with two credentials.
    health: HealthMap,
    /// The same of tool servers.
    servers: BTreeMap<Arc<str>, Arc<Health>>,
}

impl Gate {
    /// A gate that begins with `snapshot`.
    pub fn new(parts: Parts, snapshot: Snapshot) -> Arc<Self> {
        let seals = SealKeys::of(&snapshot, parts.journal.digest_key());
        let runtime = Runtime::new(snapshot, None);
        Arc::new_cyclic(|gate| Self {
            tools: Tools::new(
                Links::new(Means {
                    upstream: Arc::clone(&parts.upstream),
                    tokens: Tokens::new(Weak::clone(gate)),
                    shim: parts.child_guard.clone(),
                }),
                seals,
                parts.peers.life(),
            ),
            parts,
            metrics: Metrics::new(),
            credentials: Credentials::default(),
            runtime: ArcSwap::from_pointee(runtime),
            draining: watch::Sender::new(false),
            cut: AtomicBool::new(false),
            open_calls: AtomicU64::new(0),
            causes: Causes::default(),
            strangers: Strangers::default(),
            decisions: Decisions::default(),
            open_sockets: OpenSockets::default(),
        })
    }

    /// The configuration of now. A call keeps the one that it began with.
    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    /// Writes an event. Its loss is logged by the journal and harms no call.
    pub fn event(
        &self,
        event: &str,
        call_id: Option<tollgate_core::call::CallId>,
        detail: serde_json::Value,
    ) {
        let entry = Event { at: self.parts.clock.now(), event, call_id, detail };
        let _ = self.parts.journal.append(&Entry::Event(&entry));
    }

    /// Whether new calls can be recorded.
    pub fn is_recordable(&self) -> bool {
        self.parts.journal.ready().is_ok()
    }

    /// Ends what clients have left open: operations of tool calls in which nothing happens any more (all, where the gate
    /// stops), and requests whose question nobody answers.
    pub fn end_what_is_left(&self) {
        self.tools.operations.end_quiet(self);
        self.tools.parked.forget_old();
    }

    /// Writes what was refused before anyone was identified since the last time, as one event.
    pub fn record_strangers(&self) {
        if let Some(detail) = self.strangers.take() {
            self.event("strangers", None, detail);
        }
    }

    /// The time for calls in flight is over: those that are dropped from now on were cut off by the gate.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Whether calls that are dropped now are cut off by the gate.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Takes no new calls from now on.
    pub fn drain(&self) {
        self.draining.send_replace(true);
        self.parts.peers.leave();
    }

    /// Whether new calls are refused because the gate is stopping.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Resolves when the gate stops: for answers that would never end by themselves.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut draining = self.draining.subscribe();
        async move {
            let _ = draining.wait_for(|draining| *draining).await;
        }
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

impl Publish for Gate {
    /// What is known of a deployment that stays is kept.
    fn publish(&self, snapshot: Snapshot) {
        self.tools.seals.set(SealKeys::of(&snapshot, self.parts.journal.digest_key()));
        let before = self.runtime();
        self.runtime.store(Arc::new(Runtime::new(snapshot, Some(&before))));
    }
}

impl Runtime {
    fn new(snapshot: Snapshot, before: Option<&Self>) -> Self {
        let mut health = HealthMap::new();
        for model in snapshot.models.iter() {
            let known = before.and_then(|before| before.health.get(&model.name));
            let of = |deployment: &Arc<Deployment>| {
                let kept = known.and_then(|known| known.get(&deployment.id)).cloned();
                (Arc::clone(&deployment.id), kept.unwrap_or_default())
            };
            health.insert(Arc::clone(&model.name), model.deployments.iter().map(of).collect());
        }
        let server = |name: &Arc<str>| {
            let known = before.and_then(|before| before.servers.get(name)).cloned();
            (Arc::clone(name), known.unwrap_or_default())
        };
        let servers = snapshot.tool_servers.keys().map(server).collect();
        Self { snapshot: Arc::new(snapshot), health, servers }
    }

    /// What is remembered of a deployment of a model.
    pub(crate) fn health_of(&self, model: &str, deployment: &str) -> Option<&Arc<Health>> {
        self.health.get(model)?.get(deployment)
    }

    /// What is remembered of a tool server.
    pub(crate) fn health_of_server(&self, name: &str) -> Arc<Health> {
        self.servers.get(name).cloned().unwrap_or_default()
    }

    /// What may be tried for `found`: every deployment that is in service.
    pub fn candidates(&self, found: &Found, catalog: &dyn Catalog) -> Vec<Candidate> {
        let health = self.health.get(&found.model.name);
        let in_service = found.model.deployments.iter().filter(|d| d.unavailable.is_none());
        in_service
            .map(|deployment| {
                let upstream_model = deployment.model_for(found.wild.as_deref());
                Candidate {
                    health: health.and_then(|of| of.get(&deployment.id)).cloned().unwrap_or_default(),
                    deployment: priced(deployment, &upstream_model, catalog),
                    upstream_model,
                }
            })
            .collect()
    }
}

/// A deployment of a pattern has no price of its own: it has that of the model that it stands for in this call.
fn priced(deployment: &Arc<Deployment>, upstream_model: &Arc<str>, catalog: &dyn Catalog) -> Arc<Deployment> {
    if Arc::ptr_eq(&deployment.model, upstream_model) {
        return Arc::clone(deployment);
    }
    match catalog.facts(deployment.provider, upstream_model) {
        Some(facts) => Arc::new(deployment.with_facts(facts)),
        None => Arc::clone(deployment),
    }
}

//! The composition root: the only place that knows which parts the gate is made of.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{HeaderMap, Request, Response};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tollgate_approvals::Waiting;
use tollgate_contracts::Contracts;
use tollgate_core::access::NotLetIn;
use tollgate_core::config::recording::JournalSettings;
use tollgate_core::config::resolve::Overrides;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::tools::ToolServer;
use tollgate_core::config::web::WebApplication;
use tollgate_core::deliver::Deliver;
use tollgate_core::fault::Fault;
use tollgate_core::identity::{Accounts, Acting, Granting, Telling, Visitor};
use tollgate_core::ports::Clock;
use tollgate_core::secret::Secret;
use tollgate_export::Reading;
use tollgate_gateway::dice::Dice;
use tollgate_gateway::gate::{Gate, Parts};
use tollgate_gateway::serve;
use tollgate_gateway::upstream::{Boxed, HttpClient, WithSimulator};
use tollgate_identity::IssuedTokens;
use tollgate_identity::server::{self as identity, IdentityServer, Logins, Signers};
use tollgate_journal::{DiskJournal, Keys, Options};
use tollgate_ledger::{Ledger, Registrar};
use tollgate_llm::{catalog, providers};
use tollgate_models::Additions;
use tower::ServiceExt;

use crate::configuration::{Read, Source};
use crate::index::{Folder, Loading, Slot};
use crate::keys::{Followed, Keeping};
use crate::registry::Slot as RegistrySlot;
use crate::sharing::Shared;
use crate::{alerts, expiring, reload, sharing};

/// The index, as one that takes entries from the journal.
const INDEX: &str = "index";

/// The sink, as one.
const SINK: &str = "sink";

/// The system's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The management API, behind the gate's own door.
struct Management(axum::Router);

impl serve::Managed for Management {
    fn takes(&self, path: &str) -> bool {
        tollgate_admin::takes(path)
    }

    fn is_for_anybody(&self, path: &str) -> bool {
        tollgate_admin::is_for_anybody(path)
    }

    fn says(&self, path: &str, fault: &Fault) -> Option<(&'static str, Vec<u8>)> {
        tollgate_admin::says(path, fault)
    }

    fn answer(&self, request: Request<Bytes>) -> Boxed<'_, Response<serve::ManagedBody>> {
        let router = self.0.clone();
        Box::pin(async move {
            let Ok(response) = router.oneshot(request.map(axum::body::Body::from)).await;
            response.map(|body| Box::pin(body.map_err(Into::into)) as serve::ManagedBody)
        })
    }
}

/// Where people sign in, behind the gate's own door.
struct SignIn(Arc<IdentityServer>);

impl serve::Site for SignIn {
    fn takes(&self, snapshot: &Snapshot, path: &str) -> bool {
        IdentityServer::takes(snapshot, path)
    }

    fn answer<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        request: Request<Bytes>,
        peer: Option<IpAddr>,
    ) -> Boxed<'a, Response<Bytes>> {
        Box::pin(self.0.answer(snapshot, request, peer))
    }

    fn signed_in<'a>(&'a self, snapshot: &'a Snapshot, headers: &'a HeaderMap) -> Option<Telling<'a>> {
        self.0.who(snapshot, headers)
    }

    fn visitor<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        application: &'a WebApplication,
        headers: &'a HeaderMap,
    ) -> Boxed<'a, Result<Option<Visitor>, NotLetIn>> {
        Box::pin(self.0.visitor(snapshot, application, headers))
    }

    fn at_application<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        application: &'a WebApplication,
        request: Request<Bytes>,
        peer: Option<IpAddr>,
    ) -> Boxed<'a, Response<Bytes>> {
        Box::pin(self.0.at_application(snapshot, application, request, peer))
    }

    fn page_of(&self, _: &Snapshot, application: &WebApplication, fault: &Fault) -> Option<Response<Bytes>> {
        Some(identity::page_of(application, fault))
    }

    fn sign_in_at(&self, snapshot: &Snapshot, path: &str) -> Option<String> {
        IdentityServer::sign_in_at(snapshot.identity_server.as_ref()?, path)
    }
}

impl Accounts for SignIn {
    fn token<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        server: &'a ToolServer,
        acting: Option<&'a Acting>,
        refused: Option<&'a Secret>,
    ) -> Granting<'a> {
        Box::pin(self.0.account_token(snapshot, server, acting, refused))
    }
}

/// A gate that is ready to serve.
pub(crate) struct Ready {
    /// The gate.
    pub(crate) gate: Arc<Gate>,
    /// What it serves.
    pub(crate) additions: Arc<Additions>,
    /// What it holds tools to.
    pub(crate) contracts: Arc<Contracts>,
    /// Where its records go.
    pub(crate) journal: Arc<DiskJournal>,
    slot: Slot,
    loading: Loading,
    keys: Keeping,
    ledger: Arc<Ledger>,
    sharing: JoinHandle<()>,
    shared: Option<Shared>,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<tollgate_gateway::serve::TlsAcceptor>,
}

/// Puts the parts together and binds the address.
pub(crate) async fn prepare(read: Read, data_dir: Option<PathBuf>) -> Result<Ready> {
    let Read { snapshot, not_acted_on } = read;
    if !not_acted_on.is_empty() {
        tracing::warn!(settings = not_acted_on.join(", "), "understood but not acted on");
    }
    for deployment in snapshot.models.iter().flat_map(|model| &model.deployments) {
        if let Some(why) = &deployment.unavailable {
            tracing::warn!(deployment = &*deployment.id, why, "out of service");
        }
    }
    let folder = match data_dir.or_else(|| snapshot.data_dir.clone()) {
        Some(folder) => folder,
        None => default_data_dir()?,
    };
    let tls = snapshot.tls.as_ref().map(serve::acceptor).transpose().map_err(anyhow::Error::msg)?;
    let listener = TcpListener::bind(snapshot.listen)
        .await
        .with_context(|| format!("cannot listen on {} (another port: --port)", snapshot.listen))?;
    let address = listener.local_addr()?;
    if let Some(url) = snapshot.identity.url.as_deref()
        && let Some(port) = url.strip_prefix("http://localhost:").and_then(|port| port.parse::<u16>().ok())
        && port != address.port()
    {
        tracing::warn!(url, served = %address, "identity.url is this machine's, and another port than this gate has");
    }
    let clock = Arc::new(SystemClock);
    let journal = Arc::new(open_journal(&folder, &snapshot.journal, Arc::clone(&clock) as Arc<dyn Clock>)?);
    let slot = Slot::default();
    let live = Folder {
        data_dir: folder.clone(),
        journal: Arc::clone(&journal),
        content_key: snapshot.journal.content_key.clone(),
    };
    let shared = Shared::of(&snapshot.budgets, &sharer(&folder, journal.instance())?);
    if shared.is_none() && snapshot.advertise_url.is_some() {
        tracing::warn!(
            "advertise_url: nobody is told of it, as there is neither database_url nor counters_url"
        );
    }
    let ledger = Shared::ledger(
        shared.as_ref(),
        Arc::clone(&journal) as Arc<_>,
        &snapshot.budgets,
        snapshot.advertise_url.clone(),
    );
    ledger.restore(journal.counted().0);
    let registry = RegistrySlot::new(snapshot.database_url.clone(), folder.clone());
    let additions = Arc::new(Additions::new(
        snapshot.clone(),
        Arc::new(registry.clone()),
        Arc::clone(&journal) as Arc<_>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        (Arc::new(providers::Table), Arc::new(catalog::BuiltIn)),
    ));
    let contracts = Contracts::new(
        Arc::new(registry.clone()),
        Arc::clone(&journal) as Arc<_>,
        Arc::clone(&clock) as Arc<dyn Clock>,
    );
    let contracts = Arc::new(contracts.map_err(anyhow::Error::msg)?);
    contracts.reload(&snapshot).map_err(anyhow::Error::msg)?;
    let approvals = Arc::new(Waiting::new(
        Arc::new(registry.clone()),
        Arc::clone(&journal) as Arc<_>,
        Arc::clone(&clock) as Arc<dyn Clock>,
    ));
    let logins = Arc::new(Logins::new(
        Arc::new(registry.clone()),
        Arc::clone(&journal) as Arc<_>,
        Arc::clone(&clock) as Arc<dyn Clock>,
    ));
    let tokens = Arc::new(IssuedTokens::default());
    let sign_in = Arc::new(IdentityServer::new(
        identity::Parts {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            journal: Arc::clone(&journal) as Arc<_>,
            access: Arc::clone(&ledger) as Arc<_>,
            logins: Arc::clone(&logins),
            users: Arc::new(registry.clone()),
            signing_keys: Arc::new(registry.clone()),
            shelf: Arc::new(registry.clone()),
        },
        Arc::clone(&tokens),
    ));
    let signers = Signers::new(
        Arc::new(registry.clone()),
        Arc::clone(&journal) as Arc<_>,
        Arc::clone(&clock) as Arc<dyn Clock>,
    );
    let followed = Followed {
        ledger: Arc::clone(&ledger),
        additions: Arc::clone(&additions),
        contracts: Arc::clone(&contracts),
        approvals: Arc::clone(&approvals),
        sign_in: Arc::clone(&sign_in),
    };
    let keys = Keeping::begin(followed, registry.clone(), &*clock).await;
    let sharing = sharing::begin(&ledger).await;
    let registrar = Registrar::new(
        Arc::clone(&ledger),
        Arc::new(registry),
        Arc::clone(&journal) as Arc<_>,
        Arc::clone(&clock) as Arc<dyn Clock>,
    );
    let testing = Arc::new(alerts::Testing::default());
    let sources = tollgate_admin::Sources {
        records: Arc::new(slot.clone()),
        live: Arc::new(live),
        registrar: Arc::new(registrar),
        alerts: Arc::clone(&testing) as Arc<_>,
        additions: Arc::clone(&additions),
        approvals: Arc::clone(&approvals),
        contracts: Arc::clone(&contracts),
        logins,
        signers: Arc::new(signers),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
    };
    let loading = Loading {
        journal: Arc::clone(&journal),
        database_url: snapshot.database_url.clone(),
        data_dir: folder,
        consumer: journal.consumer(INDEX),
        keep: snapshot.journal.keep,
    };
    let parts = Parts {
        access: Arc::clone(&ledger) as Arc<_>,
        journal: Arc::clone(&journal) as Arc<_>,
        tokens: Arc::clone(&tokens) as Arc<_>,
        catalog: Arc::new(catalog::BuiltIn),
        upstream: Arc::new(WithSimulator::new(Arc::clone(&clock) as Arc<dyn Clock>, HttpClient::new())),
        clock,
        dice: Arc::new(Dice::new()),
        instance: Arc::from(journal.instance()),
        contracts: Arc::clone(&contracts) as Arc<_>,
        approvals,
        peers: Arc::clone(&ledger) as Arc<_>,
        child_guard: std::env::current_exe().ok(),
        managed: Some(Arc::new(Management(tollgate_admin::router(sources)))),
        site: Some(Arc::new(SignIn(Arc::clone(&sign_in)))),
        accounts: Arc::new(SignIn(Arc::clone(&sign_in))),
    };
    let gate = Gate::new(parts, additions.snapshot());
    tokens.begin(Arc::downgrade(&gate) as Weak<_>);
    sign_in.begin(Arc::downgrade(&gate) as Weak<_>);
    testing.begin(&gate);
    additions.publish_to(Arc::downgrade(&gate) as Weak<_>);
    Ok(Ready {
        gate,
        additions,
        contracts,
        journal,
        slot,
        loading,
        keys,
        ledger,
        sharing,
        shared,
        listener,
        address,
        tls,
    })
}

/// Who this instance is to those that it shares budgets with: its data folder, which knows what it has spent, whatever
/// name it was given.
fn sharer(folder: &Path, instance: &str) -> Result<String> {
    let own = tollgate_journal::instance_of(folder)?;
    Ok(if own == instance { own } else { format!("{instance}.{own}") })
}

/// Opens the journal in `folder` as `settings` say; what a crash has left there is put in order.
fn open_journal(folder: &Path, settings: &JournalSettings, clock: Arc<dyn Clock>) -> Result<DiskJournal> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let keys = Keys::load(folder, text(&settings.key).as_deref(), text(&settings.digest_key).as_deref())?;
    let keys = match &settings.content_key {
        Some(secret) => keys.encrypting(secret.expose()),
        None => keys,
    };
    let instance = match &settings.instance {
        Some(name) => name.clone(),
        None => tollgate_journal::instance_of(folder)?,
    };
    let sink = settings.sink.iter().map(|_| (SINK, false));
    let options = Options::of(settings, [(INDEX, true)].into_iter().chain(sink).collect());
    Ok(DiskJournal::open(folder, &instance, keys, options, clock)?)
}

impl Ready {
    /// The address that clients use.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `stop`, and lets calls in flight end, or until `hurry` cuts them off.
    pub(crate) async fn serve(
        self,
        stop: impl Future<Output = ()> + Send,
        hurry: impl Future<Output = ()> + Send,
    ) {
        let url = self.url();
        let detail = serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "instance": &*self.gate.parts.instance, "address": url });
        self.gate.event("start", None, detail);
        tracing::info!(address = url, journal = %self.journal.folder().display(), "listening");
        let gate = Arc::clone(&self.gate);
        let rolling = tokio::spawn(roll_up_strangers(Arc::clone(&gate)));
        let loading = self.slot.keep_loading(self.loading);
        let following = self.keys.keep_following(Arc::clone(&self.gate.parts.clock));
        let mut telling = tell_others(&gate, &self.journal);
        alerts::tell(&mut telling, &gate, &self.journal, self.shared.as_ref());
        telling.spawn(expiring::keep_telling(
            Arc::clone(&gate),
            Arc::clone(&self.ledger),
            self.journal.folder().to_owned(),
        ));
        serve::serve(self.gate, self.listener, self.tls, stop, hurry).await;
        gate.tools.close().await;
        rolling.abort();
        gate.record_strangers();
        gate.end_what_is_left();
        gate.event("stop", None, serde_json::json!({ "open_calls": gate.open_calls() }));
        self.journal.sign();
        // What is not loaded now is loaded at the next start.
        loading.abort();
        following.abort();
        sharing::end(&self.ledger, self.sharing).await;
        drop(telling);
    }
}

/// Starts what tells others of the journal: where heads are published, the sink, the collector. It ends with the value.
fn tell_others(gate: &Arc<Gate>, journal: &DiskJournal) -> JoinSet<()> {
    let snapshot = Arc::clone(&gate.runtime().snapshot);
    let deliver = || Arc::clone(gate) as Arc<dyn Deliver>;
    let reading = |name| Reading::new(journal, name);
    let mut telling = JoinSet::new();
    for target in &snapshot.journal.publish {
        telling.spawn(tollgate_export::publish(deliver(), target.clone(), journal.heads()));
    }
    if let Some(address) = &snapshot.journal.sink {
        telling.spawn(tollgate_export::feed(deliver(), address.clone(), reading(SINK)));
    }
    if let Some(settings) = &snapshot.otlp {
        let version = env!("CARGO_PKG_VERSION");
        telling.spawn(tollgate_export::otlp::tell(deliver(), settings.clone(), reading("otlp"), version));
    }
    telling
}

/// Once a minute, who was refused before anyone was identified.
async fn roll_up_strangers(gate: Arc<Gate>) {
    const EVERY: Duration = Duration::from_secs(60);
    loop {
        tokio::time::sleep(EVERY).await;
        gate.record_strangers();
        gate.end_what_is_left();
    }
}

/// Serves `source` until the process is told to stop.
pub(crate) async fn serve(source: &Source, overrides: &Overrides, data_dir: Option<PathBuf>) -> Result<()> {
    let signals = StopSignals::new();
    let ready = prepare(source.read(overrides)?, data_dir).await?;
    let (gate, additions) = (Arc::clone(&ready.gate), Arc::clone(&ready.additions));
    let documents = (additions, Arc::clone(&ready.contracts));
    let watching = reload::watch(gate, documents, source.clone(), overrides.clone());
    let gate = Arc::clone(&ready.gate);
    let stop = async {
        signals.wait(1).await;
        let drain_ms = u64::try_from(gate.runtime().snapshot.timeouts.drain.as_millis()).unwrap_or(u64::MAX);
        let open_calls = gate.open_calls();
        tracing::info!(open_calls, drain_ms, "stopping: calls in flight may end; a second signal ends them");
    };
    ready.serve(stop, signals.wait(2)).await;
    watching.abort();
    Ok(())
}

pub(crate) fn default_data_dir() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    Ok(folder.context("no place for records: set --data-dir or TOLLGATE_DATA_DIR")?.join("tollgate"))
}

/// Counts SIGTERM and SIGINT from now on.
pub(crate) struct StopSignals(watch::Receiver<u32>);

impl StopSignals {
    /// Listens from now on: before anybody is told that the gate is up.
    pub(crate) fn new() -> Self {
        let (count, signals) = watch::channel(0);
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
                let Ok(mut stream) = signal(kind) else { continue };
                let count = count.clone();
                tokio::spawn(async move {
                    while stream.recv().await.is_some() {
                        count.send_modify(|count| *count += 1);
                    }
                });
            }
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                count.send_modify(|count| *count += 1);
            }
        });
        Self(signals)
    }

    /// Resolves when `number` of them have come.
    pub(crate) fn wait(&self, number: u32) -> impl Future<Output = ()> + Send + use<> {
        let mut signals = self.0.clone();
        async move {
            if signals.wait_for(|count| *count >= number).await.is_err() {
                std::future::pending().await
            }
        }
    }
}

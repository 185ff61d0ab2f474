//! The composition root: the only place that knows which parts the gate is made of.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tollgate_core::config::resolve::Overrides;
use tollgate_core::ports::Clock;
use tollgate_gateway::dice::Dice;
use tollgate_gateway::gate::{Gate, Parts};
use tollgate_gateway::serve;
use tollgate_gateway::upstream::{HttpClient, WithSimulator};
use tollgate_journal::JsonLines;
use tollgate_llm::catalog;

use crate::configuration::{Read, Source};
use crate::reload;

/// The system's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A gate that is ready to serve.
pub(crate) struct Ready {
    /// The gate.
    pub(crate) gate: Arc<Gate>,
    /// Where its records go.
    pub(crate) records: PathBuf,
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
    let records = folder.join("records.jsonl");
    let clock = Arc::new(SystemClock);
    let parts = Parts {
        journal: Arc::new(JsonLines::open(&records)?),
        catalog: Arc::new(catalog::BuiltIn),
        upstream: Arc::new(WithSimulator::new(Arc::clone(&clock) as Arc<dyn Clock>, HttpClient::new())),
        clock,
        dice: Arc::new(Dice::new()),
        instance: Arc::from(uuid::Uuid::now_v7().simple().to_string()),
    };
    let gate = Gate::new(parts, snapshot);
    Ok(Ready { gate, records, listener, address, tls })
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
        tracing::info!(address = url, records = %self.records.display(), "listening");
        let gate = Arc::clone(&self.gate);
        serve::serve(self.gate, self.listener, self.tls, stop, hurry).await;
        gate.event("stop", None, serde_json::json!({ "open_calls": gate.open_calls() }));
    }
}

/// Serves `source` until the process is told to stop.
pub(crate) async fn serve(source: &Source, overrides: &Overrides, data_dir: Option<PathBuf>) -> Result<()> {
    let ready = prepare(source.read(overrides)?, data_dir).await?;
    let watching = reload::watch(Arc::clone(&ready.gate), source.clone(), overrides.clone());
    let gate = Arc::clone(&ready.gate);
    let stop = async {
        stop_signal().await;
        let drain_ms = u64::try_from(gate.runtime().snapshot.timeouts.drain.as_millis()).unwrap_or(u64::MAX);
        let open_calls = gate.open_calls();
        tracing::info!(open_calls, drain_ms, "stopping: calls in flight may end; a second signal ends them");
    };
    ready.serve(stop, stop_signal()).await;
    watching.abort();
    Ok(())
}

fn default_data_dir() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    Ok(folder.context("no place for records: set --data-dir or TOLLGATE_DATA_DIR")?.join("tollgate"))
}

/// Resolves at SIGTERM or SIGINT.
pub(crate) async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // Each wait sees only signals that come after it has begun.
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}

//! Reload at SIGHUP and when the file changes. A file that does not resolve changes nothing and says why.
//!
//! The file is looked at twice a second rather than watched: a watcher would be woken by every record that is
//! written to the same folder, and by none of what a network file system or a replaced link does.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tollgate_contracts::Contracts;
use tollgate_core::config::resolve::Overrides;
use tollgate_gateway::gate::Gate;
use tollgate_models::Additions;

use crate::configuration::Source;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What tells a changed file from an unchanged one.
type Stamp = Option<(SystemTime, u64)>;

/// Follows `source` for as long as the task lives.
pub(crate) fn watch(
    gate: Arc<Gate>,
    (additions, contracts): (Arc<Additions>, Arc<Contracts>),
    source: Source,
    overrides: Overrides,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut hang_ups = hang_ups();
        let mut read = stamp(&source);
        let mut seen = read;
        loop {
            let forced = tokio::select! {
                asked = hang_ups.recv() => asked.is_some(),
                () = tokio::time::sleep(LOOK) => false,
            };
            let now = stamp(&source);
            // A file that is being written is read when it has stayed the same for once.
            let settled = now == std::mem::replace(&mut seen, now);
            if forced || (settled && now != read && now.is_some()) {
                read = now;
                reload(&gate, (&additions, &contracts), &source, &overrides);
            }
        }
    })
}

fn stamp(source: &Source) -> Stamp {
    // Follows links: Kubernetes replaces the link, not the file.
    let metadata = std::fs::metadata(source.file().unwrap_or(Path::new(""))).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A message for each SIGHUP. On a system without it there are none, and the sender is kept.
fn hang_ups() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        #[cfg(unix)]
        if let Ok(mut signals) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
            while signals.recv().await.is_some() && sender.send(()).await.is_ok() {}
        }
        sender.closed().await;
    });
    receiver
}

fn reload(
    gate: &Gate,
    (additions, contracts): (&Additions, &Contracts),
    source: &Source,
    overrides: &Overrides,
) {
    let read = match source.read(overrides) {
        Ok(read) => read,
        Err(error) => {
            gate.metrics.failed_reloads.inc();
            gate.metrics.stale_configuration.set(1);
            let why = format!("{error:#}");
            tracing::error!("the configuration was not reloaded, the old one stays: {why}");
            gate.event("reload", None, serde_json::json!({ "refused": why }));
            return;
        }
    };
    let before = gate.runtime();
    for (setting, same) in [
        ("listen", before.snapshot.listen == read.snapshot.listen),
        ("tls", before.snapshot.tls == read.snapshot.tls),
        ("data_dir", before.snapshot.data_dir == read.snapshot.data_dir),
        ("database_url", before.snapshot.database_url == read.snapshot.database_url),
        ("counters_url, budgets.lease_ms", {
            let (old, new) = (&before.snapshot.budgets, &read.snapshot.budgets);
            old.shared_at == new.shared_at && old.lease == new.lease
        }),
        ("advertise_url", before.snapshot.advertise_url == read.snapshot.advertise_url),
        ("journal", before.snapshot.journal == read.snapshot.journal),
        ("telemetry", before.snapshot.otlp == read.snapshot.otlp),
        ("alerts", before.snapshot.alerts == read.snapshot.alerts),
        ("limits.connections", before.snapshot.limits.connections == read.snapshot.limits.connections),
    ] {
        if !same {
            tracing::warn!(setting, "changed, and takes effect at the next start");
        }
    }
    if let Err(why) = contracts.reload(&read.snapshot) {
        gate.metrics.failed_reloads.inc();
        gate.metrics.stale_configuration.set(1);
        tracing::error!("the configuration was not reloaded, the old one stays: {why}");
        gate.event("reload", None, serde_json::json!({ "refused": why }));
        return;
    }
    let models = read.snapshot.models.names().count();
    // What was added is put together with it anew.
    additions.reload(read.snapshot);
    gate.metrics.stale_configuration.set(0);
    tracing::info!(models, "the configuration was reloaded");
    gate.event("reload", None, serde_json::json!({ "models": models }));
}

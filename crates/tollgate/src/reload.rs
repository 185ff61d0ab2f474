//! Reload at SIGHUP and when the file changes. A file that does not resolve changes nothing and says why.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tollgate_core::config::resolve::Overrides;
use tollgate_gateway::gate::Gate;

use crate::configuration::Source;

/// Editors write a file in several steps; this long after the last one it is read.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches `source` for as long as the task lives.
pub(crate) fn watch(gate: Arc<Gate>, source: Source, overrides: Overrides) -> Result<JoinHandle<()>> {
    let (changed, mut changes) = mpsc::channel(1);
    let watcher = source.file().map(|file| watch_file(file, changed.clone())).transpose()?;
    hang_up(changed);
    Ok(tokio::spawn(async move {
        let _kept = watcher;
        let mut text = content(&source);
        while let Some(forced) = changes.recv().await {
            tokio::time::sleep(SETTLE).await;
            let forced = std::iter::from_fn(|| changes.try_recv().ok()).fold(forced, |a, b| a || b);
            let now = content(&source);
            // Opening a file to read it is a change to some systems.
            if forced || now != text {
                text = now;
                reload(&gate, &source, &overrides);
            }
        }
    }))
}

fn content(source: &Source) -> Option<String> {
    std::fs::read_to_string(source.file()?).ok()
}

/// The folder is watched, not the file: editors and Kubernetes replace the file rather than change it.
fn watch_file(file: &Path, changed: mpsc::Sender<bool>) -> Result<notify::RecommendedWatcher> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok() {
            // A full channel holds a change already.
            let _ = changed.try_send(false);
        }
    })?;
    watcher
        .watch(folder, RecursiveMode::NonRecursive)
        .with_context(|| format!("cannot watch {}", folder.display()))?;
    Ok(watcher)
}

fn hang_up(changed: mpsc::Sender<bool>) {
    #[cfg(unix)]
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut hang_up) = signal(SignalKind::hangup()) else { return };
        while hang_up.recv().await.is_some() {
            if changed.send(true).await.is_err() {
                return;
            }
        }
    });
    #[cfg(not(unix))]
    drop(changed);
}

fn reload(gate: &Gate, source: &Source, overrides: &Overrides) {
    let read = match source.read(overrides) {
        Ok(read) => read,
        Err(error) => {
            gate.metrics.failed_reloads.inc();
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
        ("limits.connections", before.snapshot.limits.connections == read.snapshot.limits.connections),
    ] {
        if !same {
            tracing::warn!(setting, "changed, and takes effect at the next start");
        }
    }
    let models = read.snapshot.models.names().count();
    gate.publish(read.snapshot);
    tracing::info!(models, "the configuration was reloaded");
    gate.event("reload", None, serde_json::json!({ "models": models }));
}

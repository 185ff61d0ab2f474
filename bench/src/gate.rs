//! The gate with another journal or none, to tell what the journal costs: the rest is the same code in the same process.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tollgate_core::config::parse;
use tollgate_core::config::recording::Sync;
use tollgate_core::config::resolve::{Overrides, World, resolve};
use tollgate_core::digest::{Digest, DigestKey};
use tollgate_core::ports::{Access, Clock, Environment, Journal, JournalError, Offered, Position};
use tollgate_core::record::Entry;
use tollgate_gateway::dice::Dice;
use tollgate_gateway::gate::{Gate, Parts};
use tollgate_gateway::serve;
use tollgate_gateway::upstream::{HttpClient, WithSimulator};
use tollgate_journal::{DiskJournal, Keys, Options};
use tollgate_llm::{catalog, providers};

use crate::governed::{self, Rules};

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Keeps nothing.
struct NoJournal(DigestKey);

impl Journal for NoJournal {
    fn offer(&self, _: &Entry<'_>) -> Offered {
        Offered::default()
    }

    fn collect(&self, _: &Offered) -> Result<Position, JournalError> {
        Ok(0)
    }

    fn ready(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn keep_aside(&self, frames: &[u8]) -> Result<Digest, JournalError> {
        Ok(self.0.digest(frames))
    }

    fn digest_key(&self) -> &DigestKey {
        &self.0
    }
}

struct Empty;

impl Environment for Empty {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Opens a journal in `folder`.
pub(crate) fn journal(folder: &Path, sync: Sync) -> Result<DiskJournal> {
    let keys = Keys::load(folder, None, None)?;
    let options = Options { sync, ..Options::default() };
    Ok(DiskJournal::open(folder, "bench", keys, options, Arc::new(Now))?)
}

/// A journal that keeps nothing.
pub(crate) fn no_journal() -> impl Journal {
    NoJournal(DigestKey::derive(b"bench"))
}

/// Serves a gate on `port` in front of `upstream`, with a journal as `mode` says: `none`, `interval`, `every`, `off`; or
/// `six-rules` and `fifteen-rules`, which are `interval` for a caller whose key, user and team have budgets and limits.
pub(crate) async fn serve(port: u16, upstream: &str, mode: &str) -> Result<()> {
    // The load is sent with `sk-bench`.
    let rules = Rules::of(mode);
    let master = if rules.is_some() { "sk-other" } else { "sk-bench" };
    let yaml = format!(
        "master_key: {master}\nmodels:\n  stub: [{{ provider: openai, model: gpt-4o, base_url: '{upstream}/v1', api_key: x }}]\n"
    );
    let loaded = parse("bench", &yaml)?;
    let world = World {
        environment: &Empty,
        providers: &providers::Table,
        catalog: &catalog::BuiltIn,
        expressions: &tollgate_core::policy::NoExpressions,
    };
    let overrides = Overrides { host: None, port: Some(port) };
    let snapshot = resolve("bench", &yaml, &loaded, &overrides, world)?;
    let folder = tempfile::tempdir()?;
    let journal: Arc<dyn Journal> = match mode {
        "none" => Arc::new(no_journal()),
        "interval" | "six-rules" | "fifteen-rules" => Arc::new(journal(folder.path(), Sync::Interval)?),
        "every" => Arc::new(journal(folder.path(), Sync::Every)?),
        "off" => Arc::new(journal(folder.path(), Sync::Off)?),
        _ => anyhow::bail!("a mode is none, interval, every, off, six-rules or fifteen-rules"),
    };
    let clock: Arc<dyn Clock> = Arc::new(Now);
    let access: Arc<dyn Access> = match rules {
        Some(rules) => Arc::new(governed::ledger(Arc::clone(&journal), rules).await?),
        None => Arc::new(tollgate_core::access::Nobody),
    };
    let parts = Parts {
        contracts: Arc::new(tollgate_mcp::contract::port::Unpinned),
        approvals: Arc::new(tollgate_core::approval::NobodyApproves),
        peers: Arc::new(tollgate_core::ports::Alone),
        child_guard: None,
        access,
        clock: Arc::clone(&clock),
        journal,
        tokens: Arc::new(tollgate_core::identity::NoTokens),
        catalog: Arc::new(catalog::BuiltIn),
        upstream: Arc::new(WithSimulator::new(clock, HttpClient::new())),
        dice: Arc::new(Dice::new()),
        instance: Arc::from("bench"),
        managed: None,
        site: None,
        accounts: Arc::new(tollgate_core::identity::NoAccounts),
    };
    let listener = TcpListener::bind(snapshot.listen).await.context("listen")?;
    serve::serve(Gate::new(parts, snapshot), listener, None, std::future::pending(), std::future::pending())
        .await;
    Ok(())
}

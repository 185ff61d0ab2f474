//! `bench governed`: what keys, budgets and limits add to a call, with the journal and without.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};
use tollgate_core::access::{Holder, HolderRef, KeyHash};
use tollgate_core::ports::{Access, Change, Journal, KeepError, Keeping, Registry, Stored};
use tollgate_core::query::Answering;
use tollgate_ledger::Ledger;

use crate::compare;
use crate::load;
use crate::process::now;

/// Holders that are there from the beginning.
struct Fixed(Vec<Stored>);

impl Registry for Fixed {
    fn changed_after(&self, change: Change) -> Answering<'_, Vec<Stored>> {
        let later = self.0.iter().filter(move |stored| stored.change > change).cloned().collect();
        Box::pin(async move { Ok(later) })
    }

    fn keep<'a>(&'a self, _: &'a Holder, _: Option<Change>) -> Keeping<'a> {
        Box::pin(async { Err(KeepError::Away("nothing is kept".to_owned())) })
    }

    fn remove<'a>(&'a self, _: &'a HolderRef, _: Change) -> Keeping<'a> {
        Box::pin(async { Err(KeepError::Away("nothing is kept".to_owned())) })
    }
}

fn holder(change: Change, kind: &str, id: &str, more: &Value) -> Result<Stored> {
    let at = "2026-01-01T00:00:00Z";
    let mut said = json!({ "kind": kind, "id": id, "created_at": at, "updated_at": at });
    if let (Some(said), Some(more)) = (said.as_object_mut(), more.as_object()) {
        said.extend(more.clone());
    }
    let holder: Holder = serde_json::from_value(said)?;
    Ok(Stored { name: holder.name(), change, document: Some(holder) })
}

fn budgets() -> Value {
    let budget = |id: &str| json!({ "id": id, "amount_usd": "1000000", "window": id });
    json!([budget("day"), budget("month")])
}

fn limits() -> Value {
    let limit = |id: &str, measure: &str, per: &str| json!({ "id": id, "measure": measure, "max": 1_000_000_000_u64, "per": per });
    json!([
        limit("r", "requests", "minute"),
        limit("t", "tokens", "day"),
        { "id": "c", "measure": "concurrent_calls", "max": 1_000 },
    ])
}

fn key(change: Change, id: &str, secret: &str) -> Result<Stored> {
    let hash = KeyHash::of(secret);
    let said = json!({ "hash": hash, "prefix": "sk-", "user": "u", "team": "t", "models": ["stub", "gpt-*"], "budgets": budgets(), "limits": limits() });
    holder(change, "key", id, &said)
}

/// A ledger that knows the key that the load is sent with, its user and its team, each with two budgets and three limits.
pub(crate) async fn ledger(journal: Arc<dyn Journal>) -> Result<Ledger> {
    known(journal, 1).await
}

async fn known(journal: Arc<dyn Journal>, keys: u64) -> Result<Ledger> {
    let rules = json!({ "budgets": budgets(), "limits": limits() });
    let mut all =
        vec![holder(1, "user", "u", &rules)?, holder(2, "team", "t", &rules)?, key(3, "k", "sk-bench")?];
    for number in 1..keys {
        all.push(key(number + 3, &format!("k{number}"), &format!("sk-{number}"))?);
    }
    let ledger = Ledger::new(journal);
    ledger.follow(&Fixed(all), Timestamp::now()).await?;
    Ok(ledger)
}

/// Measures, and returns a chapter for the results.
pub(crate) fn run(seconds: u32) -> Result<String> {
    let mut text = String::from(
        "\n## Keys, budgets and limits\n\nThe same gate in three modes, nothing else different; no index. *Ungoverned*: a master key, no journal. *Journal*: with it.\n*Governed*: with the journal, and a key with a user and a team, each with two budgets and three limits: fifteen rules a call. CPU of the process,\nµs a call, median of five rounds that alternate.\n\n| body | connections | ungoverned | journal | governed | governed ÷ ungoverned |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for point in compare::run(&["none", "interval", "governed"], seconds)? {
        let [none, journal, governed] = [point.cpu[0], point.cpu[1], point.cpu[2]];
        text.push_str(&format!(
            "| {} | {} | {none:.1} | {journal:.1} | {governed:.1} | {:.2} |\n",
            point.body,
            point.connections,
            governed / none
        ));
    }
    text.push_str(&lookups()?);
    Ok(text)
}

/// How long it takes to know a key among many.
fn lookups() -> Result<String> {
    const KEYS: u64 = 100_000;
    const ASKED: u32 = 1_000_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ledger = runtime.block_on(known(Arc::new(crate::gate::no_journal()), KEYS))?;
    let at = Timestamp::now();
    let secrets: Vec<String> = (1..1_000).map(|number| format!("sk-{}", number * 97)).collect();
    let begun = now();
    let mut found = 0_u32;
    for secret in secrets.iter().cycle().take(ASKED as usize) {
        found += u32::from(ledger.identify(secret, None, at).is_ok());
    }
    let took: Duration = begun.elapsed() / ASKED;
    anyhow::ensure!(found == ASKED, "{found} of {ASKED} were found");
    compare::eprint(&format!("a key among {KEYS} is known after {took:?}"));
    Ok(format!(
        "\nA key among {KEYS} is known, with its user and its team, after **{:.2} µs**, its SHA-256 included.\n",
        load::to_f64(u64::try_from(took.as_nanos())?) / 1e3
    ))
}

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

/// How many rules count a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// A budget and a limit of each: the key, its user, its team.
    Six,
    /// Two budgets and three limits of each.
    Fifteen,
}

impl Rules {
    /// Those of the mode of `bench gate` that is called so.
    pub(crate) fn of(mode: &str) -> Option<Self> {
        match mode {
            "six-rules" => Some(Self::Six),
            "fifteen-rules" => Some(Self::Fifteen),
            _ => None,
        }
    }

    fn said(self) -> Value {
        let budget = |window: &str| json!({ "id": window, "amount_usd": "1000000", "window": window });
        let limit = |id: &str, measure: &str, per: &str| json!({ "id": id, "measure": measure, "max": 1_000_000_000_u64, "per": per });
        match self {
            Self::Six => {
                json!({ "budgets": [budget("month")], "limits": [limit("r", "requests", "minute")] })
            }
            Self::Fifteen => json!({
                "budgets": [budget("day"), budget("month")],
                "limits": [
                    limit("r", "requests", "minute"),
                    limit("t", "tokens", "day"),
                    { "id": "c", "measure": "concurrent_calls", "max": 1_000 },
                ],
            }),
        }
    }
}

fn key(change: Change, id: &str, secret: &str, rules: Rules) -> Result<Stored> {
    let hash = KeyHash::of(secret);
    let mut said =
        json!({ "hash": hash, "prefix": "sk-", "user": "u", "team": "t", "models": ["stub", "gpt-*"] });
    if let (Some(said), Some(rules)) = (said.as_object_mut(), rules.said().as_object()) {
        said.extend(rules.clone());
    }
    holder(change, "key", id, &said)
}

/// A ledger that knows the key that the load is sent with, its user and its team, each with rules of its own.
pub(crate) async fn ledger(journal: Arc<dyn Journal>, rules: Rules) -> Result<Ledger> {
    known(journal, 1, rules).await
}

async fn known(journal: Arc<dyn Journal>, keys: u64, rules: Rules) -> Result<Ledger> {
    let said = rules.said();
    let mut all =
        vec![holder(1, "user", "u", &said)?, holder(2, "team", "t", &said)?, key(3, "k", "sk-bench", rules)?];
    for number in 1..keys {
        all.push(key(number + 3, &format!("k{number}"), &format!("sk-{number}"), rules)?);
    }
    let ledger = Ledger::new(journal);
    ledger.follow(&Fixed(all), Timestamp::now()).await?;
    Ok(ledger)
}

/// Measures, and returns a chapter for the results.
pub(crate) fn run(seconds: u32) -> Result<String> {
    let mut text = String::from(
        "\n## Keys, budgets and limits\n\nThe same gate in four modes, nothing else different; no index. *Bare*: a master key and no journal, which no gate that serves\nis. *Journal*: a master key. *Six*: a key with a user and a team, each with a budget and a limit. *Fifteen*: each with two\nbudgets and three limits. CPU of the process, µs a call, median of five rounds that alternate.\n\n| body | connections | bare | journal | six | fifteen | six ÷ journal | fifteen ÷ journal | six ÷ bare | fifteen ÷ bare |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for point in compare::run(&["none", "interval", "six-rules", "fifteen-rules"], seconds)? {
        let [bare, journal, six, fifteen] = [point.cpu[0], point.cpu[1], point.cpu[2], point.cpu[3]];
        text.push_str(&format!(
            "| {} | {} | {bare:.1} | {journal:.1} | {six:.1} | {fifteen:.1} | {:.2} | {:.2} | {:.2} | {:.2} |\n",
            point.body,
            point.connections,
            six / journal,
            fifteen / journal,
            six / bare,
            fifteen / bare,
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
    let ledger = runtime.block_on(known(Arc::new(crate::gate::no_journal()), KEYS, Rules::Fifteen))?;
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

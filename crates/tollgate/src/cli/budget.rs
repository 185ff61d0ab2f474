//! `tollgate budget`: what a key, a team or a user may spend.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use hyper::header::ETAG;
use jiff::Timestamp;
use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, HolderRef};
use tollgate_core::ledger::Usd;

use super::ask::{Remote, remote};
use super::holder::{How, path, rules, shown};
use super::when;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say which budgets a holder has from now on; what was spent under one of the same name and window stays counted
    Set(Set),
    /// Show how a holder stands with each of its budgets
    List(List),
    /// Allow more for a while
    Raise(Raise),
}

#[derive(Debug, Args)]
struct Set {
    /// Whose: key/ID, team/ID or user/ID
    #[arg(value_parser = holder)]
    holder: HolderRef,
    /// AMOUNT/WINDOW, such as 10/month, 5/30d:strict, trial=1/total:soft, or a budget as JSON
    #[arg(required = true, value_name = "BUDGET", value_parser = rules::budget)]
    budgets: Vec<Value>,
}

#[derive(Debug, Args)]
struct List {
    /// Whose: key/ID, team/ID or user/ID
    #[arg(value_parser = holder)]
    holder: HolderRef,
}

#[derive(Debug, Args)]
struct Raise {
    /// Whose: key/ID, team/ID or user/ID
    #[arg(value_parser = holder)]
    holder: HolderRef,
    /// The budget's name
    budget: String,
    /// How much more, in US dollars
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    by: Usd,
    /// Until when: 2d or 12h from now, a day, or a time as in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = when::ahead)]
    until: Timestamp,
}

fn amount(text: &str) -> Result<Usd, String> {
    text.parse().map_err(|_| format!("{text:?} is no amount in US dollars"))
}

fn holder(text: &str) -> Result<HolderRef, String> {
    let (kind, id) = text.split_once('/').unwrap_or_default();
    let kind = HolderKind::ALL.into_iter().find(|known| known.name() == kind);
    match kind.filter(|_| !id.is_empty()) {
        Some(kind) => Ok(HolderRef { kind, id: id.into() }),
        None => Err(format!("{text}: write key/ID, team/ID or user/ID")),
    }
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        match self.what {
            What::Set(set) => set.run(&self.how).await,
            What::List(list) => list.run(&self.how).await,
            What::Raise(raise) => raise.run(&self.how).await,
        }
    }
}

/// A holder as it is, and the tag of that version: what was read is what is changed.
async fn read(remote: &Remote, holder: &HolderRef) -> Result<(Value, String)> {
    let answer = remote.answer("GET", &path(holder.kind, Some(&holder.id)), &[], "").await?;
    let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or("*").to_owned();
    Ok((remote::read(answer).await?, tag))
}

async fn write(remote: &Remote, holder: &HolderRef, tag: &str, budgets: Vec<Value>, how: &How) -> Result<()> {
    let place = path(holder.kind, Some(&holder.id));
    let answer = remote.change("PATCH", &place, Some(tag), &json!({ "budgets": budgets })).await?;
    how.tell(&answer["budgets"], || vec![format!("the budgets of the {holder} were changed")])
}

fn budgets_of(holder: &Value) -> Vec<Value> {
    holder["budgets"].as_array().cloned().unwrap_or_default()
}

impl Set {
    async fn run(self, how: &How) -> Result<()> {
        let remote = how.remote()?;
        let (before, tag) = read(&remote, &self.holder).await?;
        let before = budgets_of(&before);
        let mut budgets = self.budgets;
        for budget in &mut budgets {
            let same = |known: &&Value| known["id"] == budget["id"] && known["window"] == budget["window"];
            // A window of so many days goes on from where it began.
            if let Some(since) = before.iter().find(same).map(|known| known["since"].clone())
                && !since.is_null()
                && budget["since"].is_null()
            {
                budget["since"] = since;
            }
        }
        write(&remote, &self.holder, &tag, budgets, how).await
    }
}

impl List {
    async fn run(self, how: &How) -> Result<()> {
        let (holder, _) = read(&how.remote()?, &self.holder).await?;
        let answer = json!({ "budgets": holder["budgets"], "standing": holder["standing"] });
        how.tell(&answer, || match shown::standing(&holder, "budgets", "USD") {
            none if none.is_empty() => vec![format!("the {} has no budgets", self.holder)],
            lines => lines,
        })
    }
}

impl Raise {
    async fn run(self, how: &How) -> Result<()> {
        let remote = how.remote()?;
        let (before, tag) = read(&remote, &self.holder).await?;
        let mut budgets = budgets_of(&before);
        let budget = budgets.iter_mut().find(|budget| budget["id"] == *self.budget);
        let budget =
            budget.with_context(|| format!("the {} has no budget `{}`", self.holder, self.budget))?;
        budget["increase"] = json!({ "amount_usd": self.by, "until": self.until });
        write(&remote, &self.holder, &tag, budgets, how).await
    }
}

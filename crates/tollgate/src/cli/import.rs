//! `tollgate import litellm`: users, teams and keys from LiteLLM's database, through a running gate.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_store::{LiteLlm, Table};

use super::ask::{Gate, Remote};
use super::say;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Users, teams and keys from LiteLLM's PostgreSQL database; keys stay as clients have them
    Litellm(LiteLlmArguments),
}

#[derive(Debug, Args)]
struct LiteLlmArguments {
    /// Say what would be made and what has no equivalent, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Make also those who lose something that has no equivalent
    #[arg(long)]
    lossy: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// LiteLLM's database; it is only read
    #[arg(long, value_name = "URL", env = "LITELLM_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    #[command(flatten)]
    gate: Gate,
}

/// What became of a row.
#[derive(Debug, Deserialize)]
struct Item {
    kind: String,
    name: String,
    outcome: String,
    why: Option<String>,
    #[serde(default)]
    lost: Vec<Lost>,
    spent_usd: String,
    counts: bool,
}

/// What has no equivalent.
#[derive(Debug, Deserialize)]
struct Lost {
    why: String,
}

/// So many rows are sent at once.
const BATCH: usize = 200;

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        match self.from {
            From::Litellm(arguments) => arguments.run().await,
        }
    }
}

impl LiteLlmArguments {
    async fn run(self) -> Result<()> {
        let theirs = LiteLlm::open(&self.database_url).await?;
        let gate = self.gate.remote()?;
        let mut answers = Vec::new();
        let budgets = by_name(theirs.rows(Table::Budgets).await?);
        for (kind, table) in [("user", Table::Users), ("team", Table::Teams), ("key", Table::Keys)] {
            for rows in theirs.rows(table).await?.chunks(BATCH) {
                answers.extend(self.send(&gate, kind, rows, &budgets).await?);
            }
        }
        let organizations = theirs.rows(Table::Organizations).await?.len();
        if self.json {
            say(&serde_json::to_string_pretty(
                &json!({ "items": answers, "organizations": organizations }),
            )?)?;
        }
        let items: Vec<Item> = serde_json::from_value(Value::Array(answers))?;
        if !self.json {
            self.tell(&items, organizations)?;
        }
        let left_out = items.iter().filter(|item| item.outcome == "left_out").count();
        ensure!(left_out == 0 || self.dry_run, "{left_out} were left out");
        Ok(())
    }

    async fn send(
        &self,
        gate: &Remote,
        kind: &str,
        rows: &[Value],
        budgets: &Map<String, Value>,
    ) -> Result<Vec<Value>> {
        #[derive(Deserialize)]
        struct Answer {
            items: Vec<Value>,
        }
        let asked = json!({
            "kind": kind, "rows": rows, "budgets": budgets, "dry_run": self.dry_run, "lossy": self.lossy,
        });
        let answer = gate.change("POST", "/api/v1/import/litellm", None, &asked).await?;
        Ok(serde_json::from_value::<Answer>(answer)?.items)
    }

    fn tell(&self, items: &[Item], organizations: usize) -> Result<()> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for item in items {
            let word = match item.outcome.as_str() {
                "made" if self.dry_run => "would be made",
                "made" => "made",
                "there" => "there already",
                _ => "left out",
            };
            *counts.entry(word).or_default() += 1;
            let why = item.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            say(&format!("{:<4}  {:<32}  {word}{why}", item.kind, item.name))?;
            for lost in &item.lost {
                say(&format!("      no equivalent: {}", lost.why))?;
            }
            if item.spent_usd != "0" {
                let counts = if item.counts { "counts" } else { "does not count: no open budget window" };
                say(&format!("      spent {} USD there, which {counts}", item.spent_usd))?;
            }
        }
        if organizations > 0 {
            say(&format!("organizations have no equivalent: {organizations} are not taken over"))?;
        }
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        say(&if counts.is_empty() { "nothing to take over".to_owned() } else { counts.join(", ") })?;
        Ok(())
    }
}

/// Shared budgets by their names.
fn by_name(rows: Vec<Value>) -> Map<String, Value> {
    let named = rows.into_iter().filter_map(|row| Some((row.get("budget_id")?.as_str()?.to_owned(), row)));
    named.collect()
}

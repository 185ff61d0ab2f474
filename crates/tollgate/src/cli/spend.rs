//! `tollgate spend`: who spends what.

use anyhow::Result;
use clap::Args;
use tollgate_core::price::Cost;
use tollgate_core::query::{By, Dimension, Spend, SpendFilter, SpendRow};

use super::ask::Where;
use super::table::Table;
use super::{say, when};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What it is told apart by, with commas: day, team, user, key, model, deployment, end_user or tag
    #[arg(long, value_name = "WHAT", default_value = "model", value_parser = str::parse::<By>)]
    by: By,
    /// Not before the day of this: 30d or 12h ago, a day, or a time as in RFC 3339; days are those of UTC
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: String,
    /// Before this, written in the same way
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this key
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Of this user's keys
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Of this team's keys
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// With this model
    #[arg(long)]
    model: Option<String>,
    /// So many rows at most
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print comma-separated values (RFC 4180)
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let filter = SpendFilter {
            since: Some(when::moment(&self.since)?),
            until: self.until.as_deref().map(when::moment).transpose()?,
            by: self.by.clone(),
            key: self.key,
            user: self.user,
            team: self.team,
            model: self.model,
            limit: Some(self.limit),
        };
        let spend = self.place.source().await?.spend(&filter).await?;
        let by: Vec<Dimension> = self.by.each().collect();
        if self.json {
            say(&serde_json::to_string_pretty(&spend)?)?;
        } else if self.csv {
            csv(&by, &spend)?;
        } else {
            table(&by, &spend)?;
        }
        Ok(())
    }
}

fn usd(nano: i64) -> String {
    Cost::Known(u64::try_from(nano).unwrap_or(0)).to_string()
}

fn of(by: &[Dimension], row: &SpendRow) -> Vec<String> {
    by.iter().map(|dimension| row.of(*dimension).unwrap_or_default().to_owned()).collect()
}

fn table(by: &[Dimension], spend: &Spend) -> Result<()> {
    if spend.total.calls == 0 {
        return Ok(say("no calls")?);
    }
    let heads: Vec<&str> = by.iter().map(|dimension| dimension.name()).collect();
    let heads = [&heads[..], &["calls", "failed", "tokens in", "out", "USD"]].concat();
    let mut table = Table::new(&heads, by.len());
    let numbers = |row: &SpendRow| {
        let counts = [row.calls, row.failed_calls, row.input_tokens, row.output_tokens];
        counts.map(|count| count.to_string()).into_iter().chain([usd(row.cost_nano_usd)])
    };
    for row in &spend.rows {
        table.row(of(by, row).into_iter().chain(numbers(row)).collect());
    }
    let total = |at: usize| if at == 0 { "all" } else { " " }.to_owned();
    table.row((0..by.len()).map(total).chain(numbers(&spend.total)).collect());
    table.lines().iter().try_for_each(|line| say(line))?;
    if spend.truncated {
        say("… and more: --limit")?;
    }
    if spend.total.unpriced_calls > 0 {
        say(&format!(
            "the cost of {} calls is not known: their models have no price",
            spend.total.unpriced_calls
        ))?;
    }
    Ok(())
}

fn csv(by: &[Dimension], spend: &Spend) -> Result<()> {
    let heads = by.iter().map(|dimension| dimension.name());
    let sums = ["calls", "failed_calls", "input_tokens", "output_tokens", "cost_usd", "unpriced_calls"];
    say(&heads.chain(sums).collect::<Vec<_>>().join(","))?;
    for row in &spend.rows {
        let counts = [row.calls, row.failed_calls, row.input_tokens, row.output_tokens];
        let counts = counts.map(|count| count.to_string());
        let last = [usd(row.cost_nano_usd), row.unpriced_calls.to_string()];
        let cells: Vec<String> =
            of(by, row).iter().map(|text| quoted(text)).chain(counts).chain(last).collect();
        say(&cells.join(","))?;
    }
    Ok(())
}

/// A text as one value (RFC 4180 §2). Callers choose some of them: one that a spreadsheet would take for a formula gets an
/// apostrophe, which spreadsheets take for the sign of a text.
fn quoted(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return quoted(&format!("'{text}"));
    }
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

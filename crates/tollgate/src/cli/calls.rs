//! `tollgate calls`: past calls in a table.

use anyhow::Result;
use clap::Args;
use tollgate_core::price::Cost;
use tollgate_core::query::{CallFilter, CallRow};

use super::ask::Where;
use super::{say, when};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Not before: 1h, 30m, 2d ago, a day, or a time as in RFC 3339
    #[arg(long, value_name = "TIME", default_value = "1d")]
    since: String,
    /// Before, written in the same way
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// On behalf of this key or other principal
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Of this user's keys
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Of this team's keys
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// To this model
    #[arg(long)]
    model: Option<String>,
    /// Answered by this deployment
    #[arg(long)]
    deployment: Option<String>,
    /// Ended so: ok, refused, failed, client_gone, unknown, open
    #[arg(long)]
    outcome: Option<String>,
    /// With this fault, such as rate_limited; `any` for all that have one
    #[arg(long)]
    fault: Option<String>,
    /// Whose model chose this tool, or that called it
    #[arg(long)]
    tool: Option<String>,
    /// Of this trace
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// So many at most, the latest
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let filter = CallFilter {
            since: Some(when::moment(&self.since)?),
            until: self.until.as_deref().map(when::moment).transpose()?,
            key: self.key,
            user: self.user,
            team: self.team,
            model: self.model,
            deployment: self.deployment,
            outcome: self.outcome,
            fault: self.fault,
            tool: self.tool,
            trace: self.trace,
            before: None,
            limit: Some(self.limit),
        };
        let page = self.place.source().await?.calls(&filter).await?;
        if self.json {
            say(&serde_json::to_string_pretty(&page)?)?;
            return Ok(());
        }
        if page.calls.is_empty() {
            say("no calls")?;
            return Ok(());
        }
        say(
            "time (UTC)           call                                  outcome         tokens          USD       ms  model, who",
        )?;
        for call in &page.calls {
            say(&line(call))?;
        }
        if page.next.is_some() {
            say("… and more: --limit")?;
        }
        Ok(())
    }
}

/// A call in one line.
pub(super) fn line(call: &CallRow) -> String {
    let at: String = call.at.replace('T', " ").chars().take(19).collect();
    let ended = if call.fault.is_empty() { &call.outcome } else { &call.fault };
    let tokens = format!("{}/{}", call.input_tokens, call.output_tokens);
    format!(
        "{at}  {}  {ended:<13} {tokens:>9} {:>12} {:>8}  {}, {}",
        call.call_id,
        cost(call),
        call.duration_us / 1_000,
        about(call),
        call.principal,
    )
}

/// What it was about: a model, or a tool.
fn about(call: &CallRow) -> &str {
    match (call.model.as_str(), call.tool.as_str()) {
        ("", "") => "-",
        ("", tool) => tool,
        (model, _) => model,
    }
}

fn cost(call: &CallRow) -> String {
    match call.cost_nano_usd.and_then(|nano| u64::try_from(nano).ok()) {
        Some(nano) => Cost::Known(nano).to_string(),
        None if call.input_tokens + call.output_tokens > 0 => "unknown".to_owned(),
        None => "-".to_owned(),
    }
}

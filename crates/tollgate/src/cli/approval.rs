//! `tollgate approval`: tool calls that wait for somebody to let them pass.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::ask::remote;
use super::holder::How;
use super::holder::shown::text;
use super::table::Table;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the calls that wait
    List {
        /// Those that do not wait any more, too
        #[arg(long)]
        all: bool,
    },
    /// Show what a call would do
    Show(One),
    /// Let a call pass, once
    Approve(Decision),
    /// Do not let it pass
    Deny(Decision),
}

#[derive(Debug, Args)]
struct One {
    /// The approval
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, Args)]
struct Decision {
    #[command(flatten)]
    one: One,
    /// Why; the caller is told why a call was denied
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

fn path(id: &str) -> String {
    format!("/api/v1/approvals/{}", remote::segment(id))
}

fn tool(approval: &Value) -> String {
    format!("{}/{}", text(&approval["wanted"]["server"]), text(&approval["wanted"]["tool"]))
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let how = &self.how;
        match self.what {
            What::List { all } => list(how, all).await,
            What::Show(One { id }) => {
                let approval: Value = how.remote()?.get(&path(&id)).await?;
                how.tell(&approval, || lines(&approval))
            }
            What::Approve(decision) => decide(how, decision, "approve").await,
            What::Deny(decision) => decide(how, decision, "deny").await,
        }
    }
}

async fn list(how: &How, all: bool) -> Result<()> {
    let mut filter = Map::new();
    if !all {
        filter.insert("pending".to_owned(), json!(true));
    }
    let found = how.remote()?.all("/api/v1/approvals", filter).await?;
    how.tell(&found, || match found.as_array().map_or(&[][..], Vec::as_slice) {
        [] => vec!["no call waits".to_owned()],
        items => {
            let mut table = Table::new(&["approval", "tool", "effect", "for", "state"], 5);
            for approval in items {
                table.row(vec![
                    text(&approval["id"]).to_owned(),
                    tool(approval),
                    text(&approval["effect"]).to_owned(),
                    text(&approval["wanted"]["whose"]).to_owned(),
                    text(&approval["state"]).to_owned(),
                ]);
            }
            table.lines()
        }
    })
}

fn lines(approval: &Value) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", tool(approval), text(&approval["state"]))];
    let mut line = |what: &str, value: &Value| {
        if let Some(value) = value.as_str() {
            lines.push(format!("  {what:<10} {}", tollgate_mcp::hidden::excerpt(value, 4_000)));
        }
    };
    line("for", &approval["wanted"]["whose"]);
    line("effect", &approval["effect"]);
    line("why", &approval["why"]);
    line("arguments", &approval["arguments"]);
    line("call", &approval["call_id"]);
    line("trace", &approval["trace_id"]);
    line("asked", &approval["asked_at"]);
    line("ends", &approval["ends_at"]);
    line("decided by", &approval["decided_by"]);
    line("reason", &approval["reason"]);
    lines
}

async fn decide(how: &How, decision: Decision, what: &str) -> Result<()> {
    let Decision { one: One { id }, reason } = decision;
    let said = reason.map_or(json!({}), |reason| json!({ "reason": reason }));
    let decided = how.remote()?.change("POST", &format!("{}/{what}", path(&id)), None, &said).await?;
    how.tell(&decided, || vec![format!("{}: {}", tool(&decided), text(&decided["state"]))])
}

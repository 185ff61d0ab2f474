//! `tollgate tools`: what is wrong with the tools that MCP servers list, what has changed since somebody looked, and what a
//! running gate holds. What only checks goes by lists in files, too, so that a server can be checked before anything calls it.

mod diff;
mod lint;
mod lists;
mod live;
mod lock;

use std::path::Path;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::lists::List;
use super::holder::How;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say what could mislead a model, and what a model could confuse; status 1 where something is suspicious
    Lint {
        #[command(flatten)]
        lists: Lists,
    },
    /// Print a tools.lock: every definition as it is listed now
    Lock {
        /// Also where something is suspicious
        #[arg(long)]
        accept: bool,
        /// Of what the gate has pinned, instead of lists in files
        #[arg(long, conflicts_with_all = ["accept", "lists"])]
        from_gate: bool,
        /// A server's answer to `tools/list`, as JSON; the server is called NAME, or as the file is
        #[arg(value_name = "[NAME=]FILE", required_unless_present = "from_gate")]
        lists: Vec<List>,
    },
    /// List the tools that the gate knows of, and what it holds them to
    List {
        /// Those only that wait for a decision
        #[arg(long)]
        pending: bool,
    },
    /// Show what a tool says now beside what was pinned; or, with lists in files, what has changed since a tools.lock was
    /// written: status 1 where something would be held
    Diff {
        /// The tool; or the tools.lock
        #[arg(value_name = "SERVER/TOOL|LOCK")]
        of: String,
        /// A server's answer to `tools/list`, as JSON; the server is called NAME, or as the file is
        #[arg(value_name = "[NAME=]FILE")]
        lists: Vec<List>,
    },
    /// Let a definition in that waits
    Approve(live::Approval),
    /// Keep a definition out that waits
    Reject(live::Decision),
    /// Forget what is known of a tool: the next sight of it is the first
    Forget(live::One),
}

#[derive(Debug, Args)]
struct Lists {
    /// A server's answer to `tools/list`, as JSON; the server is called NAME, or as the file is
    #[arg(required = true, value_name = "[NAME=]FILE")]
    lists: Vec<List>,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let how = &self.how;
        match self.what {
            What::Lint { lists } => lint::run(&lists::read(&lists.lists)?),
            What::Lock { from_gate: true, .. } => live::lock(how).await,
            What::Lock { accept, lists, .. } => lock::run(&lists::read(&lists)?, accept),
            What::List { pending } => live::list(how, pending).await,
            What::Diff { of, lists } if lists.is_empty() => live::diff(how, &of).await,
            What::Diff { of, lists } => diff::run(Path::new(&of), &lists::read(&lists)?),
            What::Approve(approval) => live::approve(how, approval).await,
            What::Reject(decision) => live::reject(how, decision).await,
            What::Forget(one) => live::forget(how, one).await,
        }
    }
}

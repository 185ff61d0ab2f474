//! `tollgate tools`: what is wrong with the tools that MCP servers list, and what has changed since somebody looked. It goes
//! by lists in files, so that a server can be checked before anything calls it.

mod diff;
mod lint;
mod lists;
mod lock;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::lists::List;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
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
        #[command(flatten)]
        lists: Lists,
    },
    /// Say what has changed since a tools.lock was written; status 1 where something would be held
    Diff {
        /// The tools.lock
        lock: PathBuf,
        #[command(flatten)]
        lists: Lists,
    },
}

#[derive(Debug, Args)]
struct Lists {
    /// A server's answer to `tools/list`, as JSON; the server is called NAME, or as the file is
    #[arg(required = true, value_name = "[NAME=]FILE")]
    lists: Vec<List>,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        match self.what {
            What::Lint { lists } => lint::run(&lists::read(&lists.lists)?),
            What::Lock { accept, lists } => lock::run(&lists::read(&lists.lists)?, accept),
            What::Diff { lock, lists } => diff::run(&lock, &lists::read(&lists.lists)?),
        }
    }
}

//! `tollgate child-guard`: the guard of a program that is a tool server. The gate starts it; nobody else has a use for it.

use clap::Args;
use tollgate_gateway::mcp::link::stdio::shim::Guard;

/// What to guard, and for whom.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The gate's process
    #[arg(long)]
    parent: u32,
    /// The most processes at once
    #[arg(long)]
    processes: u32,
    /// The most memory that each may have
    #[arg(long)]
    memory_bytes: Option<u64>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    line: Vec<String>,
}

impl Arguments {
    /// The same, for whoever guards.
    pub(crate) fn guard(&self) -> Guard {
        let Self { parent, processes, memory_bytes, line } = self;
        Guard { parent: *parent, processes: *processes, memory_bytes: *memory_bytes, line: line.clone() }
    }
}

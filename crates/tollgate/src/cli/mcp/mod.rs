//! `tollgate mcp list|inspect|call|stdio`: the tools behind a gate, from a shell, and for clients that only start programs.

mod call;
pub(in crate::cli) mod client;
mod inspect;
mod list;
mod stdio;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::client::Peer;
use super::holder::How;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Only this server, or bundle; otherwise everything that the key may use
    #[arg(long, global = true, value_name = "NAME")]
    at: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List tools, prompts and resources
    List,
    /// Show a tool: what it does, what it takes, what it gives
    Inspect(inspect::Arguments),
    /// Call a tool
    Call(call::Arguments),
    /// Speak MCP over standard input and output, for clients that start programs
    Stdio,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let remote = self.how.remote()?;
        let peer = Peer::at(&remote, self.at.as_deref());
        match self.what {
            What::List => list::run(&peer, &self.how).await,
            What::Inspect(arguments) => arguments.run(&peer, &self.how).await,
            What::Call(arguments) => arguments.run(&peer, &self.how).await,
            What::Stdio => stdio::run(self.how.remote()?, self.at.as_deref()).await,
        }
    }
}

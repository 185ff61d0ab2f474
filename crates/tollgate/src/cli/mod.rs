//! The command line: one file a command.

mod addition;
mod alerts;
mod approval;
mod ask;
mod budget;
mod calls;
mod check;
mod child_guard;
mod convert;
mod credential;
mod demo;
mod frames;
mod health;
mod holder;
mod idp;
mod import;
mod instance;
mod journal;
mod key;
mod login;
mod mcp;
mod model;
mod replay;
mod serve;
mod spend;
mod story;
mod table;
mod tail;
mod team;
mod tools;
mod trace;
mod undo;
mod user;
mod web;
mod when;

use std::io::Write;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tollgate_gateway::mcp::link::stdio::shim::Guard;

/// One gate that every AI call passes.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (what happens without a command)
    Serve(serve::Arguments),
    /// Read a configuration file, say what it means or what is wrong with it, and start nothing
    Check(check::Arguments),
    /// Print what tollgate.yaml would say instead of a LiteLLM config.yaml
    Convert(convert::Arguments),
    /// Check how applications sign people in at the gate's own authorization server
    Idp(idp::Arguments),
    /// Sign in to a gate, for the commands that ask one
    Login(login::Arguments),
    /// Sign out of a gate
    Logout(login::Leaving),
    /// Serve a built-in simulator, send calls through it and show what became of them
    Demo(demo::Arguments),
    /// Make, list, change, rotate, block and delete keys
    Key(key::Arguments),
    /// Make, list, change, block and delete teams
    Team(team::Arguments),
    /// Make, list, change, block and delete users
    User(user::Arguments),
    /// Check whether web applications can be reached around the gate
    Web(web::Arguments),
    /// Add, list, show and delete models
    Model(model::Arguments),
    /// Add, list and delete the secrets that added models are called with
    Credential(credential::Arguments),
    /// Set, list and raise what a key, a team or a user may spend
    Budget(budget::Arguments),
    /// Show who spent what
    Spend(spend::Arguments),
    /// Show the gates that share budgets and limits, and release one that does not come back
    Instance(instance::Arguments),
    /// Send a test alert to each address that is configured
    Alerts(alerts::Arguments),
    /// Check the tools that MCP servers list, and what has changed of them
    Tools(tools::Arguments),
    /// Tool calls that wait for somebody to let them pass
    Approval(approval::Arguments),
    /// List, show and call tools through a gate, or speak MCP over standard input and output
    Mcp(mcp::Arguments),
    /// Show what a trace's tool calls changed and how that is taken back, and take it back
    Undo(undo::Arguments),
    /// List past calls
    Calls(calls::Arguments),
    /// Show what happened in a trace, call by call, and why
    Trace(trace::Arguments),
    /// Show calls as they happen
    Tail(tail::Arguments),
    /// Send a call again as your own, and show the difference
    Replay(replay::Arguments),
    /// Verify the journal, make its index anew, print its head
    Journal(journal::Arguments),
    /// Take over users, teams and keys from elsewhere
    Import(import::Arguments),
    /// Ask a gate on this machine whether it is ready; status 0 when it is
    Health(health::Arguments),
    /// Be one of the demo's tool servers; the demo starts it
    #[command(hide = true)]
    DemoServer(demo::server::Arguments),
    /// Guard a program that is a tool server; the gate starts it
    #[command(hide = true)]
    ChildGuard(child_guard::Arguments),
}

impl Cli {
    /// What is to be guarded, where that is what was asked for.
    pub(crate) fn guard(&self) -> Option<Guard> {
        match &self.command {
            Some(Command::ChildGuard(arguments)) => Some(arguments.guard()),
            _ => None,
        }
    }

    /// Does what was asked for.
    pub(crate) async fn run(self) -> Result<()> {
        match self.command {
            None => self.serve.run().await,
            Some(Command::Serve(arguments)) => arguments.run().await,
            Some(Command::Check(arguments)) => arguments.run(),
            Some(Command::Convert(arguments)) => arguments.run(),
            Some(Command::Demo(arguments)) => arguments.run().await,
            Some(Command::Idp(arguments)) => arguments.run().await,
            Some(Command::Login(arguments)) => arguments.run().await,
            Some(Command::Logout(arguments)) => arguments.run().await,
            Some(Command::Key(arguments)) => arguments.run().await,
            Some(Command::Team(arguments)) => arguments.run().await,
            Some(Command::User(arguments)) => arguments.run().await,
            Some(Command::Web(arguments)) => arguments.run().await,
            Some(Command::Model(arguments)) => arguments.run().await,
            Some(Command::Credential(arguments)) => arguments.run().await,
            Some(Command::Budget(arguments)) => arguments.run().await,
            Some(Command::Spend(arguments)) => arguments.run().await,
            Some(Command::Instance(arguments)) => arguments.run().await,
            Some(Command::Alerts(arguments)) => arguments.run().await,
            Some(Command::Tools(arguments)) => arguments.run().await,
            Some(Command::Approval(arguments)) => arguments.run().await,
            Some(Command::Mcp(arguments)) => arguments.run().await,
            Some(Command::Undo(arguments)) => arguments.run().await,
            Some(Command::Calls(arguments)) => arguments.run().await,
            Some(Command::Trace(arguments)) => arguments.run().await,
            Some(Command::Tail(arguments)) => arguments.run().await,
            Some(Command::Replay(arguments)) => arguments.run().await,
            Some(Command::Journal(arguments)) => arguments.run().await,
            Some(Command::Import(arguments)) => arguments.run().await,
            Some(Command::Health(arguments)) => arguments.run().await,
            Some(Command::DemoServer(arguments)) => arguments.run(),
            Some(Command::ChildGuard(_)) => Ok(()),
        }
    }
}

/// Prints a line for the person at the terminal.
pub(crate) fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    // What a client or a model wrote must not give orders to the terminal.
    let plain = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    writeln!(out, "{}", line.chars().map(plain).collect::<String>())?;
    out.flush()
}

/// Prints a reason of failure.
pub(crate) fn complain(line: &str) {
    // Nobody is left to be told when standard error is gone.
    let _ = writeln!(std::io::stderr(), "tollgate: {line}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn no_command_has_two_arguments_of_one_name() {
        Cli::command().debug_assert();
    }
}

//! `tollgate tools diff`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tollgate_core::config::contracts::{Handling, Policy};
use tollgate_mcp::contract::decide::decide;
use tollgate_mcp::contract::diff::between;
use tollgate_mcp::contract::{Contract, lock, readable};
use tollgate_mcp::tool::Tool;

use super::lint::named;
use super::lists::Server;
use crate::cli::say;

/// Prints what has changed since the lock in `file`. Servers that no list is given of are left alone.
pub(super) fn run(file: &Path, servers: &[Server]) -> Result<()> {
    let shown = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(shown)?;
    let contracts = lock::read(&text).with_context(shown)?;
    let mut pinned: BTreeMap<(&str, &str), &Contract> = contracts
        .iter()
        .map(|contract| ((contract.server.as_str(), contract.tool.as_str()), contract))
        .collect();
    let mut held = 0;
    for server in servers {
        for tool in &server.tools {
            let contract = pinned.remove(&(server.name.as_str(), tool.name()));
            held += usize::from(changed(&server.name, tool, contract)?);
        }
    }
    for ((server, tool), _) in pinned {
        if servers.iter().any(|listed| listed.name == server) {
            say(&format!("{}: not listed any more", named(server, tool)))?;
        }
    }
    ensure!(held == 0, "to be held until somebody approves it: {held} of the tools");
    Ok(())
}

/// Whether the tool would be held.
fn changed(server: &str, listed: &Tool, contract: Option<&Contract>) -> Result<bool> {
    let name = named(server, listed.name());
    let Some(contract) = contract else {
        say(&format!("{name}: new"))?;
        return Ok(true);
    };
    let differences = between(&contract.definition, listed);
    if differences.is_empty() {
        return Ok(false);
    }
    let decision = decide(&Policy::default(), server, &differences);
    let becomes = match decision.handling {
        Handling::Allow => "allowed",
        Handling::Alert => "allowed, and told of",
        Handling::Hold => "held",
    };
    say(&format!("{name}: {becomes}"))?;
    for line in readable::lines(&differences) {
        say(&format!("    {line}"))?;
    }
    Ok(decision.handling == Handling::Hold)
}

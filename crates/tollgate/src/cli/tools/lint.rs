//! `tollgate tools lint`.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use tollgate_mcp::effect::Local;
use tollgate_mcp::hidden;
use tollgate_mcp::lint::{Offered, lint};
use tollgate_mcp::scan::{Finding, Scanner, Severity, Surroundings, is_suspicious};
use tollgate_mcp::tool::Tool;

use super::lists::Server;
use crate::cli::say;

pub(super) fn run(servers: &[Server]) -> Result<()> {
    let suspicious = scanned(servers)?;
    let local = &Local::default();
    let offered = servers.iter().flat_map(|server| {
        server.tools.iter().map(move |tool| Offered { server: &server.name, tool, local })
    });
    let all: Vec<Offered<'_>> = offered.collect();
    let findings = lint(&all);
    for finding in &findings {
        let tools: Vec<String> = finding.tools.iter().map(|of| named(&of.server, &of.tool)).collect();
        let place = Some(&finding.place).filter(|place| !place.as_str().is_empty());
        let place = place.map_or_else(String::new, |place| format!(" at {place}"));
        say(&format!("{}: {}{place}", tools.join(" and "), finding.why))?;
        say(&format!("    {}", finding.advice))?;
    }
    say(&format!("tools: {}, suspicious: {suspicious}, to be mended: {}", all.len(), findings.len()))?;
    if suspicious > 0 {
        bail!("look at what is suspicious before a model reads it");
    }
    Ok(())
}

/// What is suspicious in each tool that has something, printed; how many these are.
pub(super) fn scanned(servers: &[Server]) -> Result<usize> {
    let scanner = Scanner::new().map_err(|why| anyhow!(why))?;
    let mut suspicious = 0;
    for server in servers {
        let surroundings = Surroundings {
            own: server.tools.iter().map(Tool::name).collect(),
            others: others(servers, server),
        };
        for tool in &server.tools {
            let findings = scanner.scan(tool, &surroundings);
            suspicious += usize::from(is_suspicious(&findings));
            for finding in &findings {
                say(&line(&named(&server.name, tool.name()), finding))?;
            }
        }
    }
    Ok(suspicious)
}

fn others<'a>(servers: &'a [Server], own: &Server) -> BTreeMap<&'a str, &'a str> {
    let others = servers.iter().filter(|server| server.name != own.name);
    others.flat_map(|server| server.tools.iter().map(|tool| (tool.name(), server.name.as_str()))).collect()
}

fn line(tool: &str, finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Danger => "danger",
    };
    let kind = serde_json::to_value(finding.kind).unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default().replace('_', " ");
    format!("{severity}: {tool}: {kind} at {}: {}", finding.place, finding.excerpt)
}

/// A tool in a message.
pub(super) fn named(server: &str, tool: &str) -> String {
    format!("{}/{}", hidden::excerpt(server, 64), hidden::excerpt(tool, 128))
}

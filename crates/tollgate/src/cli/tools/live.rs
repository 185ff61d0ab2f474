//! `tollgate tools list|diff|approve|reject|forget` of a running gate: what is offered, what waits, and what somebody decides.

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tollgate_core::effect::Effect;

use crate::cli::ask::remote;
use crate::cli::holder::How;
use crate::cli::holder::shown::text;
use crate::cli::table::Table;

/// Digits of a digest that are shown, and at least needed to say which one is meant.
const DIGITS: usize = 12;

/// A tool of a server.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The tool
    #[arg(value_name = "SERVER/TOOL")]
    tool: String,
}

/// What is decided of a definition.
#[derive(Debug, Args)]
pub(super) struct Decision {
    #[command(flatten)]
    one: One,
    /// The definition, as `tools diff` names it; its first digits do. Without it the definition is shown, and nothing decided
    #[arg(long, value_name = "DIGITS")]
    digest: Option<String>,
}

/// An approval.
#[derive(Debug, Args)]
pub(super) struct Approval {
    #[command(flatten)]
    decision: Decision,
    /// What the tool can change: read, write or destructive; otherwise as before
    #[arg(long, value_name = "EFFECT", value_parser = effect)]
    effect: Option<Effect>,
}

fn effect(text: &str) -> Result<Effect, String> {
    serde_json::from_value(json!(text)).map_err(|_| "it is read, write or destructive".to_owned())
}

/// Where the contract of a tool is.
fn path(tool: &str) -> Result<String> {
    let (server, name) =
        tool.split_once('/').ok_or_else(|| anyhow!("`{tool}` names no tool: write SERVER/TOOL"))?;
    Ok(format!("/api/v1/tools/contracts/{}/{}", remote::segment(server), remote::segment(name)))
}

fn named(contract: &Value) -> String {
    format!("{}/{}", text(&contract["server"]), text(&contract["tool"]))
}

/// Prints the contracts, those only that wait where that is asked for.
pub(super) async fn list(how: &How, pending: bool) -> Result<()> {
    let mut filter = Map::new();
    if pending {
        filter.insert("state".to_owned(), json!("pending"));
    }
    let all = how.remote()?.all("/api/v1/tools/contracts", filter).await?;
    how.tell(&all, || match all.as_array().map_or(&[][..], Vec::as_slice) {
        [] if pending => vec!["nothing waits for a decision".to_owned()],
        [] => vec!["no tools: the gate lists a server when somebody asks for its tools".to_owned()],
        items => table(items),
    })
}

fn table(contracts: &[Value]) -> Vec<String> {
    let mut table = Table::new(&["tool", "state", "effect", "definition"], 4);
    for contract in contracts {
        let waits = &contract["pending"];
        let digest = waits["digest"].as_str().or(contract["pinned"]["digest"].as_str()).unwrap_or_default();
        let short = digest.strip_prefix("sha256:").unwrap_or(digest);
        let effect = contract["pinned"]["effect"].as_str().unwrap_or("not said");
        table.row(vec![
            named(contract),
            text(&contract["state"]).to_owned(),
            effect.to_owned(),
            short.chars().take(DIGITS).collect(),
        ]);
    }
    table.lines()
}

/// Prints what a tool says now and waits, beside what was pinned.
pub(super) async fn diff(how: &How, tool: &str) -> Result<()> {
    let contract: Value = how.remote()?.get(&path(tool)?).await?;
    how.tell(&contract, || lines(&contract))
}

fn lines(contract: &Value) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", named(contract), text(&contract["state"]))];
    let short = |digest: &Value| {
        let digest = text(digest);
        digest.strip_prefix("sha256:").unwrap_or(digest).chars().take(DIGITS).collect::<String>()
    };
    let pinned = &contract["pinned"];
    if pinned.is_object() {
        let by = pinned["by"].as_str().map_or(String::new(), |by| format!(" by {by}"));
        let effect = pinned["effect"].as_str().unwrap_or("not said");
        lines.push(format!(
            "  pinned     {} {}{by}, {}",
            short(&pinned["digest"]),
            text(&pinned["how"]),
            text(&pinned["at"])
        ));
        lines.push(format!("  effect     {effect}"));
    }
    let pending = &contract["pending"];
    if pending.is_object() {
        let classes: Vec<&str> = pending["classes"].as_array().into_iter().flatten().map(text).collect();
        let classes =
            if classes.is_empty() { "seen for the first time".to_owned() } else { classes.join(", ") };
        lines.push(format!(
            "  waits      {} {classes}, since {}",
            short(&pending["digest"]),
            text(&pending["since"])
        ));
        for finding in pending["findings"].as_array().into_iter().flatten() {
            let at = text(&finding["place"]);
            lines.push(format!(
                "  suspicious {} at {at}: {}",
                text(&finding["kind"]),
                text(&finding["excerpt"])
            ));
        }
        let diff = pending["diff"].as_array().into_iter().flatten();
        lines.extend(diff.map(|line| format!("    {}", text(line))));
        if pending["diff"].as_array().is_none_or(Vec::is_empty) {
            let definition = tollgate_mcp::hidden::excerpt(&pending["definition"].to_string(), 4_000);
            lines.push(format!("    {definition}"));
        }
    }
    for digest in contract["rejected"].as_array().into_iter().flatten() {
        lines.push(format!("  rejected   {}", short(digest)));
    }
    lines
}

/// Approves a definition.
pub(super) async fn approve(how: &How, approval: Approval) -> Result<()> {
    let Approval { decision, effect } = approval;
    decide(how, decision, "approve", effect).await
}

/// Rejects a definition.
pub(super) async fn reject(how: &How, decision: Decision) -> Result<()> {
    decide(how, decision, "reject", None).await
}

async fn decide(how: &How, decision: Decision, what: &str, effect: Option<Effect>) -> Result<()> {
    let Decision { one: One { tool }, digest } = decision;
    let (remote, path) = (how.remote()?, path(&tool)?);
    let contract: Value = remote.get(&path).await?;
    let waits = contract["pending"]["digest"].as_str();
    let known = waits.or_else(|| contract["pinned"]["digest"].as_str().filter(|_| effect.is_some()));
    let Some(known) = known else { bail!("nothing of `{tool}` waits for a decision") };
    let Some(digits) = digest else {
        how.tell(&contract, || lines(&contract))?;
        let short: String = known.strip_prefix("sha256:").unwrap_or(known).chars().take(DIGITS).collect();
        bail!("nothing was decided: say which definition you have looked at, with --digest {short}");
    };
    let bare = known.strip_prefix("sha256:").unwrap_or(known);
    let digits = digits.strip_prefix("sha256:").unwrap_or(&digits);
    if digits.len() < DIGITS || !bare.starts_with(digits) {
        bail!("`{tool}` says something else by now: look again with `tollgate tools diff {tool}`");
    }
    let mut said = json!({ "digest": known });
    if let Some(effect) = effect {
        said["effect"] = json!(effect);
    }
    let decided = remote.change("POST", &format!("{path}/{what}"), None, &said).await?;
    how.tell(&decided, || vec![format!("{}: {}", named(&decided), text(&decided["state"]))])
}

/// Forgets what is known of a tool.
pub(super) async fn forget(how: &How, One { tool }: One) -> Result<()> {
    how.remote()?.answer("DELETE", &path(&tool)?, &[], "").await?;
    how.tell(&json!({ "tool": tool, "forgotten": true }), || {
        vec![format!("{tool} is forgotten: it is seen for the first time when its server lists it again")]
    })
}

/// Prints a tools.lock of everything that is pinned.
pub(super) async fn lock(how: &How) -> Result<()> {
    // Not one character of it may change: it stands in git.
    let text: Box<RawValue> = how.remote()?.get("/api/v1/tools/lock").await?;
    crate::cli::say(text.get().trim_end())?;
    Ok(())
}

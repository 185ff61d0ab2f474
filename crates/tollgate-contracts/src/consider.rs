//! What becomes of a definition that a server lists, from what is known of the tool. Pure: no clock, no store.

use jiff::Timestamp;
use serde_json::Value;
use tollgate_core::config::contracts::{Handling, Policy};
use tollgate_core::contract::{How, Pending, Pinned, ToolContract};
use tollgate_mcp::contract::canonical::Digest;
use tollgate_mcp::contract::decide::{Seen, decide};
use tollgate_mcp::contract::{diff, readable};
use tollgate_mcp::scan::{Finding, is_suspicious};
use tollgate_mcp::tool::Tool;

/// Lines of a difference that are kept for people to read.
const MOST_LINES: usize = 400;

/// A definition as a server lists it now.
pub(crate) struct Listing<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) digest: Digest,
    pub(crate) now: Timestamp,
}

/// What becomes of a definition.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It is offered as it is listed.
    Listed,
    /// The pinned one is offered.
    Pinned,
    /// It is hidden, for this reason.
    Hidden(String),
}

/// What becomes of a definition, and of what is known of the tool.
#[derive(Debug, PartialEq)]
pub(crate) struct Considered {
    pub(crate) verdict: Verdict,
    /// What is known from now on, where that is another, and what has happened.
    pub(crate) after: Option<(ToolContract, Happened)>,
}

/// What has happened to a tool's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// It was pinned at first sight.
    Pinned {
        /// Whether somebody is told.
        told: bool,
    },
    /// It is held.
    Held,
    /// A change was let through, and somebody is told of it or not.
    Changed {
        /// Whether somebody is told.
        told: bool,
    },
    /// It is what was pinned again.
    Restored,
}

impl Happened {
    /// The name of the change in records.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Pinned { .. } => "pin",
            Self::Held => "hold",
            Self::Changed { .. } => "let_through",
            Self::Restored => "restore",
        }
    }
}

const WAITS: &str = "its definition waits for somebody to approve it (tollgate tools list --pending)";
const REJECTED: &str = "its definition was rejected";

/// What becomes of `listing`, where `known` is what is known of the tool. `scan` looks at the definition, where that is needed.
pub(crate) fn consider(
    known: Option<&ToolContract>,
    blank: &ToolContract,
    listing: &Listing<'_>,
    policy: &Policy,
    scan: impl FnOnce() -> Vec<Finding>,
) -> Considered {
    let contract = known.unwrap_or(blank);
    let digest = listing.digest.to_string();
    if contract.pinned.as_ref().is_some_and(|pinned| pinned.digest == digest) {
        return as_pinned(contract);
    }
    if contract.rejected.contains(&digest) {
        return only(rejected(contract, listing, policy));
    }
    match &contract.pinned {
        None => unpinned(contract, listing, &digest, policy, scan),
        Some(pinned) => changed(contract, pinned, listing, &digest, policy, scan),
    }
}

fn only(verdict: Verdict) -> Considered {
    Considered { verdict, after: None }
}

/// A definition that was rejected is not served; what was pinned before is, where its text is kept for such differences.
fn rejected(contract: &ToolContract, listing: &Listing<'_>, policy: &Policy) -> Verdict {
    let old = contract.pinned.as_ref().and_then(|pinned| Tool::try_from(pinned.definition.clone()).ok());
    let seen = old.map(|old| decide(policy, &contract.server, &diff::between(&old, listing.tool)).seen);
    if seen == Some(Seen::Pinned) { Verdict::Pinned } else { Verdict::Hidden(REJECTED.to_owned()) }
}

/// What waited is over: the server says again what was pinned.
fn as_pinned(contract: &ToolContract) -> Considered {
    let after = contract.pending.is_some().then(|| {
        let after = ToolContract { pending: None, ..contract.clone() };
        (after, Happened::Restored)
    });
    Considered { verdict: Verdict::Listed, after }
}

fn unpinned(
    contract: &ToolContract,
    listing: &Listing<'_>,
    digest: &str,
    policy: &Policy,
    scan: impl FnOnce() -> Vec<Finding>,
) -> Considered {
    if contract.pending.as_ref().is_some_and(|pending| pending.digest == digest) {
        return only(Verdict::Hidden(WAITS.to_owned()));
    }
    let findings = scan();
    let suspicious = is_suspicious(&findings);
    // What has been held once is not let in by saying something else.
    let held_before = contract.pending.is_some() || !contract.rejected.is_empty();
    let handling = of(policy, &contract.server, suspicious);
    if handling == Handling::Hold || held_before {
        let pending = pending(listing, digest, (Vec::new(), Vec::new()), &findings);
        let after = ToolContract { pending: Some(pending), ..contract.clone() };
        let why =
            if suspicious { format!("something in it is suspicious: {WAITS}") } else { WAITS.to_owned() };
        return Considered { verdict: Verdict::Hidden(why), after: Some((after, Happened::Held)) };
    }
    let after = pinned(contract, listing, digest, How::FirstSight, None);
    let told = handling == Handling::Alert;
    Considered { verdict: Verdict::Listed, after: Some((after, Happened::Pinned { told })) }
}

/// What is done with a tool at first sight.
fn of(policy: &Policy, server: &str, suspicious: bool) -> Handling {
    let rules = policy.servers.get(server);
    let first =
        rules.and_then(|rules| rules.first_sight).or(policy.all.first_sight).unwrap_or(Handling::Allow);
    if !suspicious {
        return first;
    }
    let suspicious = rules.and_then(|rules| rules.suspicious).or(policy.all.suspicious);
    first.max(suspicious.unwrap_or(Handling::Hold))
}

fn changed(
    contract: &ToolContract,
    before: &Pinned,
    listing: &Listing<'_>,
    digest: &str,
    policy: &Policy,
    scan: impl FnOnce() -> Vec<Finding>,
) -> Considered {
    let Ok(old) = Tool::try_from(before.definition.clone()) else {
        return only(Verdict::Hidden(
            "what was pinned of it cannot be read: forget it (tools forget)".to_owned(),
        ));
    };
    let differences = diff::between(&old, listing.tool);
    let decision = decide(policy, &contract.server, &differences);
    let findings = scan();
    let held = decision.handling == Handling::Hold
        || (is_suspicious(&findings) && of(policy, &contract.server, true) == Handling::Hold);
    if !held {
        let after = pinned(contract, listing, digest, How::Allowed, before.effect);
        let told = decision.handling == Handling::Alert;
        return Considered { verdict: Verdict::Listed, after: Some((after, Happened::Changed { told })) };
    }
    let verdict = match decision.seen {
        Seen::Pinned => Verdict::Pinned,
        Seen::Listed | Seen::Nothing => Verdict::Hidden(WAITS.to_owned()),
    };
    if contract.pending.as_ref().is_some_and(|pending| pending.digest == digest) {
        return only(verdict);
    }
    let classes = differences.classes().iter().map(|class| class.name().to_owned()).collect();
    let mut lines = readable::lines(&differences);
    lines.truncate(MOST_LINES);
    let pending = pending(listing, digest, (classes, lines), &findings);
    let after = ToolContract { pending: Some(pending), ..contract.clone() };
    Considered { verdict, after: Some((after, Happened::Held)) }
}

fn pinned(
    contract: &ToolContract,
    listing: &Listing<'_>,
    digest: &str,
    how: How,
    effect: Option<tollgate_core::effect::Effect>,
) -> ToolContract {
    let pinned = Pinned {
        digest: digest.to_owned(),
        definition: Value::from(listing.tool.clone()),
        effect,
        how,
        by: None,
        at: listing.now,
    };
    ToolContract { pinned: Some(pinned), pending: None, ..contract.clone() }
}

fn pending(
    listing: &Listing<'_>,
    digest: &str,
    (classes, diff): (Vec<String>, Vec<String>),
    findings: &[Finding],
) -> Pending {
    Pending {
        digest: digest.to_owned(),
        definition: Value::from(listing.tool.clone()),
        classes,
        diff,
        findings: findings.iter().filter_map(|finding| serde_json::to_value(finding).ok()).collect(),
        since: listing.now,
    }
}

//! A token says what it is good for. A tool may want more: then the client is told all of it at once, and can get a token that
//! says so (RFC 6750 §3.1, MCP's step-up authorization). Keys have no scopes, and lists of tools instead.

use tollgate_core::access::{By, Caller};
use tollgate_core::fault::{Fault, FaultClass};

use super::Question;

pub(super) fn check(question: &Question<'_>) -> Result<(), Fault> {
    let ticket = question.ticket;
    let Some(By::Token(subject)) = ticket.caller().map(Caller::by) else { return Ok(()) };
    let Some(used) = ticket.tool().filter(|used| used.method == "tools/call") else { return Ok(()) };
    let (server, name) =
        (used.server.as_deref().unwrap_or_default(), used.name.as_deref().unwrap_or_default());
    let wanted: Vec<&str> = ticket.runtime.snapshot.identity.scopes_for(server, name).collect();
    let has = |scope: &&str| subject.scopes.iter().any(|known| **known == **scope);
    let missing: Vec<&str> = wanted.iter().copied().filter(|scope| !has(scope)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("the token lacks `{}`, which calling `{name}` of `{server}` wants", missing.join(" "));
    // Whoever gets a token for only what was missing would lose the rest.
    let kept = subject.scopes.iter().map(|scope| &**scope).filter(|scope| !wanted.contains(scope));
    let all: Vec<&str> = kept.chain(wanted.iter().copied()).collect();
    Err(Fault { scopes: Some(all.join(" ").into()), ..Fault::new(FaultClass::InsufficientScope, why) })
}

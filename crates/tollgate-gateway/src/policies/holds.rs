//! Calls of tools that somebody must approve before they are made.

use std::sync::Arc;
use std::time::Duration;

use tollgate_core::approval::{Answered, Asks, Wanted};
use tollgate_core::config::approvals::Approver;
use tollgate_core::digest::DigestKey;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::tool_facts::canonical_arguments;

use super::Question;
use crate::gate::Gate;
use crate::ticket::Ticket;

/// Why the call is held, where it is.
pub(super) fn check(question: &Question<'_>) -> Result<Option<String>, Fault> {
    let ticket = question.ticket;
    let used = ticket.tool().filter(|used| used.method == "tools/call" && used.approval.is_none());
    let Some((server, name, effect)) =
        used.and_then(|used| Some((used.server.as_deref()?, used.name.as_deref()?, used.effect)))
    else {
        return Ok(None);
    };
    match ticket.runtime.snapshot.holds.why(server, name, effect) {
        Some(why) => Ok(Some(why)),
        None => super::rules::held(question),
    }
}

/// What has become of a call that is held.
#[derive(Debug)]
pub(crate) enum Held {
    /// It may be made.
    Passed,
    /// Nobody has decided yet on this approval.
    Pending(Arc<str>),
}

/// What a client is told whose call waits for the approval `id`.
pub(crate) fn pending(id: &str) -> Fault {
    let message = format!(
        "the call waits for somebody's approval, as {id}: make it again with the same arguments when that is given \
         (`tollgate approval approve {id}`)"
    );
    Fault::new(FaultClass::ApprovalPending, message)
}

/// Waits for `wait` until somebody has approved the call, or denied it. `arguments` is for whoever decides.
pub(crate) async fn ask(
    gate: &Gate,
    ticket: &mut Ticket,
    why: &str,
    arguments: &str,
    wait: Duration,
) -> Result<Held, Fault> {
    let lasts = ticket.runtime.snapshot.holds.decide;
    let Some(asks) = asks(ticket, why.to_owned(), arguments, lasts) else {
        return Err(Fault::new(FaultClass::Internal, "nobody can tell what is to be approved"));
    };
    let begun = tokio::time::Instant::now();
    let answered = gate.parts.approvals.ask(asks, wait).await;
    ticket.waited(begun.elapsed());
    let fault = |class, message: String| Err(Fault::new(class, message));
    match answered {
        Answered::Approved(id) => {
            ticket.approved(&id);
            Ok(Held::Passed)
        }
        Answered::Pending(id) => Ok(Held::Pending(id)),
        Answered::Denied { id, by: None, .. } => {
            fault(FaultClass::NotApproved, format!("nobody has approved the call in time ({id})"))
        }
        Answered::Denied { id, by: Some(by), reason } => {
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            fault(FaultClass::NotApproved, format!("{by} has denied the call ({id}){reason}"))
        }
        Answered::Away(why) => {
            fault(FaultClass::Unavailable, format!("nobody can be asked to approve the call: {why}"))
        }
    }
}

fn asks(ticket: &Ticket, why: String, arguments: &str, lasts: Duration) -> Option<Asks> {
    let used = ticket.tool()?;
    let sub = &ticket.principal().sub;
    // Under the key that instances share: what is approved at one may be called at another.
    let shared = ticket.runtime.snapshot.secrets.key.as_ref();
    let shared = shared.map(|secret| DigestKey::derive(secret.expose().as_bytes()));
    let key = shared.as_ref().unwrap_or_else(|| ticket.gate().parts.journal.digest_key());
    let digest = key.digest(format!("approval\n{}", canonical_arguments(arguments)).as_bytes());
    Some(Asks {
        wanted: Wanted {
            whose: format!("{}/{}", sub.kind.name(), sub.id),
            server: used.server.as_deref()?.to_owned(),
            tool: used.name.clone()?,
            contract: used.contract.clone()?,
            arguments_digest: digest.to_string(),
        },
        effect: used.effect,
        why,
        call_id: ticket.call_id.to_string(),
        trace_id: ticket.trace_id().to_string(),
        own: ticket.runtime.snapshot.holds.approver == Approver::Caller,
        arguments: arguments.to_owned(),
        lasts,
    })
}

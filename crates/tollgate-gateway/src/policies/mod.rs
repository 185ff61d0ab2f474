//! Phase 3: may this principal call this target? One file each, one line each in [`ALL`].

mod allowed_models;
mod allowed_scopes;
mod allowed_tools;
mod draining;
pub(crate) mod holds;
mod no_loop;
pub(crate) mod rules;

pub(crate) use no_loop::{VIA, has_passed, via};

use serde_json::Value;
use tollgate_core::fault::{Fault, FaultClass};

use crate::gate::Gate;
use crate::ticket::Ticket;

/// What a policy decides on.
pub(crate) struct Question<'a> {
    /// The gate that was asked.
    pub(crate) gate: &'a Gate,
    /// The request's head.
    pub(crate) head: &'a http::request::Parts,
    /// What is known of the call.
    pub(crate) ticket: &'a Ticket,
    /// The arguments of a tool call, where a rule wants to know them.
    pub(crate) arguments: Option<&'a Value>,
}

type Policy = fn(&Question<'_>) -> Result<(), Fault>;

/// Every policy, in the order asked; the first refusal counts.
const ALL: &[Policy] = &[
    draining::check,
    no_loop::check,
    allowed_models::check,
    allowed_tools::check,
    allowed_scopes::check,
    rules::check,
];

/// Asks every policy. What none refuses may still want somebody's approval: then the answer is why. `arguments` are those of
/// a tool call, JSON.
pub(crate) fn authorize(
    gate: &Gate,
    head: &http::request::Parts,
    ticket: &Ticket,
    arguments: impl FnOnce() -> String,
) -> Result<Option<String>, Fault> {
    let wanted = rules::want_arguments(&ticket.runtime.snapshot.policies);
    let read = || serde_json::from_str(&arguments()).map_err(|_| no_json());
    let arguments: Option<Value> = (wanted && ticket.tool().is_some()).then(read).transpose()?;
    let question = Question { gate, head, ticket, arguments: arguments.as_ref() };
    ALL.iter().try_for_each(|policy| policy(&question))?;
    holds::check(&question)
}

fn no_json() -> Fault {
    Fault::new(FaultClass::Invalid, "the arguments are no JSON").param("arguments")
}

//! Phase 3: may this principal call this target? One file each, one line each in [`ALL`].

mod allowed_models;
mod allowed_tools;
mod draining;
pub(crate) mod holds;
mod no_loop;

pub(crate) use no_loop::{VIA, via};

use tollgate_core::fault::Fault;

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
}

type Policy = fn(&Question<'_>) -> Result<(), Fault>;

/// Every policy, in the order asked; the first refusal counts.
const ALL: &[Policy] = &[draining::check, no_loop::check, allowed_models::check, allowed_tools::check];

/// Asks every policy. What none refuses may still want somebody's approval: then the answer is why.
pub(crate) fn authorize(
    gate: &Gate,
    head: &http::request::Parts,
    ticket: &Ticket,
) -> Result<Option<String>, Fault> {
    let question = Question { gate, head, ticket };
    ALL.iter().try_for_each(|policy| policy(&question))?;
    Ok(holds::check(&question))
}

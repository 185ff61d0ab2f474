//! A key, its user and its team each say which tools may be called; all of them must allow it. What a server has beside its
//! tools is for whoever may call all of them.

use tollgate_core::fault::{Fault, FaultClass};

use super::Question;
use crate::mcp::allowed::{who_forbids, who_forbids_the_rest};

pub(super) fn check(question: &Question<'_>) -> Result<(), Fault> {
    let ticket = question.ticket;
    let Some(used) = ticket.tool() else { return Ok(()) };
    let Some(server) = &used.server else { return Ok(()) };
    let name = used.name.as_deref().unwrap_or_default();
    let (what, holder) = if used.method == "tools/call" {
        (format!("call the tool `{name}` of `{server}`"), who_forbids(ticket.caller(), server, name))
    } else {
        (format!("use `{}` of `{server}`", used.method), who_forbids_the_rest(ticket.caller(), server))
    };
    match holder {
        Some(holder) => Err(Fault::new(
            FaultClass::Forbidden,
            format!("the {holder} may not {what}; tools/list says what may be called"),
        )),
        None => Ok(()),
    }
}

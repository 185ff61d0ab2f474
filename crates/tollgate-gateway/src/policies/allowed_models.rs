//! A key, its user and its team each say which models may be called; all of them must allow it.

use tollgate_core::fault::{Fault, FaultClass};

use super::Question;

pub(super) fn check(question: &Question<'_>) -> Result<(), Fault> {
    let ticket = question.ticket;
    let (Some(caller), Some(model)) = (ticket.caller(), ticket.model()) else { return Ok(()) };
    let Some(holder) = caller.who_forbids(model) else { return Ok(()) };
    let shown: String = model.chars().take(100).collect();
    let message =
        format!("the {holder} may not call the model `{shown}`; GET /v1/models lists what may be called");
    Err(Fault::new(FaultClass::Forbidden, message).param("model"))
}

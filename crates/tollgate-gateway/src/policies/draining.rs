//! A gate that is stopping takes no new calls.

use tollgate_core::fault::{Fault, FaultClass};

use super::Question;

pub(super) fn check(question: &Question<'_>) -> Result<(), Fault> {
    if question.gate.is_draining() {
        return Err(Fault::new(FaultClass::Draining, "the gate is stopping; try again in a moment"));
    }
    Ok(())
}

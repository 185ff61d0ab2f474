//! Phase 4: checks of what a request says, which may deny it. One file each, one line each in [`INPUT`].

mod nesting;

use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::fault::Fault;

type InputGuardrail = fn(&str, &Snapshot) -> Result<(), Fault>;

/// Every check of a request, in order; the first refusal counts.
const INPUT: &[InputGuardrail] = &[nesting::check];

/// Asks every check about the request `body`.
pub(crate) fn check_input(body: &str, snapshot: &Snapshot) -> Result<(), Fault> {
    INPUT.iter().try_for_each(|guardrail| guardrail(body, snapshot))
}

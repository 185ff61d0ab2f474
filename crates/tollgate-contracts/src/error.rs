//! Why something was not decided.

use tollgate_core::changes::NotMade;
use tollgate_core::contract::ContractRef;

/// Why something was not decided.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// Nobody has seen such a tool.
    #[error("there is no contract of the {0}")]
    Missing(ContractRef),
    /// Nothing waits for a decision.
    #[error("nothing of the {0} waits for a decision")]
    Decided(ContractRef),
    /// What waits is another definition by now.
    #[error("the {0} says something else by now than what you have looked at: look again (tools diff)")]
    Another(ContractRef),
    /// It was changed meanwhile.
    #[error("the contract of the {0} was changed meanwhile: read it again")]
    Stale(ContractRef),
    /// The configuration says where contracts come from.
    #[error("contracts come from the lock file (`tools.contracts.lock`): change that, and reload")]
    Locked,
    /// The registry, or the journal, is away.
    #[error("{0}")]
    Away(String),
}

impl ContractError {
    /// The same for a change to the contract `name`.
    pub(crate) fn not_made(name: &ContractRef, error: NotMade) -> Self {
        match error {
            NotMade::Exists | NotMade::Stale => Self::Stale(name.clone()),
            NotMade::Away(why) => Self::Away(why),
        }
    }
}

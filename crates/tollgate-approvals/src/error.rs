//! Why something was not decided.

use tollgate_core::approval::{ApprovalRef, ApprovalState};
use tollgate_core::changes::NotMade;

/// Why something was not decided.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// Nobody has asked for it.
    #[error("there is no approval of the {0}")]
    Missing(ApprovalRef),
    /// It was decided before.
    #[error("the {0} was decided before: it is {1:?}")]
    Decided(ApprovalRef, ApprovalState),
    /// Nobody decided in time.
    #[error("the {0} is over: nobody decided in time")]
    Over(ApprovalRef),
    /// Whoever asks does not decide.
    #[error(
        "whoever makes a call does not approve it: another key decides (or set `tools.approvals.approver: caller`)"
    )]
    OwnCall,
    /// It was changed meanwhile.
    #[error("the approval of the {0} was changed meanwhile: read it again")]
    Stale(ApprovalRef),
    /// The registry, or the journal, is away.
    #[error("{0}")]
    Away(String),
}

impl ApprovalError {
    pub(crate) fn not_made(name: &ApprovalRef, error: NotMade) -> Self {
        match error {
            NotMade::Exists | NotMade::Stale => Self::Stale(name.clone()),
            NotMade::Away(why) => Self::Away(why),
        }
    }
}

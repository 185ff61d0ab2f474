//! Why a change to what was added was not made.

use std::sync::Arc;

use tollgate_core::access::SpecError;
use tollgate_core::addition::AdditionRef;
use tollgate_core::changes::NotMade;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum AdditionError {
    /// What was said cannot be.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is no such addition.
    #[error("there is no {0}")]
    Missing(AdditionRef),
    /// There is one of that name already.
    #[error("there is a {0} already")]
    Exists(AdditionRef),
    /// The configuration file says what it is.
    #[error("the {0} stands in the configuration file, and is changed there")]
    InFile(AdditionRef),
    /// It is not what the caller thinks that it is.
    #[error("the {0} was changed meanwhile: read it again")]
    Stale(AdditionRef),
    /// Models depend on it.
    #[error("the {0} is used by the model `{1}`: change or remove that first")]
    InUse(AdditionRef, Arc<str>),
    /// There are as many as there may be.
    #[error("there are {0} of them, which is the most that there may be")]
    TooMany(usize),
    /// Nothing can be encrypted.
    #[error(
        "this gate has no key to encrypt secrets with: set `secrets_key` in the configuration, or TOLLGATE_SECRETS_KEY, \
         to the same 32 or more characters at every instance (openssl rand -hex 32)"
    )]
    NoKey,
    /// The registry, or the journal, is away.
    #[error("{0}")]
    Away(String),
}

impl AdditionError {
    /// The same for a change of the document `name`.
    pub(crate) fn not_made(name: &AdditionRef, error: NotMade) -> Self {
        match error {
            NotMade::Exists => Self::Exists(name.clone()),
            NotMade::Stale => Self::Stale(name.clone()),
            NotMade::Away(why) => Self::Away(why),
        }
    }
}

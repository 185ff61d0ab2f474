//! Tool servers that act for people: in whose name they are asked, and with which tokens.

use std::pin::Pin;
use std::sync::Arc;

use crate::config::snapshot::Snapshot;
use crate::config::tools::ToolServer;
use crate::secret::Secret;

/// In whose name a tool server is asked (RFC 8693 §1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acting {
    /// The person.
    pub user: Arc<str>,
    /// The login that they have signed in with, which is never given to somebody else; `None` where a key of theirs acts.
    pub login: Option<Arc<str>>,
    /// Who acts for them, nearest to the person first, as `KIND/NAME`; empty where they act themselves.
    pub by: Vec<String>,
}

impl Acting {
    /// The same, of the person alone: what a server has for them does not depend on who asks.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self { by: Vec::new(), ..self.clone() }
    }

    /// One text for each.
    pub fn name(&self) -> String {
        [&*self.user].into_iter().chain(self.by.iter().map(String::as_str)).collect::<Vec<_>>().join(" < ")
    }
}

/// A token for a tool server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The token.
    pub token: Secret,
    /// Of which account: another one goes on with no session of this one.
    pub account: Arc<str>,
}

/// Why there is no token for a tool server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAccount {
    /// Somebody has to do something first: what, and where.
    Missing {
        /// What is wrong, in words that follow the server's name.
        why: String,
        /// Where it is mended.
        at: Option<String>,
    },
    /// Nobody can tell now.
    Away(String),
}

/// A token on its way.
pub type Granting<'a> = Pin<Box<dyn Future<Output = Result<Granted, NoAccount>> + Send + 'a>>;

/// Tokens for tool servers that act for people.
pub trait Accounts: Send + Sync {
    /// A token for `server`, to be asked in the name of `acting`; another one than `refused`, where that was refused.
    fn token<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        server: &'a ToolServer,
        acting: Option<&'a Acting>,
        refused: Option<&'a Secret>,
    ) -> Granting<'a>;
}

/// A gate at which nobody has an account elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct NoAccounts;

impl Accounts for NoAccounts {
    fn token<'a>(
        &'a self,
        _: &'a Snapshot,
        _: &'a ToolServer,
        _: Option<&'a Acting>,
        _: Option<&'a Secret>,
    ) -> Granting<'a> {
        let why = "it wants somebody's account, and nobody has one at this gate".to_owned();
        Box::pin(std::future::ready(Err(NoAccount::Missing { why, at: None })))
    }
}

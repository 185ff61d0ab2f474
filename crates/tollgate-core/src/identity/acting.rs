//! Tool servers that act for people: in whose name they are asked, and with which tokens.

use std::pin::Pin;
use std::sync::Arc;

use crate::config::snapshot::Snapshot;
use crate::config::tools::ToolServer;
use crate::principal::{Actor, ActorKind, Principal};
use crate::secret::Secret;

/// In whose name a tool server is asked (RFC 8693 §1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acting {
    /// The person.
    pub user: Arc<str>,
    /// Who acts for them, nearest to the person first, as `KIND/NAME`; empty where they act themselves.
    pub by: Vec<String>,
}

impl Acting {
    /// The person behind `principal`, where there is one, and who acts for them.
    pub fn of(principal: &Principal) -> Option<Self> {
        let named = |actor: &Actor| format!("{}/{}", actor.kind.name(), actor.id);
        let by = principal.act.iter().map(named);
        match (principal.sub.kind, &principal.user) {
            (ActorKind::User, _) => Some(Self { user: Arc::clone(&principal.sub.id), by: by.collect() }),
            (_, Some(user)) => Some(Self {
                user: Arc::clone(user),
                by: std::iter::once(named(&principal.sub)).chain(by).collect(),
            }),
            (_, None) => None,
        }
    }

    /// The same, of the person alone: what a server has for them does not depend on who asks.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self { user: Arc::clone(&self.user), by: Vec::new() }
    }

    /// One text for each.
    pub fn name(&self) -> String {
        [&*self.user].into_iter().chain(self.by.iter().map(String::as_str)).collect::<Vec<_>>().join(" < ")
    }
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
pub type Granting<'a> = Pin<Box<dyn Future<Output = Result<Secret, NoAccount>> + Send + 'a>>;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_behind_a_key_of_theirs_and_an_agent_of_theirs() {
        let ann = Principal::direct(ActorKind::User, "ann");
        assert_eq!(Acting::of(&ann).unwrap().name(), "ann");
        let agent = Actor { kind: ActorKind::Agent, id: Arc::from("corp/planner") };
        let through = Principal { act: vec![agent.clone()], ..ann };
        assert_eq!(Acting::of(&through).unwrap().name(), "ann < agent/corp/planner");
        let key = Principal::direct(ActorKind::Key, "laptop");
        assert_eq!(Acting::of(&key), None);
        let of_ann = Principal { user: Some(Arc::from("ann")), ..key };
        let acting = Acting::of(&of_ann).unwrap();
        assert_eq!(acting.name(), "ann < key/laptop");
        assert_eq!(acting.alone().name(), "ann");
        assert_eq!(Acting::of(&Principal::direct(ActorKind::Master, "master")), None);
    }
}

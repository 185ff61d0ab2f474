//! On whose behalf a call is made.

use std::sync::Arc;

use serde::Serialize;

/// What kind of party an [`Actor`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// Somebody on this machine, while no master key is configured.
    Local,
    /// The holder of the master key.
    Master,
    /// A key that the gate has given out.
    Key,
    /// A person, as an issuer of tokens names them.
    User,
    /// A program that an issuer of tokens has named, for itself or for somebody else.
    Agent,
    /// The gate itself.
    Gate,
}

impl ActorKind {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Master => "master",
            Self::Key => "key",
            Self::User => "user",
            Self::Agent => "agent",
            Self::Gate => "gate",
        }
    }
}

/// One party in a principal's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// What kind of party this is.
    pub kind: ActorKind,
    /// Its name, unique among its kind.
    pub id: Arc<str>,
}

/// A chain of parties: the subject first, then each that acts for the one before (RFC 8693 §4.1, `act`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// On whose behalf.
    pub sub: Actor,
    /// Who acts, nearest to the subject first; empty when the subject acts itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub act: Vec<Actor>,
    /// The user that the subject's key belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
    /// The team that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<Arc<str>>,
}

impl Principal {
    /// The gate itself: what it does by itself.
    pub fn gate() -> Self {
        Self::direct(ActorKind::Gate, ActorKind::Gate.name())
    }

    /// A principal that acts for itself.
    pub fn direct(kind: ActorKind, id: impl Into<Arc<str>>) -> Self {
        Self { sub: Actor { kind, id: id.into() }, act: Vec::new(), user: None, team: None }
    }
}

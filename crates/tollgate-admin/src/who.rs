//! Who asks, and what they may see and change.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tollgate_core::access::{Caller, Holder, HolderKind, HolderRef, Key, Role};
use tollgate_core::principal::{ActorKind, Principal};

use crate::error::ApiError;

/// Who asks. The gate has identified them before.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) principal: Principal,
    caller: Option<Caller>,
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let principal = parts.extensions.get::<Principal>().cloned();
        // Closed by default: whoever was not identified is nobody.
        let principal = principal.ok_or_else(|| ApiError::forbidden("nobody was identified"))?;
        Ok(Self { principal, caller: parts.extensions.get::<Caller>().cloned() })
    }
}

/// What a route asks of whoever uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the answer is the same for anybody, and holds nothing of this gate.
    Nothing,
    /// To see everything.
    ToAudit,
    /// To see something: the answer holds only what they may see.
    ToSeeOwn,
    /// To manage keys, of one's own team at least: which ones, its handler decides.
    ToManageKeys,
    /// To manage everything.
    ToManage,
}

impl Needs {
    /// Whether `role` is enough.
    pub const fn is_met_by(self, role: Role) -> bool {
        match self {
            Self::Nothing | Self::ToSeeOwn => true,
            Self::ToAudit => matches!(role, Role::Admin | Role::Auditor),
            Self::ToManageKeys => matches!(role, Role::Admin | Role::TeamAdmin),
            Self::ToManage => matches!(role, Role::Admin),
        }
    }
}

impl Who {
    /// Whoever runs the gate may do everything.
    pub(crate) fn role(&self) -> Role {
        self.caller.as_ref().map_or(Role::Admin, Caller::role)
    }

    /// The team whose keys they manage, where it is not all of them.
    pub(crate) fn own_team(&self) -> Option<&Arc<str>> {
        self.principal.team.as_ref().filter(|_| self.role() == Role::TeamAdmin)
    }

    /// What is kept here of themselves: of a key the key, of a person the user, of a program with a token nothing. A user may
    /// have the name of somebody else's key.
    pub(crate) fn own(&self) -> Option<HolderRef> {
        let kind = match self.principal.sub.kind {
            ActorKind::Key => HolderKind::Key,
            ActorKind::User => HolderKind::User,
            ActorKind::Local | ActorKind::Master | ActorKind::Agent | ActorKind::Gate => return None,
        };
        Some(HolderRef { kind, id: Arc::clone(&self.principal.sub.id) })
    }

    /// Whose spend they may see; `None` where that is everybody's.
    pub(crate) fn sees_spend_of(&self) -> Result<Option<HolderRef>, ApiError> {
        let own = || {
            self.own().ok_or_else(|| ApiError::forbidden("of a program with a token no spend is kept apart"))
        };
        match self.role() {
            Role::Admin | Role::Auditor => Ok(None),
            Role::TeamAdmin => match self.own_team() {
                Some(team) => Ok(Some(HolderRef { kind: HolderKind::Team, id: Arc::clone(team) })),
                None => own().map(Some),
            },
            Role::Member => own().map(Some),
        }
    }

    /// Whether they may see `holder`.
    pub(crate) fn sees(&self, holder: &Holder) -> bool {
        let name = holder.name();
        let itself = Some(&name) == self.own().as_ref();
        match self.role() {
            Role::Admin | Role::Auditor => true,
            Role::Member => itself,
            Role::TeamAdmin => {
                let of_team = holder.as_key().and_then(|key| key.spec.team.as_ref());
                let own = self.own_team();
                own.is_some() && (of_team == own || (name.kind == HolderKind::Team && Some(&name.id) == own))
            }
        }
    }

    /// Whether they may change `holder`. A team's admin changes the keys of its members: not its own, and none that may
    /// do more.
    pub(crate) fn changes(&self, holder: &Holder) -> bool {
        match self.role() {
            Role::Admin => true,
            Role::Auditor | Role::Member => false,
            Role::TeamAdmin => {
                let plain = |key: &Key| key.spec.role == Role::Member && !key.spec.acts;
                self.sees(holder) && holder.as_key().is_some_and(plain)
            }
        }
    }
}

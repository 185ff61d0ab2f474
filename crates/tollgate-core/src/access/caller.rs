//! Whoever presented a key that the gate has given out, or a token of an issuer that it knows.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Account, HolderRef, Key, Network, Role, ToolPattern};
use crate::fault::{Fault, FaultClass};
use crate::identity::{Acting, Subject};
use crate::ledger::{About, Meter};
use crate::principal::{Actor, ActorKind, Principal};

/// Whoever may call: by a key or by a token, and the user and the team that this belongs to.
#[derive(Clone, Debug)]
pub struct Caller {
    by: By,
    user: Option<Arc<Account>>,
    team: Option<Arc<Account>>,
}

/// What somebody has presented.
#[derive(Clone, Debug)]
pub enum By {
    /// A key that the gate has given out.
    Key {
        /// Its name.
        id: Arc<str>,
        /// What its holder may do besides calling.
        role: Role,
        /// Its account.
        account: Arc<Account>,
    },
    /// A token, by which somebody is this.
    Token(Arc<Subject>),
}

impl Caller {
    /// The holder of `key`, which the account `account` is of.
    pub fn new(
        key: &Key,
        account: Arc<Account>,
        user: Option<Arc<Account>>,
        team: Option<Arc<Account>>,
    ) -> Self {
        let by = By::Key { id: Arc::clone(&key.id), role: key.spec.role, account };
        Self { by, user, team }
    }

    /// Whoever is `subject`, of whom these accounts are kept.
    pub fn of(subject: Arc<Subject>, user: Option<Arc<Account>>, team: Option<Arc<Account>>) -> Self {
        Self { by: By::Token(subject), user, team }
    }

    /// The same, who has presented a token besides by which they are `person`: a key that belongs to a user is of use to that
    /// user alone, and one that belongs to nobody is that person's as long as they use it.
    pub fn together_with(self, person: &Self) -> Result<Self, NotLetIn> {
        let id = |account: &Option<Arc<Account>>| account.as_ref().map(|account| account.holder.name().id);
        if self.user.is_some() && id(&self.user) != id(&person.user) {
            return Err(NotLetIn::SomebodyElse);
        }
        Ok(Self { by: self.by, user: self.user.or_else(|| person.user.clone()), team: self.team })
    }

    /// What they have presented.
    pub const fn by(&self) -> &By {
        &self.by
    }

    /// What they may do besides calling.
    pub fn role(&self) -> Role {
        match &self.by {
            By::Key { role, .. } => *role,
            By::Token(subject) => subject.role,
        }
    }

    /// The person in whose name tool servers are asked, where whoever has presented this may do that.
    pub fn acting(&self) -> Option<Acting> {
        let named = |actor: &Actor| format!("{}/{}", actor.kind.name(), actor.id);
        match &self.by {
            By::Key { id, account, .. } => {
                let acts = account.holder.as_key().is_some_and(|key| key.spec.acts);
                let user = self.user.as_ref().filter(|_| acts)?.holder.name().id;
                Some(Acting { user, login: None, by: vec![format!("{}/{id}", ActorKind::Key.name())] })
            }
            By::Token(subject) => Some(Acting {
                user: subject.user.clone()?,
                login: Some(subject.login.clone()?),
                by: subject.principal.act.iter().map(named).collect(),
            }),
        }
    }

    fn key(&self) -> Option<&Arc<Account>> {
        match &self.by {
            By::Key { account, .. } => Some(account),
            By::Token(_) => None,
        }
    }

    /// Where the key may be used from; `None` where that is anywhere.
    pub fn networks(&self) -> Option<&[Network]> {
        self.key()?.holder.as_key()?.spec.addresses.as_deref()
    }

    /// Everybody whose rules hold, the key first.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        [self.key(), self.user.as_ref(), self.team.as_ref()].into_iter().flatten()
    }

    /// Every budget and limit that counts calls which are `about` this.
    pub fn meters<'a>(&'a self, about: About<'a>) -> impl Iterator<Item = &'a Arc<Meter>> {
        self.accounts().flat_map(|account| &account.meters).filter(move |meter| meter.counts(about))
    }

    /// Whoever does not allow calls to `model`, if anybody.
    pub fn who_forbids(&self, model: &str) -> Option<HolderRef> {
        self.accounts().find(|account| !account.may_call(model)).map(|account| account.holder.name())
    }

    /// Whoever does not allow what a pattern for tools must `fit`, if anybody.
    pub fn who_forbids_tool(&self, fits: impl Fn(&ToolPattern) -> bool) -> Option<HolderRef> {
        self.accounts().find(|account| !account.may_use(&fits)).map(|account| account.holder.name())
    }

    /// The same in records.
    pub fn principal(&self) -> Principal {
        let id = |account: &Option<Arc<Account>>| account.as_ref().map(|account| account.holder.name().id);
        match &self.by {
            By::Key { id: key, .. } => Principal {
                user: id(&self.user),
                team: id(&self.team),
                ..Principal::direct(ActorKind::Key, Arc::clone(key))
            },
            By::Token(subject) => Principal {
                user: subject.user.clone(),
                team: subject.team.clone(),
                ..subject.principal.clone()
            },
        }
    }
}

/// Why the holder of a key or a token is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotLetIn {
    /// There is no such key.
    Unknown,
    /// It cannot be known whether there is, because keys could not be read yet.
    Unready,
    /// It, or whom it belongs to, is blocked.
    Blocked(HolderRef),
    /// It has ended.
    Expired(Timestamp),
    /// It belongs to somebody else than the token that came with it.
    SomebodyElse,
    /// It is used from an address that it is not good for.
    Address,
    /// Whom it belongs to is gone.
    Orphan(HolderRef),
    /// It is a token, and is not good: why, in words that follow "the token".
    Token(String),
    /// It is a token, and nobody can tell whether it is good.
    Untold(String),
}

impl NotLetIn {
    /// The same for the client.
    pub fn fault(&self) -> Fault {
        let (class, message) = match self {
            Self::Unknown => (FaultClass::Unauthenticated, "the key is not known to this gate".to_owned()),
            Self::Unready => (
                FaultClass::Unavailable,
                "the keys could not be read yet, so nobody can tell whether this is one; try again in a moment".to_owned(),
            ),
            Self::Blocked(holder) => (FaultClass::Forbidden, format!("the {holder} is blocked; an administrator can unblock it")),
            Self::Expired(at) => (FaultClass::Unauthenticated, format!("the key ended at {at}; ask for a new one")),
            Self::Token(why) => {
                let fault = Fault::new(FaultClass::Unauthenticated, format!("the token {why}"));
                return fault.param("authorization");
            }
            Self::Untold(why) => {
                (FaultClass::Unavailable, format!("nobody can tell now whether the token is good: {why}"))
            }
            Self::SomebodyElse => (
                FaultClass::Forbidden,
                "the key belongs to another user than the one that the token names".to_owned(),
            ),
            Self::Address => (FaultClass::Forbidden, "the key may not be used from this address".to_owned()),
            Self::Orphan(holder) => (FaultClass::Forbidden, format!("the {holder} that the key belongs to does not exist any more")),
        };
        Fault::new(class, message)
    }
}

//! Whoever holds access: a key, a user, a team.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Key, ModelPattern, TeamSpec, ToolPattern, UserSpec};
use crate::document::{Document, DocumentRef, Kind};
use crate::ledger::{Budget, Limit, Meter, RuleError};

/// What kind of holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderKind {
    /// A key.
    Key,
    /// A user.
    User,
    /// A team.
    Team,
}

impl HolderKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Key, Self::User, Self::Team];

    /// The name in records and stores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Team => "team",
        }
    }
}

impl Kind for HolderKind {
    const KINDS: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.name()
    }
}

/// Which holder.
pub type HolderRef = DocumentRef<HolderKind>;

/// A user as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct User {
    /// Its name, unique among users.
    pub id: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What was said of it.
    #[serde(flatten)]
    pub spec: UserSpec,
}

/// A team as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Team {
    /// Its name, unique among teams.
    pub id: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What was said of it.
    #[serde(flatten)]
    pub spec: TeamSpec,
}

/// A holder of any kind, as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Holder {
    /// A key.
    Key(Key),
    /// A user.
    User(User),
    /// A team.
    Team(Team),
}

macro_rules! of_any {
    ($self:ident, $holder:ident => $value:expr) => {
        match $self {
            Self::Key($holder) => $value,
            Self::User($holder) => $value,
            Self::Team($holder) => $value,
        }
    };
}

impl Document for Holder {
    type Kind = HolderKind;
    const SORT: &'static str = "holder";

    fn document(&self) -> HolderRef {
        self.name()
    }

    /// Nothing opens two keys.
    fn unique(&self) -> Option<String> {
        self.as_key().map(|key| key.hash.to_string())
    }

    /// Not even a hash is seen, which for a key that somebody chose can be guessed.
    fn visible(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.remove("hash");
            if let Some(rotation) = members.get_mut("rotation").and_then(Value::as_object_mut) {
                rotation.remove("hash");
            }
        }
        value
    }
}

impl Holder {
    /// Which one it is.
    pub fn name(&self) -> HolderRef {
        HolderRef { kind: self.kind(), id: Arc::clone(of_any!(self, holder => &holder.id)) }
    }

    /// What kind it is of.
    pub const fn kind(&self) -> HolderKind {
        match self {
            Self::Key(_) => HolderKind::Key,
            Self::User(_) => HolderKind::User,
            Self::Team(_) => HolderKind::Team,
        }
    }

    /// The same, where it is a key.
    pub const fn as_key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::User(_) | Self::Team(_) => None,
        }
    }

    /// What people call it.
    pub fn alias(&self) -> Option<&str> {
        of_any!(self, holder => holder.spec.alias.as_deref())
    }

    /// Whether its calls are refused.
    pub fn blocked(&self) -> bool {
        of_any!(self, holder => holder.spec.blocked)
    }

    /// The models that it may call; `None` where it may call all.
    pub fn models(&self) -> Option<&[ModelPattern]> {
        of_any!(self, holder => holder.spec.models.as_deref())
    }

    /// The tools that it may call; `None` where it may call all.
    pub fn tools(&self) -> Option<&[ToolPattern]> {
        of_any!(self, holder => holder.spec.tools.as_deref())
    }

    /// What may be spent.
    pub fn budgets(&self) -> &[Budget] {
        of_any!(self, holder => &holder.spec.budgets)
    }

    /// What may be used.
    pub fn limits(&self) -> &[Limit] {
        of_any!(self, holder => &holder.spec.limits)
    }

    /// Gives back what lists were read into and do not need: a holder stays in memory.
    fn shrink_to_fit(&mut self) {
        of_any!(self, holder => {
            holder.spec.budgets.shrink_to_fit();
            holder.spec.limits.shrink_to_fit();
            holder.spec.models.iter_mut().for_each(Vec::shrink_to_fit);
            holder.spec.tools.iter_mut().for_each(Vec::shrink_to_fit);
        });
    }

    /// When it was made.
    pub fn created_at(&self) -> Timestamp {
        of_any!(self, holder => holder.created_at)
    }
}

/// A holder that is ready to be asked.
#[derive(Clone, Debug)]
pub struct Account {
    /// The holder.
    pub holder: Holder,
    /// Its budgets and limits.
    pub meters: Vec<Arc<Meter>>,
}

impl Account {
    /// Makes `holder` ready.
    pub fn new(mut holder: Holder) -> Result<Self, RuleError> {
        holder.shrink_to_fit();
        let (name, made) = (holder.name(), holder.created_at());
        let budgets = holder.budgets().iter().map(|budget| Meter::of_budget(&name, budget, made));
        let limits = holder.limits().iter().map(|limit| Ok(Meter::of_limit(&name, limit)));
        let meters = budgets.chain(limits).map(|meter| meter.map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Self { holder, meters })
    }

    /// Whether it may call `model`.
    pub fn may_call(&self, model: &str) -> bool {
        self.holder.models().is_none_or(|models| models.iter().any(|pattern| pattern.fits(model)))
    }

    /// Whether it may use what one of its patterns for tools `fits`.
    pub fn may_use(&self, fits: impl FnMut(&ToolPattern) -> bool) -> bool {
        self.holder.tools().is_none_or(|tools| tools.iter().any(fits))
    }
}

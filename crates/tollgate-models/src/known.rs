//! All additions, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_core::addition::{AddedModel, Addition, AdditionKind, AdditionRef, Credential};
use tollgate_core::ports::{Change, Stored};

/// An addition, and the change that made it what it is.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) addition: Addition,
    pub(crate) change: Change,
}

/// All additions, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    all: BTreeMap<AdditionRef, Listed>,
    /// The last change that was read; `None` before anything was.
    pub(crate) read: Option<Change>,
}

impl Known {
    /// Takes an addition as it is kept, and says whether that is news. What is known since a later change stays.
    pub(crate) fn take(&mut self, Stored { name, change, document }: Stored<Addition>) -> bool {
        if self.all.get(&name).is_some_and(|known| known.change >= change) {
            return false;
        }
        match document {
            Some(addition) => {
                self.all.insert(name, Listed { addition, change });
                true
            }
            None => self.all.remove(&name).is_some(),
        }
    }

    pub(crate) fn get(&self, name: &AdditionRef) -> Option<&Listed> {
        self.all.get(name)
    }

    pub(crate) fn credential(&self, id: &str) -> Option<&Credential> {
        match &self.all.get(&AdditionRef { kind: AdditionKind::Credential, id: Arc::from(id) })?.addition {
            Addition::Credential(credential) => Some(credential),
            Addition::Model(_) => None,
        }
    }

    /// Those of a kind, in the order of their names.
    pub(crate) fn of(&self, kind: AdditionKind) -> impl Iterator<Item = (&Arc<str>, &Listed)> {
        let own = self.all.iter().filter(move |(name, _)| name.kind == kind);
        own.map(|(name, listed)| (&name.id, listed))
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = &AddedModel> {
        self.of(AdditionKind::Model).filter_map(|(_, listed)| match &listed.addition {
            Addition::Model(model) => Some(model),
            Addition::Credential(_) => None,
        })
    }

    /// The models with a deployment that names the credential `id`.
    pub(crate) fn users<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a AddedModel> {
        self.models().filter(move |model| model.spec.credentials().any(|named| named == id))
    }
}

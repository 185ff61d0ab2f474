//! What admins add while the gate runs: models, and the credentials that those use.

mod credential;
mod model;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use credential::{Credential, CredentialSpec, check_secret, hint};
pub(crate) use model::check_name;
pub use model::{AddedModel, ModelSpec};

use crate::document::{Document, DocumentRef, Kind};

/// What kind of addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdditionKind {
    /// A credential.
    Credential,
    /// A model.
    Model,
}

impl Kind for AdditionKind {
    const KINDS: &'static [Self] = &[Self::Credential, Self::Model];

    fn word(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Model => "model",
        }
    }
}

/// Which addition.
pub type AdditionRef = DocumentRef<AdditionKind>;

/// An addition of any kind, as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Addition {
    /// A credential.
    Credential(Credential),
    /// A model.
    Model(AddedModel),
}

impl Document for Addition {
    type Kind = AdditionKind;
    const SORT: &'static str = "addition";

    fn document(&self) -> AdditionRef {
        let (kind, id) = match self {
            Self::Credential(credential) => (AdditionKind::Credential, &credential.id),
            Self::Model(model) => (AdditionKind::Model, &model.name),
        };
        AdditionRef { kind, id: Arc::clone(id) }
    }

    fn unique(&self) -> Option<String> {
        None
    }

    /// Nothing of a secret, encrypted or not.
    fn visible(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.remove("sealed");
            members.remove("hint");
        }
        value
    }
}

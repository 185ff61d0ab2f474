//! Changes to models.

use std::sync::Arc;

use serde_json::Value;
use tollgate_core::access::SpecError;
use tollgate_core::addition::{AddedModel, Addition, AdditionKind, AdditionRef, ModelSpec};
use tollgate_core::merge_patch::{merged, read};
use tollgate_core::ports::Change;
use tollgate_core::principal::Principal;

use crate::additions::Additions;
use crate::error::AdditionError;
use crate::shown::Shown;

impl Additions {
    /// Makes the model `name`, of which `said` is said.
    pub async fn create_model(
        &self,
        by: &Principal,
        name: &str,
        said: Value,
    ) -> Result<Shown, AdditionError> {
        let spec: ModelSpec = read(merged(&ModelSpec::default(), said, ModelSpec::MEMBERS)?)?;
        let (now, name) = (self.changes.now(), Arc::<str>::from(name));
        let model = AddedModel { name, created_at: now, updated_at: now, spec };
        self.resolves(&model)?;
        self.room_for(&named(&model.name))?;
        self.keep(by, "create", None, Addition::Model(model)).await
    }

    /// Changes a model by a merge patch (RFC 7396), where it is still what `expected` made it.
    pub async fn change_model(
        &self,
        by: &Principal,
        name: &str,
        expected: Option<Change>,
        patch: Value,
    ) -> Result<Shown, AdditionError> {
        let before = self.expected(&named(name), expected)?;
        let Addition::Model(model) = before.addition.clone() else {
            return Err(AdditionError::Missing(named(name)));
        };
        let spec = read(merged(&model.spec, patch, ModelSpec::MEMBERS)?)?;
        let after = AddedModel { spec, updated_at: self.changes.now(), ..model };
        self.resolves(&after)?;
        self.keep(by, "change", Some(before), Addition::Model(after)).await
    }

    /// Whether it could be served as it is said to be, with what is known now.
    fn resolves(&self, model: &AddedModel) -> Result<(), AdditionError> {
        let state = self.ready()?;
        let resolved: Result<_, SpecError> = self.resolve(&state.file, &state.known, model);
        Ok(resolved.map(|_| ())?)
    }
}

fn named(name: &str) -> AdditionRef {
    AdditionRef { kind: AdditionKind::Model, id: Arc::from(name) }
}

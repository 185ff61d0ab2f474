//! Models and credentials as those may see them who may see them at all.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_core::addition::{Addition, AdditionKind, AdditionRef};
use tollgate_core::config::snapshot::Model;
use tollgate_core::document::Document;
use tollgate_core::ports::Change;

use crate::additions::{Additions, State};
use crate::known::Listed;
use crate::seal;

/// A model or a credential as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What is shown. Nothing of a secret, but for the end of a long one.
    pub value: Value,
    /// The change that made it what it is; `None` for what stands in the configuration file.
    pub change: Option<Change>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order of their names.
    pub items: Vec<Value>,
    /// After which name the next page begins; `None` where this is the last.
    pub next: Option<Arc<str>>,
}

impl Additions {
    /// The addition called `name`, which is marked where the configuration file has a model of that name; or else that one.
    pub fn get(&self, name: &AdditionRef) -> Option<Shown> {
        let state = self.state.lock();
        if let Some(listed) = state.known.get(name) {
            return Some(state.shown(listed));
        }
        let model = state.file.models.get(&name.id).filter(|_| name.kind == AdditionKind::Model)?;
        Some(Shown { value: from_file(model), change: None })
    }

    /// A page of those of a kind, `limit` at most after the name `after`, in the order of their names. Models of the
    /// configuration file are among them.
    pub fn page(&self, kind: AdditionKind, after: Option<&str>, limit: usize) -> Page {
        let state = self.state.lock();
        let mut all: BTreeMap<&str, Entry<'_>> = BTreeMap::new();
        if kind == AdditionKind::Model {
            all.extend(state.file.models.iter().map(|model| (&*model.name, Entry::File(model))));
        }
        all.extend(state.known.of(kind).map(|(name, listed)| (&**name, Entry::Added(listed))));
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = all.range::<str, _>((from, Bound::Unbounded));
        let page: Vec<_> = found.by_ref().take(limit).collect();
        let next = page.last().filter(|_| found.next().is_some()).map(|(name, _)| Arc::from(**name));
        let items = page.into_iter().map(|(_, entry)| match entry {
            Entry::File(model) => from_file(model),
            Entry::Added(listed) => state.shown(listed).value,
        });
        Page { items: items.collect(), next }
    }
}

enum Entry<'a> {
    File(&'a Model),
    Added(&'a Listed),
}

impl State {
    /// With whether it is in service.
    pub(crate) fn shown(&self, listed: &Listed) -> Shown {
        let mut value = listed.addition.visible();
        let why = match &listed.addition {
            Addition::Model(model) => {
                value["source"] = json!("runtime");
                self.out.get(&model.name).cloned()
            }
            Addition::Credential(credential) => {
                value["hint"] = json!(credential.hint);
                seal::open(&self.file.secrets, credential).err()
            }
        };
        value["in_service"] = json!(why.is_none());
        value["why"] = json!(why);
        Shown { value, change: Some(listed.change) }
    }
}

/// A model of the configuration file. Of addresses only what a deployment's name says, which every answer tells.
fn from_file(model: &Model) -> Value {
    let deployments: Vec<Value> = model
        .deployments
        .iter()
        .map(|deployment| {
            json!({ "id": deployment.id, "provider": deployment.provider, "model": deployment.model })
        })
        .collect();
    let why: Vec<&str> = model.deployments.iter().filter_map(|one| one.unavailable.as_deref()).collect();
    let in_service = why.len() < model.deployments.len();
    json!({
        "kind": "model", "name": model.name, "source": "file", "deployments": deployments, "in_service": in_service,
        "why": (!why.is_empty()).then(|| why.join("; ")),
    })
}

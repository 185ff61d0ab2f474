//! What is served: what the configuration file says, and what was added.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use serde_json::json;
use tollgate_core::access::SpecError;
use tollgate_core::addition::{AddedModel, Addition, AdditionKind, AdditionRef};
use tollgate_core::changes::Changes;
use tollgate_core::config::added::{Ground, Opened, model, out_of_service};
use tollgate_core::config::snapshot::{Model, Snapshot};
use tollgate_core::document::Document as _;
use tollgate_core::ports::{Catalog, Change, Clock, Journal, Providers, Publish, Registry, Stored};
use tollgate_core::principal::Principal;
use tollgate_core::query::QueryError;
use tollgate_core::record::{Entry, Event};

use crate::error::AdditionError;
use crate::known::{Known, Listed};
use crate::seal;
use crate::shown::Shown;

/// The most additions of a kind: all of them are resolved at each change.
const MOST: usize = 1_000;

/// Models and credentials that admins add, and what they make of the configuration.
pub struct Additions {
    pub(crate) changes: Changes<Addition>,
    providers: Arc<dyn Providers>,
    catalog: Arc<dyn Catalog>,
    pub(crate) state: Mutex<State>,
    publisher: OnceLock<Weak<dyn Publish>>,
}

/// What is known now.
pub(crate) struct State {
    pub(crate) known: Known,
    /// What the configuration file says.
    pub(crate) file: Snapshot,
    /// Why models are out of service that were added.
    pub(crate) out: BTreeMap<Arc<str>, String>,
}

impl std::fmt::Debug for Additions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Additions")
    }
}

impl Additions {
    /// None yet, besides what the configuration `file` says. Changes are kept in `registry` and written into `journal`.
    pub fn new(
        file: Snapshot,
        registry: Arc<dyn Registry<Addition>>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        (providers, catalog): (Arc<dyn Providers>, Arc<dyn Catalog>),
    ) -> Self {
        let state = State { known: Known::default(), file, out: BTreeMap::new() };
        let changes = Changes::new(registry, journal, clock);
        Self { changes, providers, catalog, state: Mutex::new(state), publisher: OnceLock::new() }
    }

    /// What is to be served now.
    pub fn snapshot(&self) -> Snapshot {
        self.resolved(&mut self.state.lock())
    }

    /// Tells `publisher` what is to be served, now and at every change. Only the first is told.
    pub fn publish_to(&self, publisher: Weak<dyn Publish>) {
        let _ = self.publisher.set(publisher);
        self.publish(&mut self.state.lock());
    }

    /// Takes what the configuration file says from now on.
    pub fn reload(&self, file: Snapshot) {
        let mut state = self.state.lock();
        state.file = file;
        self.publish(&mut state);
    }

    /// Reads from `registry` what others have changed since the last time.
    pub async fn follow(&self, registry: &dyn Registry<Addition>) -> Result<(), QueryError> {
        let read = self.state.lock().known.read;
        let mut changes = Vec::new();
        let mut last = read.unwrap_or(0);
        // A registry may tell in parts: what is known is put in force when all of them are there.
        loop {
            let part = registry.changed_after(last).await?;
            let Some(end) = part.last() else { break };
            last = end.change;
            changes.extend(part);
        }
        let mut state = self.state.lock();
        let news: Vec<String> = changes
            .into_iter()
            .filter_map(|stored| {
                let name = stored.name.to_string();
                state.known.take(stored).then_some(name)
            })
            .collect();
        state.known.read = state.known.read.max(Some(last));
        if read.is_none() || !news.is_empty() {
            self.publish(&mut state);
        }
        drop(state);
        if read.is_some() && !news.is_empty() {
            tracing::info!(changed = news.join(", "), "what was added has changed elsewhere");
            let event = Event {
                at: self.changes.now(),
                event: "reload",
                call_id: None,
                detail: json!({ "changed": news }),
            };
            // Its loss is logged by the journal and harms nobody: the change is on its maker's record.
            let _ = self.changes.write(&Entry::Event(&event));
        }
        Ok(())
    }

    fn publish(&self, state: &mut State) {
        let snapshot = self.resolved(state);
        if let Some(publisher) = self.publisher.get().and_then(Weak::upgrade) {
            publisher.publish(snapshot);
        }
    }

    /// The file with every model that was added: one that does not resolve is out of service, and others go on.
    fn resolved(&self, state: &mut State) -> Snapshot {
        let mut out = BTreeMap::new();
        let mut models = Vec::new();
        for added in state.known.models() {
            if state.file.models.get(&added.name).is_some() {
                let why = "the configuration file has a model of that name, which goes before it";
                out.insert(Arc::clone(&added.name), why.to_owned());
                continue;
            }
            let resolved = self.resolve(&state.file, &state.known, added);
            models.push(resolved.unwrap_or_else(|error| {
                let why = error.to_string();
                let model = out_of_service(&added.name, &added.spec, &why);
                out.insert(Arc::clone(&added.name), why);
                model
            }));
        }
        for (model, why) in &out {
            if state.out.get(model) != Some(why) {
                tracing::warn!(%model, why, "a model that was added is out of service");
            }
        }
        state.out = out;
        state.file.with(models, state.known.read.is_none())
    }

    /// The model that `added` stands for, with the credentials that are `known`.
    pub(crate) fn resolve(
        &self,
        file: &Snapshot,
        known: &Known,
        added: &AddedModel,
    ) -> Result<Model, SpecError> {
        let ground = Ground { file, providers: &*self.providers, catalog: &*self.catalog };
        let open = |id: &str| {
            let credential = known.credential(id).ok_or_else(|| format!("there is no credential `{id}`"))?;
            let secret = seal::open(&file.secrets, credential)?;
            Ok(Opened { secret, hosts: credential.spec.hosts.clone() })
        };
        model(ground, &added.name, &added.spec, &open)
    }

    /// The addition, where it is still what `expected` made it.
    pub(crate) fn expected(
        &self,
        name: &AdditionRef,
        expected: Option<Change>,
    ) -> Result<Listed, AdditionError> {
        let state = self.ready()?;
        let Some(listed) = state.known.get(name) else {
            let in_file = name.kind == AdditionKind::Model && state.file.models.get(&name.id).is_some();
            let name = name.clone();
            return Err(if in_file { AdditionError::InFile(name) } else { AdditionError::Missing(name) });
        };
        if expected.is_some_and(|expected| expected != listed.change) {
            return Err(AdditionError::Stale(name.clone()));
        }
        Ok(listed.clone())
    }

    /// What is known, once anything is.
    pub(crate) fn ready(&self) -> Result<parking_lot::MutexGuard<'_, State>, AdditionError> {
        let state = self.state.lock();
        if state.known.read.is_none() {
            return Err(AdditionError::Away(
                "what was added could not be read yet; try again in a moment".to_owned(),
            ));
        }
        Ok(state)
    }

    /// Whether there may be one more, called `name`.
    pub(crate) fn room_for(&self, name: &AdditionRef) -> Result<(), AdditionError> {
        let state = self.ready()?;
        if state.known.get(name).is_some() {
            return Err(AdditionError::Exists(name.clone()));
        }
        if name.kind == AdditionKind::Model && state.file.models.get(&name.id).is_some() {
            return Err(AdditionError::InFile(name.clone()));
        }
        if state.known.of(name.kind).count() >= MOST {
            return Err(AdditionError::TooMany(MOST));
        }
        Ok(())
    }

    /// Makes a change, and puts it in force before it is answered.
    pub(crate) async fn keep(
        &self,
        by: &Principal,
        action: &str,
        before: Option<Listed>,
        after: Addition,
    ) -> Result<Shown, AdditionError> {
        let name = after.document();
        let known = before.as_ref().map(|listed| (&listed.addition, listed.change));
        let change = self.changes.keep(by, action, known, &after).await;
        let change = change.map_err(|error| AdditionError::not_made(&name, error))?;
        let mut state = self.state.lock();
        state.known.take(Stored { name, change, document: Some(after.clone()) });
        self.publish(&mut state);
        Ok(state.shown(&Listed { addition: after, change }))
    }

    /// Removes an addition that nothing uses.
    pub async fn remove(
        &self,
        by: &Principal,
        name: &AdditionRef,
        expected: Option<Change>,
    ) -> Result<(), AdditionError> {
        let before = self.expected(name, expected)?;
        if name.kind == AdditionKind::Credential
            && let Some(user) = self.state.lock().known.users(&name.id).next()
        {
            return Err(AdditionError::InUse(name.clone(), Arc::clone(&user.name)));
        }
        let change = self.changes.remove(by, (&before.addition, before.change)).await;
        let change = change.map_err(|error| AdditionError::not_made(name, error))?;
        let mut state = self.state.lock();
        state.known.take(Stored { name: name.clone(), change, document: None });
        self.publish(&mut state);
        Ok(())
    }
}

//! The public models, looked up by the names that clients use.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::snapshot::Deployment;

/// The public models.
#[derive(Clone, Debug, Default)]
pub struct Models {
    exact: BTreeMap<Arc<str>, Arc<Model>>,
    /// Patterns with one `*`, the most specific first.
    patterns: Vec<Arc<Model>>,
}

/// A public model.
#[derive(Debug)]
pub struct Model {
    /// The name that clients use, or a pattern with one `*`.
    pub name: Arc<str>,
    /// Where it comes from.
    pub origin: Origin,
    /// What serves it, in the order of the file.
    pub deployments: Vec<Arc<Deployment>>,
}

/// Where a model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the configuration file.
    File,
    /// From an admin, at run time.
    Added,
}

/// A public model that was asked for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The model.
    pub model: Arc<Model>,
    /// What the pattern's `*` stands for.
    pub wild: Option<Arc<str>>,
}

impl Models {
    /// Builds the lookup.
    pub fn new(models: impl IntoIterator<Item = Model>) -> Self {
        let mut all = Self::default();
        all.extend(models);
        all
    }

    fn extend(&mut self, models: impl IntoIterator<Item = Model>) {
        for model in models {
            let model = Arc::new(model);
            if model.name.contains('*') {
                self.patterns.push(model);
            } else {
                self.exact.insert(Arc::clone(&model.name), model);
            }
        }
        self.patterns.sort_by_key(|m| std::cmp::Reverse(m.name.len()));
    }

    /// These, and those of `more` whose names are not taken.
    pub(super) fn with(&self, more: Vec<Model>) -> Self {
        let mut all = self.clone();
        all.extend(more.into_iter().filter(|model| self.get(&model.name).is_none()));
        all
    }

    /// The model, or pattern, that is called `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Model>> {
        self.exact.get(name).or_else(|| self.patterns.iter().find(|pattern| &*pattern.name == name))
    }

    /// The model that serves `name`: the exact one, else the longest pattern that fits.
    pub fn find(&self, name: &str) -> Option<Found> {
        if let Some(model) = self.exact.get(name) {
            return Some(Found { model: Arc::clone(model), wild: None });
        }
        self.patterns.iter().find_map(|model| {
            let (before, after) = model.name.split_once('*')?;
            let wild = name.strip_prefix(before)?.strip_suffix(after).filter(|w| !w.is_empty())?;
            Some(Found { model: Arc::clone(model), wild: Some(Arc::from(wild)) })
        })
    }

    /// All names, exact ones first, then patterns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(|n| &**n).chain(self.patterns.iter().map(|m| &*m.name))
    }

    /// All models.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.exact.values().chain(&self.patterns)
    }
}

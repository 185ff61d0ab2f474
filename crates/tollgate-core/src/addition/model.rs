//! A model that was added.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::{ModelPattern, SpecError};

/// A model as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct AddedModel {
    /// Its public name, or a pattern with one `*`.
    pub name: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What was said of it.
    #[serde(flatten)]
    pub spec: ModelSpec,
}

/// What may be said of a model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ModelSpec {
    /// What serves it: the members of a deployment in the configuration file, without its secrets; `credential` names one
    /// that was added.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Value>))]
    pub deployments: Vec<Map<String, Value>>,
    /// What people should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The most deployments of a model.
const MOST_DEPLOYMENTS: usize = 32;

/// The longest note, in bytes.
const LONGEST_NOTE: usize = 1_000;

impl ModelSpec {
    /// What may be said.
    pub const MEMBERS: &'static [&'static str] = &["deployments", "note"];

    /// Whether it can be, as far as that can be told without the rest of the configuration.
    pub fn check(&self) -> Result<(), SpecError> {
        if !(1..=MOST_DEPLOYMENTS).contains(&self.deployments.len()) {
            let why = format!("1 to {MOST_DEPLOYMENTS} deployments");
            return Err(SpecError { member: "deployments".to_owned(), why });
        }
        check_note(self.note.as_deref())
    }

    /// The credentials that its deployments name.
    pub fn credentials(&self) -> impl Iterator<Item = &str> {
        self.deployments.iter().filter_map(|deployment| deployment.get("credential")?.as_str())
    }
}

/// Whether `name` can be that of a model.
pub(crate) fn check_name(name: &str) -> Result<(), SpecError> {
    let fits = ModelPattern::try_from(name.to_owned());
    fits.map(|_| ()).map_err(|why| SpecError { member: "name".to_owned(), why })
}

pub(super) fn check_note(note: Option<&str>) -> Result<(), SpecError> {
    if note.is_some_and(|note| note.len() > LONGEST_NOTE) {
        let why = format!("it is longer than {LONGEST_NOTE} bytes");
        return Err(SpecError { member: "note".to_owned(), why });
    }
    Ok(())
}

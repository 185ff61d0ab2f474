//! From a file to a snapshot: as written ([`file`], [`litellm`]) → resolved and immutable ([`snapshot`]).
//!
//! There is one translation. A LiteLLM file is first turned into what our own file would say
//! ([`litellm::translate`]), and only [`resolve::resolve`] makes a snapshot.

pub mod added;
mod advertise;
pub mod alerts;
pub mod approvals;
pub mod budgets;
pub mod bundles;
mod cloud;
pub mod contracts;
mod deployment;
mod error;
pub mod file;
pub mod identity;
pub mod litellm;
mod litellm_keys;
mod models;
mod nearest;
pub mod policies;
pub mod recording;
pub mod resolve;
mod secret_ref;
mod secrets;
pub mod snapshot;
mod tool_auth;
pub mod tools;
pub mod web;
pub mod write;

pub use error::ConfigError;
pub use nearest::nearest;
pub use secret_ref::SecretRef;
pub use secrets::SecretsKeys;

use file::File;

/// A file as written, with what a reader should be told about it.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What it says, in our own terms.
    pub file: File,
    /// Settings that are understood but not acted on, each by its path.
    pub not_acted_on: Vec<String>,
    /// Whether a missing credential only takes its deployment out of service, as LiteLLM does, instead of
    /// refusing the file.
    pub lenient: bool,
}

/// Reads `text`, which came from `name`. A LiteLLM file is recognised by its `model_list`.
pub fn parse(name: &str, text: &str) -> Result<Loaded, ConfigError> {
    let loaded = if litellm::is_litellm(text) {
        serde_saphyr::from_str(text)
            .map_err(|e| ConfigError::from_yaml(&e, text))
            .and_then(|written| litellm::translate(written).map_err(|e| e.snippet_from(text)))
    } else {
        serde_saphyr::from_str(text)
            .map(|file| Loaded { file, ..Loaded::default() })
            .map_err(|e| ConfigError::from_yaml(&e, text))
    };
    loaded.map_err(|e| e.in_file(name))
}

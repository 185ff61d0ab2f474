//! Where the configuration comes from, and reading it. The one place that touches files and environment for it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tollgate_core::config::resolve::{Overrides, World, resolve};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::{Loaded, parse};
use tollgate_core::ports::Environment;
use tollgate_llm::{catalog, providers};
use tollgate_policy::Cel;

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file.
    File(PathBuf),
    /// Models named on the command line, as `provider/model`.
    Models(Vec<String>),
    /// Text that the binary has, or makes.
    BuiltIn(String),
}

/// A configuration that resolved.
#[derive(Debug)]
pub(crate) struct Read {
    /// What it means.
    pub(crate) snapshot: Snapshot,
    /// Settings that are understood but not acted on.
    pub(crate) not_acted_on: Vec<String>,
}

impl Source {
    /// Reads and resolves it.
    pub(crate) fn read(&self, overrides: &Overrides) -> Result<Read> {
        let (name, text) = match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("{} cannot be read", path.display()))?;
                (path.display().to_string(), text)
            }
            Self::Models(models) => ("--model".to_owned(), file_for(models)?),
            Self::BuiltIn(text) => ("built-in".to_owned(), text.clone()),
        };
        let loaded: Loaded = parse(&name, &text)?;
        let world = World {
            environment: &Process,
            providers: &providers::Table,
            catalog: &catalog::BuiltIn,
            expressions: &Cel::default(),
        };
        let snapshot = resolve(&name, &text, &loaded, overrides, world).map_err(|error| match self {
            // Lines of a file that nobody wrote help nobody.
            Self::Models(models) => {
                anyhow::anyhow!("--model {}: {}", models.join(" --model "), error.message())
            }
            _ => error.into(),
        })?;
        Ok(Read { snapshot, not_acted_on: loaded.not_acted_on })
    }

    /// The file to watch, when there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }
}

/// What a file would say that serves each of `models` under its full and its short name.
fn file_for(models: &[String]) -> Result<String> {
    let mut entries = serde_json::Map::new();
    for model in models {
        let (provider, upstream) = model
            .split_once('/')
            .with_context(|| format!("--model {model}: write it as PROVIDER/MODEL, such as openai/gpt-4o"))?;
        let deployment = serde_json::json!([{ "provider": provider, "model": upstream }]);
        entries.insert(model.clone(), deployment.clone());
        entries.insert(upstream.to_owned(), deployment);
    }
    // JSON is YAML.
    Ok(serde_json::json!({ "models": entries }).to_string())
}

/// The process's own environment.
struct Process;

impl Environment for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }
}

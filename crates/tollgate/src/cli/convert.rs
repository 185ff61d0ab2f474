//! `tollgate convert FILE`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use tollgate_core::config::{parse, write};

use super::{complain, say};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A LiteLLM config.yaml
    file: PathBuf,
}

impl Arguments {
    /// The file goes to standard output, what a person must know of it to standard error.
    pub(super) fn run(self) -> Result<()> {
        let name = self.file.display().to_string();
        let text = std::fs::read_to_string(&self.file).with_context(|| format!("{name} cannot be read"))?;
        let loaded = parse(&name, &text)?;
        let written = write::write(&loaded.file)?;
        say(written.yaml.trim_end())?;
        for (variable, place) in &written.variables {
            complain(&format!("set {variable}: {place} stands written out in {name} and is not repeated"));
        }
        for left_out in &written.left_out {
            complain(&format!("left out: {left_out}"));
        }
        for setting in &loaded.not_acted_on {
            complain(&format!("understood but not acted on: {setting}"));
        }
        Ok(())
    }
}

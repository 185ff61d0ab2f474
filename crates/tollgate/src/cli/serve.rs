//! `tollgate [serve]`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use tollgate_core::config::resolve::Overrides;

use crate::configuration::Source;
use crate::{log, wire};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The configuration: tollgate.yaml, or a LiteLLM config.yaml as it is
    #[arg(long, short, value_name = "FILE", env = "TOLLGATE_CONFIG", conflicts_with = "model")]
    config: Option<PathBuf>,
    /// Serve this one model without a file, such as openai/gpt-4o; may be given again
    #[arg(long, value_name = "PROVIDER/MODEL")]
    model: Vec<String>,
    /// Address to listen on; the default, 127.0.0.1, is reached from this machine only
    #[arg(long, value_name = "ADDRESS", env = "TOLLGATE_HOST")]
    host: Option<String>,
    /// Port to listen on, default 4000
    // No TOLLGATE_PORT: Kubernetes puts an address of that name into pods beside a service named `tollgate`.
    #[arg(long)]
    port: Option<u16>,
    /// Where records are kept; default $XDG_DATA_HOME/tollgate or ~/.local/share/tollgate
    #[arg(long, value_name = "FOLDER", env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or filters such as tollgate_gateway=debug
    #[arg(long, value_name = "FILTER", env = "TOLLGATE_LOG", default_value = "info")]
    log: String,
    // What LiteLLM's command takes too, so that only the process's name has to change.
    #[arg(long, hide = true)]
    debug: bool,
    #[arg(long = "detailed_debug", hide = true)]
    detailed_debug: bool,
    #[arg(long = "num_workers", hide = true)]
    num_workers: Option<u32>,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let source = match (self.config, self.model) {
            (Some(file), _) => Source::File(file),
            (None, models) if !models.is_empty() => Source::Models(models),
            _ => bail!(
                "nothing to serve: give --config FILE or --model PROVIDER/MODEL (or try `tollgate demo`)"
            ),
        };
        log::start(if self.debug || self.detailed_debug { "debug" } else { &self.log })?;
        if self.num_workers.is_some() {
            tracing::info!("--num_workers is not needed: one process uses every core");
        }
        let overrides = Overrides { host: self.host, port: self.port };
        wire::serve(&source, &overrides, self.data_dir).await
    }
}

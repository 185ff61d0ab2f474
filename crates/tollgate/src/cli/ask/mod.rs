//! Whom commands ask: a running gate, or, for past calls, the data folder of a stopped one.

pub(super) mod http;
pub(super) mod kept;
mod local;
pub(super) mod remote;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tollgate_core::query::{CallFilter, CallPage, CallStory, Spend, SpendFilter, TraceStory};
use tollgate_core::record::Frame;

use self::local::Local;
pub(super) use self::local::load;
pub(super) use self::remote::Remote;

/// The gate to ask.
#[derive(Clone, Debug, Args)]
pub(super) struct Gate {
    /// The gate to ask; its key stands in TOLLGATE_KEY, or `tollgate login` has signed in there
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TOLLGATE_URL",
        default_value = "http://127.0.0.1:4000"
    )]
    url: String,
}

impl Gate {
    /// Its address, without a slash at its end.
    pub(super) fn address(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// The gate at `url`.
    pub(super) fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// The gate.
    pub(super) fn remote(&self) -> Result<Remote> {
        self.or("")
    }

    /// The gate; `otherwise` says what else can be asked when nobody answers.
    fn or(&self, otherwise: &'static str) -> Result<Remote> {
        // Not an argument: those are seen by everybody on the machine.
        let key = std::env::var("TOLLGATE_KEY").ok().filter(|key| !key.is_empty());
        Remote::new(&self.url, key, otherwise)
    }
}

/// Where to look.
#[derive(Clone, Debug, Args)]
pub(super) struct Where {
    #[command(flatten)]
    gate: Gate,
    /// Look into this folder instead of asking a gate
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The index's database, where it is not in the folder
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// Who answers.
pub(super) enum Source {
    Remote(Box<Remote>),
    Local(Local),
}

impl Where {
    /// Who answers.
    pub(super) async fn source(&self) -> Result<Source> {
        Ok(match &self.data_dir {
            Some(folder) => {
                let url = self.database_url.as_deref().filter(|url| url.starts_with("postgres"));
                // Not an argument: those are seen by everybody on the machine.
                let content_key = std::env::var("TOLLGATE_CONTENT_KEY").ok();
                Source::Local(Local::open(folder, url, content_key).await?)
            }
            None => Source::Remote(Box::new(self.remote()?)),
        })
    }

    /// The gate, for what only a running one can do.
    pub(super) fn remote(&self) -> Result<Remote> {
        self.gate.or(", a stopped one: --data-dir")
    }

    /// The folder, where one was named.
    pub(super) fn folder(&self) -> Option<&PathBuf> {
        self.data_dir.as_ref()
    }
}

impl Source {
    /// The calls that `filter` says.
    pub(super) async fn calls(&self, filter: &CallFilter) -> Result<CallPage> {
        match self {
            Self::Remote(remote) => remote.get(&format!("/api/v1/calls?{}", remote::query(filter)?)).await,
            Self::Local(local) => local.calls(filter).await,
        }
    }

    /// All that is known of a call.
    pub(super) async fn call(&self, id: &str) -> Result<CallStory> {
        match self {
            Self::Remote(remote) => remote.get(&format!("/api/v1/calls/{}", remote::segment(id))).await,
            Self::Local(local) => local.call(id).await,
        }
    }

    /// A trace.
    pub(super) async fn trace(&self, id: &str) -> Result<TraceStory> {
        match self {
            Self::Remote(remote) => remote.get(&format!("/api/v1/traces/{}", remote::segment(id))).await,
            Self::Local(local) => local.trace(id).await,
        }
    }

    /// Who spent what.
    pub(super) async fn spend(&self, filter: &SpendFilter) -> Result<Spend> {
        match self {
            Self::Remote(remote) => remote.get(&format!("/api/v1/spend?{}", remote::query(filter)?)).await,
            Self::Local(local) => local.spend(filter).await,
        }
    }

    /// The frames in a side file.
    pub(super) async fn aside(&self, instance: &str, name: &str) -> Result<Vec<Frame>> {
        match self {
            Self::Remote(remote) => {
                let path = format!("/api/v1/content/{}/{}", remote::segment(instance), remote::segment(name));
                remote.get(&path).await
            }
            Self::Local(local) => local.aside(instance, name),
        }
    }
}

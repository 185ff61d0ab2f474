//! The data folder of a gate: its index, brought up to date from its journals first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tollgate_core::query::{CallFilter, CallPage, CallStory, Spend, SpendFilter, TraceStory};
use tollgate_core::record::Frame;
use tollgate_store::{Index, Loader};

use crate::index::aside;

pub(in crate::cli) struct Local {
    data_dir: PathBuf,
    index: Arc<dyn Index>,
    content_key: Option<String>,
}

impl Local {
    pub(super) async fn open(
        data_dir: &Path,
        url: Option<&str>,
        content_key: Option<String>,
    ) -> Result<Self> {
        ensure!(data_dir.join("journal").is_dir(), "{} holds no journal", data_dir.display());
        let index = tollgate_store::open(url, data_dir).await?;
        load(&index, data_dir).await?;
        Ok(Self { data_dir: data_dir.to_owned(), index, content_key })
    }

    pub(super) async fn calls(&self, filter: &CallFilter) -> Result<CallPage> {
        Ok(self.index.calls(filter.clone()).await?)
    }

    pub(super) async fn call(&self, id: &str) -> Result<CallStory> {
        let parsed = id.parse().with_context(|| format!("{id} is no call's id"))?;
        self.index.call(parsed).await?.with_context(|| format!("there is no call {id} in the journal"))
    }

    pub(super) async fn trace(&self, id: &str) -> Result<TraceStory> {
        let story = self.index.trace(id.to_owned()).await?;
        story.with_context(|| format!("there is no trace or call {id} in the journal"))
    }

    pub(super) async fn spend(&self, filter: &SpendFilter) -> Result<Spend> {
        Ok(self.index.spend(filter.clone()).await?)
    }

    pub(super) fn aside(&self, instance: &str, name: &str) -> Result<Vec<Frame>> {
        let frames = aside(&self.data_dir, instance, name, self.content_key.as_deref())?;
        Ok(serde_json::from_slice(&frames)?)
    }
}

/// Loads what the index has not taken yet. Returns the number of entries.
pub(in crate::cli) async fn load(index: &Arc<dyn Index>, data_dir: &Path) -> Result<usize> {
    let mut count = 0;
    for (instance, folder) in tollgate_journal::chains(data_dir)? {
        let mut loader = Loader::new(Arc::clone(index), &instance, &folder).await?;
        loop {
            match loader.step().await {
                Ok(0) => break,
                Ok(more) => count += more,
                // A gate that runs loads the same entries: then they are there already.
                Err(error) if error.to_string().contains("by somebody else") => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(count)
}

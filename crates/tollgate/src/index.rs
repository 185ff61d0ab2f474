//! Keeping the index up with the journal. The index is for questions: when it is away, calls go on, and it is loaded
//! when it is back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tollgate_core::call::CallId;
use tollgate_core::ports::Journal;
use tollgate_core::query::{
    Answering, CallFilter, CallPage, CallStory, Following, Live, QueryError, Records, Spend, SpendFilter,
    TraceStory,
};
use tollgate_core::secret::Secret;
use tollgate_journal::{Consumer, DiskJournal, Follower};
use tollgate_store::{Index, Loader};

/// How often it is looked for new entries.
const LOOK: Duration = Duration::from_millis(200);

/// How long entries are gathered while there are many, so that the index takes more at once.
const GATHER: Duration = Duration::from_millis(100);

/// So few at once are not many.
const FEW: usize = 20;

/// How long it is waited after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How often months that are over are dropped.
const DROP: Duration = Duration::from_secs(3_600);

/// How many bytes a reader of the journal takes at once.
const PIECE: usize = 1 << 20;

/// The index, once it has been opened.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<ArcSwapOption<Opened>>);

struct Opened(Arc<dyn Index>);

/// What is loaded from where to where.
pub(crate) struct Loading {
    pub(crate) journal: Arc<DiskJournal>,
    pub(crate) database_url: Option<Secret>,
    pub(crate) data_dir: PathBuf,
    /// Told what was loaded.
    pub(crate) consumer: Option<Consumer>,
    /// Months of the index are dropped when they are older.
    pub(crate) keep: Option<Duration>,
}

impl Slot {
    fn get(&self) -> Result<Arc<dyn Index>, QueryError> {
        let opened = self.0.load_full();
        opened
            .map(|opened| Arc::clone(&opened.0))
            .ok_or_else(|| QueryError("the index is not open yet".to_owned()))
    }

    /// Opens the index and loads it, for as long as the task lives.
    pub(crate) fn keep_loading(&self, loading: Loading) -> JoinHandle<()> {
        let slot = self.clone();
        tokio::spawn(async move {
            loop {
                if let Err(error) = slot.load(&loading).await {
                    tracing::warn!(%error, "the index does not take entries; it is tried again");
                }
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        })
    }

    async fn load(&self, loading: &Loading) -> Result<(), QueryError> {
        let index = match self.get() {
            Ok(index) => index,
            Err(_) => {
                let url = loading.database_url.as_ref().map(Secret::expose);
                let index = tollgate_store::open(url, &loading.data_dir).await?;
                self.0.store(Some(Arc::new(Opened(Arc::clone(&index)))));
                index
            }
        };
        let journal = &loading.journal;
        let follower = journal.follower(0);
        let mut loader = Loader::following(Arc::clone(&index), journal.instance(), &follower).await?;
        let mut dropped: Option<tokio::time::Instant> = None;
        loop {
            if journal.is_full() {
                // What room there is belongs to the calls under way.
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
            let begun = tokio::time::Instant::now();
            let count = loader.step().await?;
            let took = begun.elapsed();
            if let Some(consumer) = &loading.consumer {
                consumer.took(loader.taken());
            }
            if let Some(keep) = loading.keep
                && dropped.is_none_or(|at| at.elapsed() >= DROP)
            {
                if let Ok(before) = Timestamp::now().checked_sub(keep) {
                    index.drop_before(before).await?;
                }
                dropped = Some(tokio::time::Instant::now());
            }
            // It takes at most half of a core from the calls; what is left over is loaded when they are fewer.
            let pause = match count {
                0 => LOOK,
                _ if loader.is_behind() || count < FEW => took,
                _ => took.max(GATHER),
            };
            tokio::time::sleep(pause).await;
        }
    }
}

impl Records for Slot {
    fn calls(&self, filter: CallFilter) -> Answering<'_, CallPage> {
        Box::pin(async move { self.get()?.calls(filter).await })
    }

    fn call(&self, id: CallId) -> Answering<'_, Option<CallStory>> {
        Box::pin(async move { self.get()?.call(id).await })
    }

    fn trace(&self, id: String) -> Answering<'_, Option<TraceStory>> {
        Box::pin(async move { self.get()?.trace(id).await })
    }

    fn spend(&self, filter: SpendFilter) -> Answering<'_, Spend> {
        Box::pin(async move { self.get()?.spend(filter).await })
    }
}

/// The journals in a data folder, as they grow.
pub(crate) struct Folder {
    /// The data folder.
    pub(crate) data_dir: PathBuf,
    /// The chain that is written now, and its last entry.
    pub(crate) journal: Arc<DiskJournal>,
    /// What side files are encrypted with.
    pub(crate) content_key: Option<Secret>,
}

struct From(Follower);

impl Following for From {
    fn read(&mut self) -> std::io::Result<Vec<(u64, Vec<u8>)>> {
        Ok(self.0.read(PIECE)?.entries)
    }
}

impl Live for Folder {
    fn follow(&self) -> Box<dyn Following> {
        Box::new(From(Follower::new(self.journal.folder(), self.journal.last())))
    }

    fn aside(&self, instance: &str, name: &str) -> Result<Vec<u8>, QueryError> {
        let kept = aside(&self.data_dir, instance, name, self.content_key.as_ref().map(Secret::expose))?;
        if instance == self.journal.instance() && self.journal.digest_key().digest(&kept).to_string() != name
        {
            return Err(QueryError(format!(
                "the side file {name} was altered: its content has another digest"
            )));
        }
        Ok(kept)
    }
}

/// The frames in the side file `name` of the chain of `instance`.
pub(crate) fn aside(
    data_dir: &Path,
    instance: &str,
    name: &str,
    key: Option<&str>,
) -> Result<Vec<u8>, QueryError> {
    let failed = |error: &dyn std::fmt::Display| QueryError(error.to_string());
    let chains = tollgate_journal::chains(data_dir).map_err(|e| failed(&e))?;
    let chain = chains.into_iter().find(|(known, _)| known == instance);
    // Of another instance that shares the index, the content is where it was written.
    let (_, folder) =
        chain.ok_or_else(|| QueryError(format!("the content is on the instance {instance}")))?;
    let name = name.parse().map_err(|_| QueryError("this is no name of a side file".to_owned()))?;
    tollgate_journal::read_aside(&folder, name, key).map_err(|e| failed(&e))
}

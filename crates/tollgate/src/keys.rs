//! Keeping the ledger up with the registry. When its database is away, the keys that are known go on, and those that are
//! not are told to try again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::task::JoinHandle;
use tollgate_core::access::{Holder, HolderRef};
use tollgate_core::ports::{Change, Clock, KeepError, Keeping as KeptLater, Registry, Stored};
use tollgate_core::query::{Answering, QueryError};
use tollgate_core::secret::Secret;
use tollgate_ledger::Ledger;

/// How often it is looked for what others have changed: a key that is blocked elsewhere is blocked here within a second.
const LOOK: Duration = Duration::from_millis(400);

/// How long it is waited after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long the start waits for the database.
const AT_START: Duration = Duration::from_secs(5);

/// The registry, once it has been opened.
#[derive(Clone)]
struct Slot {
    opened: Arc<ArcSwapOption<Opened>>,
    database_url: Option<Secret>,
    data_dir: PathBuf,
}

struct Opened(Arc<dyn Registry>);

/// What keeps the ledger up with the registry.
pub(crate) struct Keeping {
    ledger: Arc<Ledger>,
    slot: Slot,
}

impl Keeping {
    /// Opens the registry and reads it, where its database is there.
    pub(crate) async fn begin(
        ledger: Arc<Ledger>,
        database_url: Option<Secret>,
        data_dir: &Path,
        clock: &dyn Clock,
    ) -> Self {
        let slot = Slot { opened: Arc::default(), database_url, data_dir: data_dir.to_owned() };
        let keeping = Self { ledger, slot };
        match tokio::time::timeout(AT_START, keeping.look(clock)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "keys cannot be read; it is tried again"),
            Err(_) => tracing::warn!("keys cannot be read: the database does not answer; it is tried again"),
        }
        keeping
    }

    /// The registry, for whoever changes it.
    pub(crate) fn registry(&self) -> Arc<dyn Registry> {
        Arc::new(self.slot.clone())
    }

    async fn look(&self, clock: &dyn Clock) -> Result<(), QueryError> {
        let registry = self.slot.get().await?;
        self.ledger.follow(&*registry, clock.now()).await
    }

    /// Reads what others change, for as long as the task lives.
    pub(crate) fn keep_following(self, clock: Arc<dyn Clock>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut failing = false;
            loop {
                let looked = self.look(&*clock).await;
                if let Err(error) = &looked
                    && !failing
                {
                    tracing::warn!(%error, "keys cannot be read; those that are known go on");
                }
                failing = looked.is_err();
                self.ledger.forget_past(clock.now());
                tokio::time::sleep(if failing { AFTER_FAILURE } else { LOOK }).await;
            }
        })
    }
}

impl Slot {
    async fn get(&self) -> Result<Arc<dyn Registry>, QueryError> {
        if let Some(opened) = self.opened.load_full() {
            return Ok(Arc::clone(&opened.0));
        }
        let url = self.database_url.as_ref().map(Secret::expose);
        let registry = tollgate_store::open_registry(url, &self.data_dir).await?;
        self.opened.store(Some(Arc::new(Opened(Arc::clone(&registry)))));
        Ok(registry)
    }
}

impl Registry for Slot {
    fn changed_after(&self, change: Change) -> Answering<'_, Vec<Stored>> {
        Box::pin(async move { self.get().await?.changed_after(change).await })
    }

    fn keep<'a>(&'a self, holder: &'a Holder, expected: Option<Change>) -> KeptLater<'a> {
        Box::pin(async move {
            let registry = self.get().await.map_err(|error| KeepError::Away(error.to_string()))?;
            registry.keep(holder, expected).await
        })
    }

    fn remove<'a>(&'a self, holder: &'a HolderRef, expected: Change) -> KeptLater<'a> {
        Box::pin(async move {
            let registry = self.get().await.map_err(|error| KeepError::Away(error.to_string()))?;
            registry.remove(holder, expected).await
        })
    }
}

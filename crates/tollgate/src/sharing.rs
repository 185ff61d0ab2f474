//! What several instances share, opened when its store is first there.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tollgate_core::config::budgets::Budgets;
use tollgate_core::ports::{Documents, Journal, Rewritten, Shelf};
use tollgate_core::query::{Answering, QueryError};
use tollgate_core::secret::Secret;
use tollgate_ledger::{Ledger, Sharing};

/// How long the start waits for the others.
const AT_START: Duration = Duration::from_secs(5);

/// A shelf that is opened when it is first asked for and its store is there.
struct Later {
    url: Secret,
    opened: OnceCell<Arc<dyn Shelf>>,
}

impl Later {
    async fn get(&self) -> Result<&Arc<dyn Shelf>, QueryError> {
        let open = || async { Ok::<_, QueryError>(tollgate_store::open_shelf(self.url.expose()).await?) };
        self.opened.get_or_try_init(open).await
    }
}

impl Shelf for Later {
    fn read<'a>(&'a self, names: &'a [String]) -> Answering<'a, Documents> {
        Box::pin(async move { self.get().await?.read(names).await })
    }

    fn write<'a>(&'a self, documents: &'a [Rewritten]) -> Answering<'a, Vec<bool>> {
        Box::pin(async move { self.get().await?.write(documents).await })
    }

    fn naming<'a>(&'a self, who: &'a str) -> Answering<'a, Vec<String>> {
        Box::pin(async move { self.get().await?.naming(who).await })
    }
}

/// What several instances share, and which of them this one is.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Where it is.
    pub(crate) shelf: Arc<dyn Shelf>,
    /// This instance: never the same for two data folders.
    pub(crate) who: Arc<str>,
}

impl Shared {
    /// What `who` shares with others, where `budgets` say over what.
    pub(crate) fn of(budgets: &Budgets, who: &str) -> Option<Self> {
        let url = budgets.shared_at.clone()?;
        Some(Self { shelf: Arc::new(Later { url, opened: OnceCell::new() }), who: who.into() })
    }

    /// A ledger that shares its rules there, and tells the others to reach this instance at `advertise_url`; with nobody, where nothing is shared.
    pub(crate) fn ledger(
        shared: Option<&Self>,
        journal: Arc<dyn Journal>,
        budgets: &Budgets,
        advertise_url: Option<Arc<str>>,
    ) -> Arc<Ledger> {
        let sharing = shared.map(|Self { shelf, who }| {
            Sharing::new(Arc::clone(shelf), Arc::clone(who), budgets.lease, advertise_url)
        });
        Arc::new(match sharing {
            None => Ledger::new(journal),
            Some(sharing) => Ledger::sharing(journal, sharing),
        })
    }
}

/// Ends the exchange, and gives back what is not used.
pub(crate) async fn end(ledger: &Ledger, keeping: JoinHandle<()>) {
    keeping.abort();
    let _ = keeping.await;
    if let Err(error) = ledger.stop_sharing().await {
        tracing::warn!(%error, "what this instance has taken of budgets and not used counts as spent until it is back");
    }
}

/// Exchanges with the other instances for as long as the task lives. Waits for the first time, where the store is there.
pub(crate) async fn begin(ledger: &Arc<Ledger>) -> JoinHandle<()> {
    let keeping = tokio::spawn({
        let ledger = Arc::clone(ledger);
        async move { ledger.keep_sharing().await }
    });
    if let Some(sharing) = ledger.shared()
        && tokio::time::timeout(AT_START, sharing.ask()).await.is_err()
    {
        tracing::warn!("what instances share does not answer; it is tried again");
    }
    keeping
}

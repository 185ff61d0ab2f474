//! The registry, once its database is there: nobody waits for it at the start for long, and whoever changes something
//! meanwhile is told.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tollgate_core::access::Holder;
use tollgate_core::addition::Addition;
use tollgate_core::approval::Approval;
use tollgate_core::contract::ToolContract;
use tollgate_core::document::{Document, DocumentRef};
use tollgate_core::ports::{Change, KeepError, Keeping, Registry, Stored};
use tollgate_core::query::{Answering, QueryError};
use tollgate_core::secret::Secret;
use tollgate_store::Registries;

/// The registry, once it has been opened.
#[derive(Clone)]
pub(crate) struct Slot {
    opened: Arc<ArcSwapOption<Registries>>,
    database_url: Option<Secret>,
    data_dir: PathBuf,
}

/// A sort of documents that has a registry.
pub(crate) trait Sort: Document {
    fn of(registries: &Registries) -> &Arc<dyn Registry<Self>>;
}

impl Sort for Holder {
    fn of(registries: &Registries) -> &Arc<dyn Registry<Self>> {
        &registries.holders
    }
}

impl Sort for ToolContract {
    fn of(registries: &Registries) -> &Arc<dyn Registry<Self>> {
        &registries.contracts
    }
}

impl Sort for Approval {
    fn of(registries: &Registries) -> &Arc<dyn Registry<Self>> {
        &registries.approvals
    }
}

impl Sort for Addition {
    fn of(registries: &Registries) -> &Arc<dyn Registry<Self>> {
        &registries.additions
    }
}

impl Slot {
    /// The registry at `database_url`, or in a file in `data_dir`; not opened yet.
    pub(crate) fn new(database_url: Option<Secret>, data_dir: PathBuf) -> Self {
        Self { opened: Arc::default(), database_url, data_dir }
    }

    async fn of<D: Sort>(&self) -> Result<Arc<dyn Registry<D>>, QueryError> {
        if let Some(opened) = self.opened.load_full() {
            return Ok(Arc::clone(D::of(&opened)));
        }
        let url = self.database_url.as_ref().map(Secret::expose);
        let registries = tollgate_store::open_registry(url, &self.data_dir).await?;
        let own = Arc::clone(D::of(&registries));
        self.opened.store(Some(Arc::new(registries)));
        Ok(own)
    }

    async fn to_change<D: Sort>(&self) -> Result<Arc<dyn Registry<D>>, KeepError> {
        self.of().await.map_err(|error| KeepError::Away(error.to_string()))
    }
}

impl<D: Sort> Registry<D> for Slot {
    fn changed_after(&self, change: Change) -> Answering<'_, Vec<Stored<D>>> {
        Box::pin(async move { self.of::<D>().await?.changed_after(change).await })
    }

    fn keep<'a>(&'a self, document: &'a D, expected: Option<Change>) -> Keeping<'a> {
        Box::pin(async move { self.to_change::<D>().await?.keep(document, expected).await })
    }

    fn remove<'a>(&'a self, name: &'a DocumentRef<D::Kind>, expected: Change) -> Keeping<'a> {
        Box::pin(async move { self.to_change::<D>().await?.remove(name, expected).await })
    }
}

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
use tollgate_core::identity::{Login, SigningKey};
use tollgate_core::ports::{Change, Documents, KeepError, Keeping, Registry, Rewritten, Shelf, Stored};
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

impl Sort for Login {
    fn of(registries: &Registries) -> &Arc<dyn Registry<Self>> {
        &registries.logins
    }
}

impl Sort for SigningKey {
    fn of(registries: &Registries) -> &Arc<dyn Registry<Self>> {
        &registries.signing_keys
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

    async fn all(&self) -> Result<Arc<Registries>, QueryError> {
        if let Some(opened) = self.opened.load_full() {
            return Ok(opened);
        }
        let url = self.database_url.as_ref().map(Secret::expose);
        let registries = Arc::new(tollgate_store::open_registry(url, &self.data_dir).await?);
        self.opened.store(Some(Arc::clone(&registries)));
        Ok(registries)
    }

    async fn of<D: Sort>(&self) -> Result<Arc<dyn Registry<D>>, QueryError> {
        Ok(Arc::clone(D::of(&*self.all().await?)))
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

impl Shelf for Slot {
    fn read<'a>(&'a self, names: &'a [String]) -> Answering<'a, Documents> {
        Box::pin(async move { self.all().await?.shelf.read(names).await })
    }

    fn write<'a>(&'a self, documents: &'a [Rewritten]) -> Answering<'a, Vec<bool>> {
        Box::pin(async move { self.all().await?.shelf.write(documents).await })
    }

    fn naming<'a>(&'a self, who: &'a str) -> Answering<'a, Vec<String>> {
        Box::pin(async move { self.all().await?.shelf.naming(who).await })
    }
}

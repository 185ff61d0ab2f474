//! A registry in memory, which can be away.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tollgate_core::access::Holder;
use tollgate_core::document::{Document, DocumentRef};
use tollgate_core::ports::{Change, KeepError, Keeping, Registry, Stored};
use tollgate_core::query::{Answering, QueryError};

/// A registry of one sort of documents in memory, which can be away.
#[derive(Debug)]
pub struct MemoryRegistry<D: Document = Holder> {
    rows: Mutex<Vec<Stored<D>>>,
    away: AtomicBool,
}

impl<D: Document> Default for MemoryRegistry<D> {
    fn default() -> Self {
        Self { rows: Mutex::default(), away: AtomicBool::new(false) }
    }
}

impl<D: Document> MemoryRegistry<D> {
    /// Whether its database is away from now on.
    pub fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn write(
        &self,
        name: DocumentRef<D::Kind>,
        document: Option<D>,
        expected: Option<Change>,
    ) -> Result<Change, KeepError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(KeepError::Away("the database is away".to_owned()));
        }
        let mut rows = self.rows.lock();
        let known = rows.iter().position(|row| row.name == name);
        let current = known.and_then(|at| rows[at].document.as_ref().map(|_| rows[at].change));
        if current != expected {
            return Err(KeepError::Conflict);
        }
        let change = rows.iter().map(|row| row.change).max().unwrap_or(0) + 1;
        if let Some(at) = known {
            rows.remove(at);
        }
        rows.push(Stored { name, change, document });
        Ok(change)
    }
}

impl<D: Document> Registry<D> for MemoryRegistry<D> {
    fn changed_after(&self, change: Change) -> Answering<'_, Vec<Stored<D>>> {
        Box::pin(async move {
            if self.away.load(Ordering::SeqCst) {
                return Err(QueryError("the database is away".to_owned()));
            }
            Ok(self.rows.lock().iter().filter(|row| row.change > change).cloned().collect())
        })
    }

    fn keep<'a>(&'a self, document: &'a D, expected: Option<Change>) -> Keeping<'a> {
        Box::pin(async move { self.write(document.document(), Some(document.clone()), expected) })
    }

    fn remove<'a>(&'a self, name: &'a DocumentRef<D::Kind>, expected: Change) -> Keeping<'a> {
        Box::pin(async move { self.write(name.clone(), None, Some(expected)) })
    }
}

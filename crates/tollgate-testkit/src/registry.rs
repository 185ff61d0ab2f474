//! A registry in memory, which can be away.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tollgate_core::access::{Holder, HolderRef};
use tollgate_core::ports::{Change, KeepError, Keeping, Registry, Stored};
use tollgate_core::query::{Answering, QueryError};

/// A registry in memory, which can be away.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    rows: Mutex<Vec<Stored>>,
    away: AtomicBool,
}

impl MemoryRegistry {
    /// Whether its database is away from now on.
    pub fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn write(
        &self,
        name: HolderRef,
        holder: Option<Holder>,
        expected: Option<Change>,
    ) -> Result<Change, KeepError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(KeepError::Away("the database is away".to_owned()));
        }
        let mut rows = self.rows.lock();
        let known = rows.iter().position(|row| row.name == name);
        let current = known.and_then(|at| rows[at].holder.as_ref().map(|_| rows[at].change));
        if current != expected {
            return Err(KeepError::Conflict);
        }
        let change = rows.iter().map(|row| row.change).max().unwrap_or(0) + 1;
        if let Some(at) = known {
            rows.remove(at);
        }
        rows.push(Stored { name, change, holder });
        Ok(change)
    }
}

impl Registry for MemoryRegistry {
    fn changed_after(&self, change: Change) -> Answering<'_, Vec<Stored>> {
        Box::pin(async move {
            if self.away.load(Ordering::SeqCst) {
                return Err(QueryError("the database is away".to_owned()));
            }
            Ok(self.rows.lock().iter().filter(|row| row.change > change).cloned().collect())
        })
    }

    fn keep<'a>(&'a self, holder: &'a Holder, expected: Option<Change>) -> Keeping<'a> {
        Box::pin(async move { self.write(holder.name(), Some(holder.clone()), expected) })
    }

    fn remove<'a>(&'a self, holder: &'a HolderRef, expected: Change) -> Keeping<'a> {
        Box::pin(async move { self.write(holder.clone(), None, Some(expected)) })
    }
}

//! A journal in memory.

use parking_lot::Mutex;
use serde_json::Value;
use tollgate_core::ports::{Journal, JournalError};
use tollgate_core::record::Entry;

/// A journal in memory, which can be made to fail.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    entries: Mutex<Vec<Value>>,
    broken: Mutex<bool>,
}

impl MemoryJournal {
    /// Every entry so far.
    pub fn entries(&self) -> Vec<Value> {
        self.entries.lock().clone()
    }

    /// The entries whose `entry` is `kind`.
    pub fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.entries.lock().iter().filter(|entry| entry["entry"] == kind).cloned().collect()
    }

    /// From now on nothing can be written, or everything again.
    pub fn set_broken(&self, broken: bool) {
        *self.broken.lock() = broken;
    }
}

impl Journal for MemoryJournal {
    fn append(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let failed = |reason: &str| JournalError { place: "memory".to_owned(), reason: reason.to_owned() };
        if *self.broken.lock() {
            return Err(failed("no space left"));
        }
        let value = serde_json::to_value(entry).map_err(|e| failed(&e.to_string()))?;
        self.entries.lock().push(value);
        Ok(())
    }
}

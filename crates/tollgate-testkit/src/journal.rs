//! A journal in memory.

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tollgate_core::digest::{Digest, DigestKey};
use tollgate_core::ports::{Journal, JournalError, Offered, Position, Safe};
use tollgate_core::record::Entry;

/// A journal in memory, which can be made to fail.
#[derive(Debug)]
pub struct MemoryJournal {
    entries: Mutex<Vec<Value>>,
    aside: Mutex<Vec<(Digest, Vec<u8>)>>,
    broken: Mutex<bool>,
    /// What is safe from a power cut; `None` where nobody waits for that.
    safe: watch::Sender<Option<Position>>,
    key: DigestKey,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        let key = DigestKey::derive(b"test");
        Self {
            entries: Mutex::default(),
            aside: Mutex::default(),
            broken: Mutex::default(),
            safe: watch::Sender::new(None),
            key,
        }
    }
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

    /// From now on calls wait until entries are safe, and all entries up to `position` are.
    pub fn safe_to(&self, position: Position) {
        self.safe.send_replace(Some(position));
    }

    /// The content that is kept aside under `name`.
    pub fn aside(&self, name: &str) -> Option<Vec<u8>> {
        self.aside.lock().iter().find(|(known, _)| known.to_string() == name).map(|(_, kept)| kept.clone())
    }

    /// From now on nothing can be written, or everything again.
    pub fn set_broken(&self, broken: bool) {
        *self.broken.lock() = broken;
    }

    fn write(&self, entry: &Entry<'_>) -> Result<Position, JournalError> {
        let failed = |reason: &str| JournalError { place: "memory".to_owned(), reason: reason.to_owned() };
        if *self.broken.lock() {
            return Err(failed("no space left"));
        }
        let value = serde_json::to_value(entry).map_err(|e| failed(&e.to_string()))?;
        let mut entries = self.entries.lock();
        entries.push(value);
        Ok(entries.len() as Position)
    }
}

impl Journal for MemoryJournal {
    fn offer(&self, entry: &Entry<'_>) -> Offered {
        Offered::settled(self.write(entry))
    }

    fn collect(&self, offered: &Offered) -> Result<Position, JournalError> {
        offered.result().cloned().unwrap_or(Ok(0))
    }

    fn safe(&self, position: Position) -> Option<Safe> {
        (*self.safe.borrow())?;
        let mut safe = self.safe.subscribe();
        Some(Box::pin(async move {
            // The sender lives as long as the journal.
            let _ = safe.wait_for(|safe| safe.is_none_or(|safe| safe >= position)).await;
            Ok(())
        }))
    }

    fn ready(&self) -> Result<(), JournalError> {
        let broken = JournalError { place: "memory".to_owned(), reason: "no space left".to_owned() };
        if *self.broken.lock() { Err(broken) } else { Ok(()) }
    }

    fn keep_aside(&self, frames: &[u8]) -> Result<Digest, JournalError> {
        self.ready()?;
        let name = self.key.digest(frames);
        self.aside.lock().push((name, frames.to_vec()));
        Ok(name)
    }

    fn digest_key(&self) -> &DigestKey {
        &self.key
    }
}

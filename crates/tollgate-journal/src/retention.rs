//! Removing what is old: sealed segments whose time is over and which everybody has taken.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use tollgate_core::ports::Position;

use crate::statement::{Removed, Statement};
use crate::writer::Shared;
use crate::{aside, manifest, segment};

/// Somebody who takes entries from the journal.
#[derive(Clone, Debug)]
pub struct Consumer(Arc<AtomicU64>);

impl Consumer {
    /// Everything up to `position` was taken and will not be asked for again.
    pub fn took(&self, position: Position) {
        self.0.fetch_max(position, Ordering::Relaxed);
    }
}

/// Everybody who takes entries.
#[derive(Debug)]
pub(crate) struct Consumers(Vec<(&'static str, bool, Consumer)>);

impl Consumers {
    pub(crate) fn new(takers: &[(&'static str, bool)]) -> Self {
        Self(takers.iter().map(|(name, patient)| (*name, *patient, Consumer(Arc::default()))).collect())
    }

    pub(crate) fn find(&self, name: &str) -> Option<Consumer> {
        self.0.iter().find(|(known, ..)| *known == name).map(|(.., consumer)| consumer.clone())
    }

    /// What all have taken; of those that only some wait for, where `patient` is set.
    fn taken(&self, patient_only: bool) -> Position {
        let counted = self.0.iter().filter(|(_, patient, _)| *patient || !patient_only);
        counted.map(|(_, _, consumer)| consumer.0.load(Ordering::Relaxed)).min().unwrap_or(Position::MAX)
    }
}

/// How old something is; a clock that was set back makes nothing old.
pub(crate) fn age(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

impl Shared {
    /// Removes segments whose time is over, the oldest first.
    pub(crate) fn retire(&self) -> std::io::Result<()> {
        let Some(keep) = self.options.keep else { return Ok(()) };
        let _one_at_a_time = self.retiring.lock();
        let now = self.clock.now();
        let read = manifest::Manifest::read(&self.folder)?;
        let gone: Vec<Position> = read.removed().map(|removed| removed.first).collect();
        for sealed in read.segments().filter(|segment| !gone.contains(&segment.first)) {
            let age = age(now, sealed.at);
            let waited_enough = age >= keep + self.options.wait_for_sink;
            if age < keep || sealed.last > self.consumers.taken(waited_enough) {
                // What follows is younger.
                return Ok(());
            }
            let removed =
                Removed { instance: self.instance.clone(), first: sealed.first, last: sealed.last, at: now };
            // Stated first: a crash between the two leaves a segment that the next run removes.
            manifest::add(&self.folder, &Statement::Removed(removed), &self.keys)?;
            remove_files(&self.folder, sealed.first)?;
            tracing::info!(first = sealed.first, last = sealed.last, "a segment of the journal was removed");
        }
        Ok(())
    }

    /// Removes what a crash has left of segments that are stated as removed.
    pub(crate) fn finish_retiring(&self) -> std::io::Result<()> {
        for removed in manifest::Manifest::read(&self.folder)?.removed() {
            remove_files(&self.folder, removed.first)?;
        }
        Ok(())
    }
}

/// Removes the segment that begins with `first`, and the side files of the one before: an entry may stand in the
/// segment after its file.
fn remove_files(folder: &Path, first: Position) -> std::io::Result<()> {
    let plain = segment::path(folder, first);
    for path in [plain.with_extension("jsonl.zst"), plain] {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    aside::remove_before(folder, first)
}

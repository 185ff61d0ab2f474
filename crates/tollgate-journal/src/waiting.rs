//! Entries that wait to be written. What calls offer while another call's entries are being written, or while the runtime
//! goes round, is written at once: under load the system is asked once for many calls.

use tollgate_core::config::recording::WhenFull;
use tollgate_core::ports::{JournalError, Offered, Position};
use tollgate_core::record::Entry;

use crate::hash::Hash;
use crate::line::Composed;
use crate::state::Change;
use crate::writer::{Inner, Shared};

/// The largest entry: what is larger was not bounded where it should have been.
const LONGEST_ENTRY: usize = 8 << 20;

/// Entries that are written at once, unless one alone is larger.
const LONGEST_WRITE: usize = 256 << 10;

/// A segment that could not be begun is tried again after so many bytes.
const TRY_AGAIN: u64 = 1 << 20;

/// An entry that waits to be written.
#[derive(Debug)]
pub(crate) struct Waiting {
    composed: Composed,
    change: Change,
    /// What whoever offered it looks at.
    pub(crate) offered: Offered,
}

impl Waiting {
    /// `entry`, written out: the larger part of the work, and outside of all locks.
    pub(crate) fn new(entry: &Entry<'_>) -> Result<Self, String> {
        let composed = Composed::new(entry).map_err(|error| error.to_string())?;
        if composed.len() > LONGEST_ENTRY {
            return Err(format!("an entry is larger than {LONGEST_ENTRY} bytes"));
        }
        Ok(Self { composed, change: Change::of(entry), offered: Offered::default() })
    }
}

impl Shared {
    /// Writes what waits, and settles it.
    pub(crate) fn write_waiting(&self, inner: &mut Inner) {
        let mut waiting = std::mem::take(&mut *self.waiting.lock()).into_iter().peekable();
        while waiting.peek().is_some() {
            self.write_together(inner, next_together(&mut waiting));
            if inner.length >= inner.rotate_at && self.rotate(inner).is_err() {
                inner.rotate_at = inner.length + TRY_AGAIN;
            }
        }
    }

    /// Writes `entries` at once; one by one where that fails, so that each has the answer that is its own.
    fn write_together(&self, inner: &mut Inner, mut entries: Vec<Waiting>) {
        let alone = entries.len() == 1 || inner.full || inner.failed.is_some();
        if alone || self.put_together(inner, &mut entries).is_err() {
            for entry in entries {
                self.write_alone(inner, entry);
            }
            return;
        }
        let first = inner.seq + 1 - entries.len() as Position;
        for (position, entry) in (first..).zip(entries) {
            inner.state.take(entry.change, entry.composed);
            entry.offered.settle(Ok(position));
        }
    }

    fn put_together(&self, inner: &mut Inner, entries: &mut [Waiting]) -> std::io::Result<()> {
        let (mut seq, mut hash) = (inner.seq, inner.hash);
        let mut lines = Vec::with_capacity(entries.iter().map(|entry| entry.composed.len()).sum());
        for entry in entries {
            seq += 1;
            let line = entry.composed.numbered(seq, hash);
            hash = Hash::of(&line[..line.len() - 1]);
            lines.extend_from_slice(line);
        }
        self.put_lines(inner, &lines, seq, hash)
    }

    fn write_alone(&self, inner: &mut Inner, entry: Waiting) {
        let Waiting { mut composed, change, offered } = entry;
        if inner.full && !change.begins() && !inner.state.ends(&change) {
            // What room there is belongs to the calls under way: this is only counted.
            inner.unrecorded += 1;
            offered.settle(Ok(0));
            return;
        }
        match self.write(inner, &mut composed, change.begins()) {
            Ok(position) => {
                inner.state.take(change, composed);
                offered.settle(Ok(position));
            }
            Err(error) => {
                inner.unrecorded += 1;
                offered.settle(self.unless_unrecorded(error));
            }
        }
    }

    /// What a caller is told of an entry that could not be written.
    fn unless_unrecorded(&self, error: JournalError) -> Result<Position, JournalError> {
        match self.options.when_full {
            WhenFull::Continue => Ok(0),
            WhenFull::Refuse => Err(error),
        }
    }
}

/// The next entries that are written at once: one at least.
fn next_together(waiting: &mut std::iter::Peekable<impl Iterator<Item = Waiting>>) -> Vec<Waiting> {
    let mut bytes = 0;
    let mut together = Vec::new();
    while let Some(next) = waiting.next_if(|next| bytes == 0 || bytes + next.composed.len() <= LONGEST_WRITE)
    {
        bytes += next.composed.len();
        together.push(next);
    }
    together
}

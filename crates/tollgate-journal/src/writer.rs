//! Appending: numbering, chaining and writing entries, and cutting the chain into segments.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use serde_json::json;
use tokio::sync::watch;
use tollgate_core::digest::{Digest, DigestKey};
use tollgate_core::ports::{Clock, Journal, JournalError, Offered, Position, Safe};
use tollgate_core::record::{Checkpoint, Counts, Entry, Event};

use crate::follow::Follower;
use crate::hash::Hash;
use crate::keys::Keys;
use crate::line::Composed;
use crate::options::Options;
use crate::private::private;
use crate::reserve::Reserve;
use crate::retention::{Consumer, Consumers};
use crate::state::State;
use crate::statement::{Segment, Signed};
use crate::waiting::Waiting;
use crate::{aside, segment};
use tollgate_core::config::recording::{Sync, WhenFull};

/// An instance's journal on a disk.
#[derive(Debug)]
pub struct DiskJournal {
    pub(crate) shared: Arc<Shared>,
    pub(crate) threads: Vec<JoinHandle<()>>,
}

/// What appending shares with the threads behind it.
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    pub(crate) instance: String,
    pub(crate) keys: Keys,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    /// What was offered and is not written, in the order in which it came. Locked after `inner`, and never for long.
    pub(crate) waiting: Mutex<Vec<Waiting>>,
    pub(crate) inner: Mutex<Inner>,
    /// Tells the syncer that there is something to sync.
    pub(crate) written: Condvar,
    /// Tells the keeper that a segment was sealed.
    pub(crate) sealed: Condvar,
    pub(crate) safe: watch::Sender<Synced>,
    pub(crate) heads: watch::Sender<Option<Signed>>,
    pub(crate) consumers: Consumers,
    pub(crate) reserve: Reserve,
    pub(crate) retiring: Mutex<()>,
    pub(crate) stopping: AtomicBool,
    /// Keeps other gates out for as long as it is open.
    pub(crate) _lock: File,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// How far the disk has everything.
pub(crate) type Synced = Result<Position, JournalError>;

/// The end of the chain.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) file: Arc<File>,
    /// The segment's first entry, and the hash of the one before it.
    pub(crate) first: (Position, Hash),
    pub(crate) began: Timestamp,
    pub(crate) length: u64,
    pub(crate) seq: Position,
    pub(crate) hash: Hash,
    pub(crate) state: State,
    /// The disk is full: what is held back is being used up.
    pub(crate) full: bool,
    /// The file can no longer be trusted; only a restart helps.
    pub(crate) failed: Option<JournalError>,
    /// The last write failed.
    pub(crate) erring: bool,
    /// Entries that were not written while the disk was full.
    pub(crate) unrecorded: u64,
    pub(crate) rotate_at: u64,
    /// Segments that are sealed and not yet in the manifest, or not yet compressed.
    pub(crate) to_seal: VecDeque<Segment>,
    /// Entries that found no room and are written when there is some.
    pub(crate) late: VecDeque<serde_json::Value>,
}

impl Shared {
    pub(crate) fn error(&self, reason: impl Into<String>) -> JournalError {
        JournalError { place: self.folder.display().to_string(), reason: reason.into() }
    }

    /// Writes an entry at the end of the chain. `begins` says that a call waits for it to go on.
    pub(crate) fn write(
        &self,
        inner: &mut Inner,
        composed: &mut Composed,
        begins: bool,
    ) -> Result<Position, JournalError> {
        if let Some(failed) = &inner.failed {
            return Err(failed.clone());
        }
        if inner.full && begins {
            return Err(self.error("the disk is full"));
        }
        match self.put(inner, composed) {
            Err(error) if is_full(&error) && !inner.full => {
                self.filled_up(inner);
                if begins {
                    Err(self.error("the disk is full"))
                } else {
                    self.put(inner, composed).map_err(|e| self.error(e.to_string()))
                }
            }
            other => other.map_err(|error| self.error(error.to_string())),
        }
    }

    /// The disk is full: what was held back is given free for what is under way, and that is put on record.
    fn filled_up(&self, inner: &mut Inner) {
        inner.full = true;
        let calls = match self.options.when_full {
            WhenFull::Refuse => "are refused",
            WhenFull::Continue => "go on unrecorded",
        };
        tracing::error!(calls, "the disk of the journal is full: until it has room, new calls");
        self.reserve.release();
        let detail = json!({ "reserve_bytes": self.options.reserve_bytes });
        let _ = self.put_event(inner, "journal_full", detail);
    }

    /// Writes what had found no room.
    pub(crate) fn write_late(&self, inner: &mut Inner) {
        while let Some(entry) = inner.late.pop_front() {
            if self.put_value(inner, &entry).is_err() {
                inner.late.push_front(entry);
                return;
            }
        }
    }

    fn put(&self, inner: &mut Inner, composed: &mut Composed) -> std::io::Result<Position> {
        let seq = inner.seq + 1;
        let line = composed.numbered(seq, inner.hash);
        self.put_lines(inner, line, seq, Hash::of(&line[..line.len() - 1]))?;
        Ok(seq)
    }

    /// Writes lines, of which the last has the number `seq` and the hash `hash`, at once. What a failed write has left of
    /// them is taken back.
    pub(crate) fn put_lines(
        &self,
        inner: &mut Inner,
        lines: &[u8],
        seq: Position,
        hash: Hash,
    ) -> std::io::Result<()> {
        if let Err(error) = (&*inner.file).write_all(lines) {
            if !std::mem::replace(&mut inner.erring, true) {
                tracing::error!(%error, folder = %self.folder.display(), "entries of the journal cannot be written");
            }
            if inner.file.set_len(inner.length).is_err() {
                inner.failed = Some(self.error(format!("a part of a line cannot be taken back: {error}")));
            }
            return Err(error);
        }
        (inner.seq, inner.hash, inner.erring) = (seq, hash, false);
        inner.length += lines.len() as u64;
        Ok(())
    }

    /// Writes an event of the journal's own.
    pub(crate) fn put_event(
        &self,
        inner: &mut Inner,
        event: &str,
        detail: serde_json::Value,
    ) -> std::io::Result<Position> {
        let event = Event { at: self.clock.now(), event, call_id: None, detail };
        self.put(inner, &mut Composed::new(&Entry::Event(&event))?)
    }

    /// Writes an entry that was put together from another one.
    pub(crate) fn put_value(
        &self,
        inner: &mut Inner,
        value: &serde_json::Value,
    ) -> std::io::Result<Position> {
        let written = self.put(inner, &mut Composed::new(value)?)?;
        inner.state.take_line(value.to_string().as_bytes());
        Ok(written)
    }

    /// Seals the segment and begins the next one.
    pub(crate) fn rotate(&self, inner: &mut Inner) -> std::io::Result<()> {
        if self.options.sync != Sync::Off
            && let Err(error) = inner.file.sync_data()
        {
            inner.failed = Some(self.untrusted(&error));
            return Err(error);
        }
        let (first, prev) = (inner.seq + 1, inner.hash);
        let (file, hash, length) =
            begin(&self.folder, first, prev, &inner.state.checkpoint(self.clock.now()))?;
        let (begins, before) = inner.first;
        inner.to_seal.push_back(Segment {
            instance: self.instance.clone(),
            first: begins,
            prev: before,
            last: inner.seq,
            hash: prev,
            bytes: inner.length,
            at: self.clock.now(),
        });
        inner.file = Arc::new(file);
        (inner.first, inner.began, inner.length) = ((first, prev), self.clock.now(), length);
        (inner.seq, inner.hash) = (first, hash);
        // A checkpoint that fills a segment by itself must not make each entry begin another one.
        inner.rotate_at = self.options.segment_bytes.max(2 * length);
        self.sealed.notify_one();
        Ok(())
    }

    /// Notes that the disk did not take what was written, for good: what was not written then may be gone though a second
    /// try succeeds. Only a restart, which reads what is there, knows.
    pub(crate) fn untrusted(&self, error: &std::io::Error) -> JournalError {
        let error = self.error(format!("the disk did not take what was written: {error}"));
        tracing::error!(%error, "the journal has failed; new calls are refused until a restart");
        let _ = self.safe.send_replace(Err(error.clone()));
        error
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// A new segment with its first line, on the disk; the hash and the size of that line. Nothing is left of one that cannot
/// be begun.
pub(crate) fn begin(
    folder: &Path,
    first: Position,
    prev: Hash,
    checkpoint: &Checkpoint<'_>,
) -> std::io::Result<(File, Hash, u64)> {
    let path = segment::path(folder, first);
    let mut composed = Composed::new(&Entry::Checkpoint(checkpoint))?;
    let line = composed.numbered(first, prev);
    let mut options = private();
    options.create_new(true).append(true);
    let mut file = options.open(&path)?;
    let begun = file.write_all(line).and_then(|()| file.sync_data()).and_then(|()| sync_folder(&path));
    begun.inspect_err(|_| {
        let _ = std::fs::remove_file(&path);
    })?;
    Ok((file, Hash::of(&line[..line.len() - 1]), line.len() as u64))
}

/// Makes the name of a new file safe.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

impl Journal for DiskJournal {
    fn offer(&self, entry: &Entry<'_>) -> Offered {
        match Waiting::new(entry) {
            Ok(waiting) => {
                let offered = waiting.offered.clone();
                self.shared.waiting.lock().push(waiting);
                offered
            }
            Err(reason) => Offered::settled(Err(self.shared.error(reason))),
        }
    }

    fn collect(&self, offered: &Offered) -> Result<Position, JournalError> {
        if offered.result().is_none() {
            self.shared.write_waiting(&mut self.shared.inner.lock());
            if self.shared.options.sync == Sync::Every {
                self.shared.written.notify_one();
            }
        }
        // There is always a result now: what waits is settled under the lock that was held.
        offered.result().cloned().unwrap_or_else(|| Err(self.shared.error("the entry was not written")))
    }

    fn safe(&self, position: Position) -> Option<Safe> {
        if self.shared.options.sync != Sync::Every {
            return None;
        }
        let mut safe = self.shared.safe.subscribe();
        let gone = self.shared.error("the journal is closed");
        Some(Box::pin(async move {
            let reached = |synced: &Synced| synced.as_ref().map_or(true, |synced| *synced >= position);
            match safe.wait_for(reached).await {
                Ok(synced) => (*synced).as_ref().map(|_| ()).map_err(Clone::clone),
                Err(_) => Err(gone),
            }
        }))
    }

    fn ready(&self) -> Result<(), JournalError> {
        let inner = self.shared.inner.lock();
        match &inner.failed {
            _ if self.shared.options.when_full == WhenFull::Continue => Ok(()),
            Some(failed) => Err(failed.clone()),
            None if inner.full => Err(self.shared.error("the disk is full")),
            None => Ok(()),
        }
    }

    fn keep_aside(&self, frames: &[u8]) -> Result<Digest, JournalError> {
        let first = self.shared.inner.lock().first.0;
        let folder = aside::folder(&self.shared.folder, first);
        let sync = self.shared.options.sync == Sync::Every;
        let keep = || aside::keep(&folder, frames, &self.shared.keys, sync);
        let kept = match keep() {
            Err(error) if is_full(&error) => {
                let mut inner = self.shared.inner.lock();
                if !inner.full {
                    self.shared.filled_up(&mut inner);
                }
                drop(inner);
                keep()
            }
            kept => kept,
        };
        kept.map_err(|e| self.shared.error(e.to_string()))
    }

    fn later(&self, entry: &Entry<'_>) {
        // More than that is a disk that has been full for long under load, where new calls are refused anyway.
        const MOST: usize = 20_000;
        let mut inner = self.shared.inner.lock();
        if inner.late.len() < MOST
            && matches!(entry, Entry::Closed(closed) if inner.state.is_open(closed.call_id))
            && let Ok(value) = serde_json::to_value(entry)
        {
            inner.late.push_back(value);
        }
    }

    fn digest_key(&self) -> &DigestKey {
        &self.shared.keys.digest
    }
}

impl DiskJournal {
    /// The folder of the chain.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Whose chain it is.
    pub fn instance(&self) -> &str {
        &self.shared.instance
    }

    /// What was counted under budgets and limits, in the latest windows of each.
    pub fn counted(&self) -> Counts {
        self.shared.inner.lock().state.counted()
    }

    /// The last entry.
    pub fn last(&self) -> Position {
        self.shared.inner.lock().seq
    }

    /// The last signed head, and each that follows.
    pub fn heads(&self) -> watch::Receiver<Option<Signed>> {
        self.shared.heads.subscribe()
    }

    /// Whether the disk is full: what is not needed for calls should not use it now.
    pub fn is_full(&self) -> bool {
        self.shared.inner.lock().full
    }

    /// One of those who take entries, as the options named them.
    pub fn consumer(&self, name: &str) -> Option<Consumer> {
        self.shared.consumers.find(name)
    }

    /// Removes segments whose time is over now; it happens by itself once a minute.
    pub fn retire(&self) -> Result<(), JournalError> {
        self.shared.retire().map_err(|e| self.shared.error(e.to_string()))
    }

    /// Puts everything on the disk and signs the head now, as happens by itself in intervals.
    pub fn sign(&self) {
        self.shared.sign_head(0);
    }

    /// A reader that goes on after `taken` and sees nothing that a power cut could take back: what others have taken is
    /// never written anew.
    pub fn follower(&self, taken: Position) -> Follower {
        let safe = (self.shared.options.sync != Sync::Off).then(|| self.shared.safe.subscribe());
        Follower::new(&self.shared.folder, taken).up_to(safe)
    }

    /// Seals the segment now, and begins the next one.
    pub fn rotate(&self) -> Result<(), JournalError> {
        let mut inner = self.shared.inner.lock();
        self.shared.rotate(&mut inner).map_err(|e| self.shared.error(e.to_string()))
    }
}

impl Drop for DiskJournal {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        {
            let mut inner = self.shared.inner.lock();
            self.shared.write_waiting(&mut inner);
            self.shared.written.notify_all();
            self.shared.sealed.notify_all();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

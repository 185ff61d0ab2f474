//! What happens behind appending, on two threads: one makes entries safe from a power cut, the other signs heads, seals
//! segments, holds room back and removes what is old. Neither is in the way of a call.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tollgate_core::ports::Position;

use crate::hash::Hash;
use crate::manifest;
use crate::private::private;
use crate::segment::SegmentFile;
use crate::statement::{Head, Segment, Signed, Statement};
use crate::writer::{Inner, Shared};
use tollgate_core::config::recording::Sync;

/// What a power cut may lose in [`Sync::Interval`].
const INTERVAL: Duration = Duration::from_millis(100);

/// How often the keeper looks around.
const LOOK: Duration = Duration::from_millis(500);

/// How often what is old is looked for.
const RETIRE: Duration = Duration::from_secs(60);

/// Starts both.
pub(crate) fn start(shared: &Arc<Shared>) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let mut threads = Vec::new();
    if shared.options.sync != Sync::Off {
        let shared = Arc::clone(shared);
        threads.push(std::thread::Builder::new().name("journal-sync".into()).spawn(move || sync(&shared))?);
    }
    let shared = Arc::clone(shared);
    threads.push(std::thread::Builder::new().name("journal-keep".into()).spawn(move || keep(&shared))?);
    Ok(threads)
}

/// Makes entries safe: all that have come while the disk was busy, at once.
fn sync(shared: &Shared) {
    let mut safe: Position = 0;
    loop {
        let stopping = shared.is_stopping();
        let (file, seq) = {
            let mut inner = shared.inner.lock();
            if inner.seq == safe && !stopping {
                // Woken by the next entry where calls wait for the disk; never for good.
                shared.written.wait_for(&mut inner, INTERVAL);
            } else if shared.options.sync == Sync::Interval && !stopping {
                shared.written.wait_for(&mut inner, INTERVAL);
            }
            // Offered by someone who went away before it was collected.
            shared.write_waiting(&mut inner);
            (Arc::clone(&inner.file), inner.seq)
        };
        // What stands in an earlier segment was made safe when that was sealed.
        if seq > safe {
            if let Err(error) = file.sync_data() {
                let error = shared.untrusted(&error);
                shared.inner.lock().failed = Some(error);
                return;
            }
            safe = seq;
            let _ = shared.safe.send_replace(Ok(safe));
        }
        if stopping {
            return;
        }
    }
}

fn keep(shared: &Shared) {
    let (mut signed, mut signed_at) = (0, Instant::now());
    let mut retired_at: Option<Instant> = None;
    let mut failing = false;
    loop {
        let stopping = shared.is_stopping();
        let sealed = shared.seal_all(&mut failing);
        if stopping || signed_at.elapsed() >= shared.options.head_every || signed == 0 {
            signed = shared.sign_head(signed);
            signed_at = Instant::now();
        }
        if stopping {
            return;
        }
        shared.look_for_room();
        shared.rotate_by_age();
        if retired_at.is_none_or(|at| at.elapsed() >= RETIRE) {
            if let Err(error) = shared.retire() {
                tracing::error!(%error, "old segments could not be removed");
            }
            retired_at = Some(Instant::now());
        }
        let mut inner = shared.inner.lock();
        if (inner.to_seal.is_empty() || !sealed) && !shared.is_stopping() {
            shared.sealed.wait_for(&mut inner, LOOK);
        }
    }
}

impl Shared {
    /// Seals what is to be sealed, in order: the manifest holds segments in the order of the chain. Whether all of it
    /// could be; that it could not is logged once.
    fn seal_all(&self, failing: &mut bool) -> bool {
        // Compressing needs room, and what there is belongs to the calls under way.
        if self.inner.lock().full {
            return false;
        }
        while let Some(segment) = self.next_to_seal() {
            if let Err(error) = self.seal(&segment) {
                if !std::mem::replace(failing, true) {
                    tracing::error!(%error, first = segment.first, "a segment cannot be sealed; it is tried again");
                }
                return false;
            }
            *failing = false;
            self.inner.lock().to_seal.pop_front();
        }
        true
    }

    fn next_to_seal(&self) -> Option<Segment> {
        self.inner.lock().to_seal.front().cloned()
    }

    /// States what a sealed segment holds, and compresses it.
    pub(crate) fn seal(&self, segment: &Segment) -> std::io::Result<()> {
        let known = manifest::Manifest::read(&self.folder)?;
        if !known.segments().any(|other| other.first == segment.first) {
            manifest::add(&self.folder, &Statement::Segment(segment.clone()), &self.keys)?;
        }
        let plain = crate::segment::path(&self.folder, segment.first);
        if plain.exists() {
            compress(&SegmentFile { first: segment.first, compressed: false, path: plain })?;
        }
        Ok(())
    }

    /// Signs the head, once what it stands for is on the disk. Returns its number.
    pub(crate) fn sign_head(&self, before: Position) -> Position {
        let (file, seq, hash) = {
            let inner = self.inner.lock();
            (Arc::clone(&inner.file), inner.seq, inner.hash)
        };
        if seq == before || seq == 0 {
            return before;
        }
        if let Err(error) = file.sync_data() {
            let error = self.untrusted(&error);
            self.inner.lock().failed = Some(error);
            return before;
        }
        match self.write_head(seq, hash) {
            Ok(()) => seq,
            Err(error) => {
                tracing::error!(%error, "the head of the journal could not be signed");
                before
            }
        }
    }

    fn write_head(&self, seq: Position, hash: Hash) -> std::io::Result<()> {
        let head = Head { instance: self.instance.clone(), seq, hash, at: self.clock.now() };
        let signed = Signed::new(&Statement::Head(head), &self.keys)?;
        manifest::replace(&self.folder.join(manifest::HEAD), &serde_json::to_vec(&signed)?)?;
        self.heads.send_replace(Some(signed));
        Ok(())
    }

    /// Where the disk was full: whether there is room again.
    fn look_for_room(&self) {
        if !self.inner.lock().full || !self.reserve.has_room_besides() || self.reserve.hold().is_err() {
            return;
        }
        let mut inner = self.inner.lock();
        inner.full = false;
        let unrecorded = std::mem::take(&mut inner.unrecorded);
        tracing::info!(unrecorded, "the disk has room again");
        self.write_late(&mut inner);
        let _ = self.put_event(&mut inner, "recordable", json!({ "not_written": unrecorded }));
    }

    fn rotate_by_age(&self) {
        let mut inner = self.inner.lock();
        self.write_waiting(&mut inner);
        // A segment that holds nothing but its checkpoint is not worth a file.
        let age = crate::retention::age(self.clock.now(), inner.began);
        if age >= self.options.segment_age && has_entries(&inner) {
            let _ = self.rotate(&mut inner);
        }
    }
}

fn has_entries(inner: &Inner) -> bool {
    inner.seq > inner.first.0
}

/// How hard zstd tries: records repeat themselves, and a gate under load has better things to do.
const LEVEL: i32 = 1;

/// What is compressed at once, as a frame of its own: zstd looks back in one piece of memory twice as fast as in a
/// stream's ring, and a frame that starts anew after so much costs a few bytes.
const FRAME: usize = 1 << 20;

/// Compresses a sealed segment. The plain file goes when the other is whole and on the disk.
fn compress(plain: &SegmentFile) -> std::io::Result<()> {
    let done = plain.path.with_extension("jsonl.zst");
    let new = plain.path.with_extension("zst.new");
    let mut from = std::fs::File::open(&plain.path)?;
    let mut options = private();
    options.create(true).truncate(true).write(true);
    let mut to = options.open(&new)?;
    compress_frames(&mut from, &mut to)?;
    to.sync_data()?;
    std::fs::rename(&new, &done)?;
    crate::writer::sync_folder(&done)?;
    std::fs::remove_file(&plain.path)
}

fn compress_frames(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let mut piece = Vec::with_capacity(FRAME);
    let mut frame = Vec::with_capacity(zstd::zstd_safe::compress_bound(FRAME));
    loop {
        piece.clear();
        from.take(FRAME as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        frame.clear();
        compressor.compress_to_buffer(&piece, &mut frame)?;
        to.write_all(&frame)?;
    }
}

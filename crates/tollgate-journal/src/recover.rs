//! Opening a journal: what a crash has left is put in order before the first call.
//!
//! An unfinished last line is cut off. Segments that were not sealed are. Calls that were opened and never closed may
//! have been sent: each gets its `closed` entry, and what was reserved for it is charged.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Condvar, Mutex};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::watch;
use tollgate_core::call::CallId;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::ports::{Clock, Position};

use crate::background;
use crate::error::OpenError;
use crate::hash::Hash;
use crate::keys::Keys;
use crate::line::Front;
use crate::manifest::{self, Manifest};
use crate::options::Options;
use crate::reserve::Reserve;
use crate::retention::Consumers;
use crate::segment::{self, Lines, SegmentFile};
use crate::state::State;
use crate::statement::{Head, Lost, Segment, Statement};
use crate::writer::{DiskJournal, Inner, Shared, begin, is_full};

/// What is in a segment that was not sealed.
#[derive(Debug)]
struct Scanned {
    first: (Position, Hash),
    last: (Position, Hash),
    bytes: u64,
    state: State,
    /// When it began, as its first line says.
    began: Option<jiff::Timestamp>,
    /// The first line that does not follow the one before it.
    broken: Option<u64>,
    torn: u64,
}

impl DiskJournal {
    /// Opens the journal of `instance` in `data_dir`, or begins it.
    pub fn open(
        data_dir: &Path,
        instance: &str,
        keys: Keys,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let folder = data_dir.join("journal").join(instance);
        let failed = OpenError::io(&folder);
        make_folder(&folder).map_err(&failed)?;
        let lock = lock(&folder)?;
        let Tail { file, scan, to_seal } = tail(&folder, instance, &*clock)?;
        let reserve = Reserve::new(&folder, options.reserve_bytes);
        let full = reserve.hold().is_err();
        let inner = Inner {
            file: Arc::new(file),
            first: scan.first,
            began: scan.began.unwrap_or_else(|| clock.now()),
            length: scan.bytes,
            seq: scan.last.0,
            hash: scan.last.1,
            state: scan.state,
            full,
            failed: None,
            erring: false,
            unrecorded: 0,
            rotate_at: options.segment_bytes,
            to_seal,
            late: VecDeque::new(),
        };
        let (found, torn, broken) = (scan.last.0, scan.torn, scan.broken);
        let consumers = Consumers::new(&options.takers);
        let shared = Arc::new(Shared {
            folder: folder.clone(),
            instance: instance.to_owned(),
            keys,
            options,
            clock,
            waiting: Mutex::default(),
            inner: Mutex::new(inner),
            written: Condvar::new(),
            sealed: Condvar::new(),
            safe: watch::Sender::new(Ok(0)),
            heads: watch::Sender::new(manifest::head(&folder)),
            consumers,
            reserve,
            retiring: Mutex::new(()),
            stopping: AtomicBool::new(false),
            _lock: lock,
        });
        if let Err(error) = shared.put_in_order(found, torn, broken) {
            // A disk that was full before: what is held back is for this too.
            shared.inner.lock().full = true;
            if !(is_full(&error) && shared.reserve.release()) {
                return Err(failed(error));
            }
            shared.put_in_order(found, 0, None).map_err(&failed)?;
        }
        let threads = background::start(&shared).map_err(&failed)?;
        Ok(Self { shared, threads })
    }
}

/// The end of a chain, and what of it is still to be sealed.
struct Tail {
    file: File,
    scan: Scanned,
    to_seal: VecDeque<Segment>,
}

/// Finds the end of the chain in `folder`; begins it where there is none.
fn tail(folder: &Path, instance: &str, clock: &dyn Clock) -> Result<Tail, OpenError> {
    let failed = OpenError::io(folder);
    manifest::mend(folder).map_err(&failed)?;
    let manifest = Manifest::read(folder).map_err(&failed)?;
    let files = segment::list(folder).map_err(&failed)?;
    let is_sealed = |file: &SegmentFile| manifest.segments().any(|sealed| sealed.first == file.first);
    let plain = |first| files.iter().any(|file| file.first == first && !file.compressed);
    // What was stated and not compressed any more is compressed now.
    let mut to_seal: VecDeque<Segment> = manifest.segments().filter(|s| plain(s.first)).cloned().collect();
    let end = manifest.segments().last().map_or((0, Hash::genesis(instance)), |last| (last.last, last.hash));
    let mut scanned: Option<(SegmentFile, Scanned)> = None;
    for file in files.iter().filter(|file| !file.compressed && !is_sealed(file) && file.first > end.0) {
        let (follows, state) = scanned
            .as_ref()
            .map_or((end, State::default()), |(_, before)| (before.last, before.state.clone()));
        let this = scan(file, follows, state).map_err(OpenError::io(&file.path))?;
        if this.bytes == 0 {
            // The process died before its first line was whole: the one before it goes on.
            std::fs::remove_file(&file.path).map_err(OpenError::io(&file.path))?;
        } else if let Some((_, before)) = scanned.replace((file.clone(), this)) {
            to_seal.push_back(sealed(instance, &before, clock));
        }
    }
    let (file, scan) = match scanned {
        Some((file, scan)) => (reopen(&file, &scan).map_err(OpenError::io(&file.path))?, scan),
        None => {
            // What was open and spent stands in the last segment that was sealed.
            let state = match files.iter().rfind(|file| is_sealed(file)) {
                Some(file) => scan(file, end, State::default()).map_err(OpenError::io(&file.path))?.state,
                None => State::default(),
            };
            first_segment(folder, end, state, clock).map_err(&failed)?
        }
    };
    Ok(Tail { file, scan, to_seal })
}

/// Makes a folder that only the gate's own user can look into.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Two writers would tear the chain.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(OpenError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(OpenError::Locked { path: folder.to_owned() }),
    }
}

/// Reads a segment. `follows` is the entry that its first one follows, `state` what was true then: a checkpoint replaces
/// it.
fn scan(file: &SegmentFile, follows: (Position, Hash), mut state: State) -> std::io::Result<Scanned> {
    let mut lines = Lines::open(file)?;
    let (mut last, mut broken, mut number, mut began) = (follows, None, 0, None);
    while let Some(line) = lines.next()? {
        number += 1;
        if number == 1 {
            began = serde_json::from_slice::<Value>(line)
                .ok()
                .and_then(|first| first["at"].as_str()?.parse().ok());
        }
        let front = Front::of(line);
        let fits = front.is_some_and(|front| front.seq == last.0.saturating_add(1) && front.prev == last.1);
        if !fits && broken.is_none() {
            broken = Some(number);
        }
        // Whatever was done to the line, what follows counts on from there.
        let next = last.0.saturating_add(1);
        last = (front.filter(|_| fits).map_or(next, |front| front.seq), Hash::of(line));
        state.take_line(line);
    }
    let bytes = lines.read_bytes();
    let torn = std::fs::metadata(&file.path)?.len().saturating_sub(bytes);
    Ok(Scanned { first: (file.first, follows.1), last, bytes, state, began, broken, torn })
}

/// Opens the last segment to go on with it, without the line that was not finished.
fn reopen(file: &SegmentFile, scan: &Scanned) -> std::io::Result<File> {
    let opened = OpenOptions::new().append(true).open(&file.path)?;
    if scan.torn > 0 {
        opened.set_len(scan.bytes)?;
    }
    Ok(opened)
}

type Begun = (File, Scanned);

/// The first segment of a new chain, or of one whose last segment was sealed when the process died.
fn first_segment(
    folder: &Path,
    end: (Position, Hash),
    state: State,
    clock: &dyn Clock,
) -> std::io::Result<Begun> {
    let (seq, prev) = (end.0 + 1, end.1);
    // Left by a crash before its first line was whole.
    let _ = std::fs::remove_file(segment::path(folder, seq));
    let (file, hash, bytes) = begin(folder, seq, prev, &state.checkpoint(clock.now()))?;
    let scan =
        Scanned { first: (seq, prev), last: (seq, hash), bytes, state, began: None, broken: None, torn: 0 };
    Ok((file, scan))
}

fn sealed(instance: &str, scan: &Scanned, clock: &dyn Clock) -> Segment {
    Segment {
        instance: instance.to_owned(),
        first: scan.first.0,
        prev: scan.first.1,
        last: scan.last.0,
        hash: scan.last.1,
        bytes: scan.bytes,
        at: clock.now(),
    }
}

impl Shared {
    fn put_in_order(&self, found: Position, torn: u64, broken: Option<u64>) -> std::io::Result<()> {
        self.finish_retiring()?;
        let mut inner = self.inner.lock();
        if torn > 0 {
            self.put_event(&mut inner, "journal_torn", json!({ "bytes_cut_off": torn }))?;
        }
        if let Some(line) = broken {
            tracing::error!(line, "the chain of the journal is broken; `tollgate journal verify` says more");
            let detail = json!({ "segment": inner.first.0, "line": line });
            self.put_event(&mut inner, "journal_broken", detail)?;
        }
        if let Some(head) = self.lost_head(found) {
            tracing::error!(signed = head.seq, found, "entries of the journal are lost");
            let detail = json!({ "signed": head.seq, "found": found });
            let lost = Lost { head, found, at: self.clock.now() };
            manifest::add(&self.folder, &Statement::Lost(lost), &self.keys)?;
            self.put_event(&mut inner, "journal_lost", detail)?;
        }
        let state = &inner.state;
        let with_held = |(id, raw): &(CallId, &RawValue)| {
            let opened: Value = serde_json::from_str(raw.get()).ok()?;
            let held = state.held(*id).map_or_else(|| opened["held"].clone(), |held| json!(held));
            Some((opened, held))
        };
        let open: Vec<(Value, Value)> = state.open().iter().filter_map(with_held).collect();
        for (opened, held) in &open {
            let mut closed = closed_for(opened, self.clock.now());
            if held.is_array() {
                closed["counted"] = held.clone();
            }
            self.put_value(&mut inner, &closed)?;
        }
        if !open.is_empty() {
            tracing::warn!(
                calls = open.len(),
                "calls that were open when the gate died are closed as unknown"
            );
        }
        inner.file.sync_data()
    }

    /// The last signed head, when its entry is not there.
    fn lost_head(&self, found: Position) -> Option<Head> {
        let signed = manifest::head(&self.folder)?;
        // What somebody else has put there proves nothing.
        if !signed.is_signed_by(&self.keys.public) {
            return None;
        }
        match signed.statement().ok()? {
            Statement::Head(head) if head.seq > found && head.instance == self.instance => Some(head),
            _ => None,
        }
    }
}

/// The `closed` entry of a call that was open when the gate died: it may have been sent, so what was reserved for it is
/// charged.
fn closed_for(opened: &Value, now: jiff::Timestamp) -> Value {
    let fault = Fault::new(
        FaultClass::Lost,
        "the gate died before the call had ended: it may have been sent, and what was reserved is charged",
    );
    let mut closed = json!({ "entry": "closed", "at": now });
    let members = [
        "call_id",
        "trace",
        "principal",
        "peer",
        "surface",
        "model",
        "deployment",
        "tool",
        "end_user",
        "tags",
    ];
    for member in members {
        if let Some(value) = opened.get(member) {
            closed[member] = value.clone();
        }
    }
    closed["outcome"] = json!("unknown");
    closed["status"] = json!(fault.status());
    closed["fault"] = json!({
        "class": fault.class,
        "blame": fault.class.blame(),
        "retryable": fault.retryable(),
        "side_effect": fault.class.side_effect(),
        "message": fault.message,
    });
    closed["attempts"] = json!([]);
    closed["usage"] = opened["reservation"]["usage"].clone();
    closed["cost_nano_usd"] = opened["reservation"]["cost_nano_usd"].clone();
    let began = opened["at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let lasted = began.map_or(0, |began| now.duration_since(began).as_micros().max(0));
    closed["duration_us"] = json!(u64::try_from(lasted).unwrap_or(u64::MAX));
    closed["response_bytes"] = json!(0);
    closed
}

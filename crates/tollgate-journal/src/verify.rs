//! Verifying a chain: every entry, every segment, every signed head, and where it was tampered with, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tollgate_core::ports::Position;

use crate::hash::Hash;
use crate::keys::PublicKey;
use crate::line::Front;
use crate::manifest::{self, Manifest};
use crate::segment::{self, Lines, SegmentFile};
use crate::statement::{Head, Segment, Signed, Statement};

/// More findings than that are only counted.
const MOST_FINDINGS: usize = 50;

/// Something that is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The entry is not what was written.
    Altered(Position),
    /// Entries are not there.
    Removed(Position, Position),
    /// The entry does not stand in its place.
    Reordered(Position),
    /// There is a second entry of this number.
    Inserted(Position),
    /// Entries at the end are not there; a signed head says so.
    Truncated {
        /// The last one there is.
        last: Position,
        /// The last one there was.
        signed: Position,
    },
    /// A sealed segment is not there.
    SegmentMissing(Position, Position),
    /// A segment cannot be read.
    Unreadable(Position, String),
    /// The chain is another one than the one whose head was signed.
    HeadDiffers(Position),
    /// A signature does not hold.
    Signature(String),
    /// A line of the manifest is none.
    ManifestLine(usize),
    /// A start of the gate found entries missing that had been signed.
    LostBefore {
        /// The last one that was found.
        found: Position,
        /// The last one that had been signed.
        signed: Position,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered(seq) => write!(f, "entry {seq} was altered"),
            Self::Removed(from, to) if from == to => write!(f, "entry {from} was removed"),
            Self::Removed(from, to) => write!(f, "entries {from} to {to} were removed"),
            Self::Reordered(seq) => write!(f, "entry {seq} was moved: it does not stand in its place"),
            Self::Inserted(seq) => write!(f, "a second entry {seq} was inserted"),
            Self::Truncated { last, signed } => {
                write!(f, "truncated after entry {last}: a signed head says that there were {signed}")
            }
            Self::SegmentMissing(first, last) => {
                write!(
                    f,
                    "the segment of entries {first} to {last} is missing, and no statement says that it was removed"
                )
            }
            Self::Unreadable(first, why) => {
                write!(f, "the segment that begins with entry {first} cannot be read: {why}")
            }
            Self::HeadDiffers(seq) => {
                write!(f, "entry {seq} is not the one that a signed head names: the chain was rewritten")
            }
            Self::Signature(what) => {
                write!(f, "the signature of {what} does not hold, or another key made it")
            }
            Self::ManifestLine(line) => write!(f, "line {line} of {} is no statement", manifest::FILE),
            Self::LostBefore { found, signed } => {
                write!(
                    f,
                    "a start of the gate found entry {found} as the last one where {signed} had been signed"
                )
            }
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries that were read.
    pub entries: u64,
    /// The first and the last of them.
    pub range: Option<(Position, Position)>,
    /// Segments that were read.
    pub segments: usize,
    /// Segments that were removed because their time was over.
    pub removed: usize,
    /// Signed heads that the chain was held against.
    pub heads: usize,
    /// The latest of them.
    pub signed_to: Position,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How much more is wrong.
    pub more: usize,
}

impl Report {
    fn find(&mut self, finding: Finding) {
        if self.findings.contains(&finding) {
            return;
        }
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }
}

/// Verifies one chain.
#[derive(Debug)]
pub struct Verifier {
    folder: PathBuf,
    instance: String,
    key: PublicKey,
    outside: Vec<Signed>,
}

impl Verifier {
    /// A verification of the chain of `instance` in `folder`, whose statements `key` must have signed.
    pub fn new(folder: &Path, instance: &str, key: PublicKey) -> Self {
        Self { folder: folder.to_owned(), instance: instance.to_owned(), key, outside: Vec::new() }
    }

    /// Also holds the chain against `head`, which was kept elsewhere.
    #[must_use]
    pub fn against(mut self, head: Signed) -> Self {
        self.outside.push(head);
        self
    }

    /// Reads everything. `progress` is told of each segment: how many of how many.
    pub fn run(&self, mut progress: impl FnMut(usize, usize)) -> std::io::Result<Report> {
        let mut report = Report::default();
        // Read before the segments: what is written meanwhile only makes the chain longer.
        let heads = self.heads(&mut report);
        let manifest = Manifest::read(&self.folder)?;
        let sealed = self.statements(&manifest, &mut report);
        let files = segment::list(&self.folder)?;
        let mut walk = Walk {
            report: &mut report,
            last: (0, Hash::genesis(&self.instance)),
            suspect: None,
            missing: BTreeSet::new(),
            wanted: heads.iter().map(|head| (head.seq, None)).collect(),
        };
        let removed: Vec<_> = manifest.removed().map(|removed| removed.first).collect();
        for segment in &sealed {
            if let Some(found) = walk.wanted.get_mut(&segment.last) {
                *found = Some(segment.hash);
            }
            if !files.iter().any(|file| file.first == segment.first) && !self.is_gone(segment.first)? {
                walk.report.find(Finding::SegmentMissing(segment.first, segment.last));
            }
        }
        for (number, file) in files.iter().enumerate() {
            let known = sealed.iter().find(|segment| segment.first == file.first);
            match open(file) {
                Ok(lines) => walk.segment(lines, file, known, &sealed),
                // A gate that runs has removed it meanwhile, and said so.
                Err(error) if error.kind() == ErrorKind::NotFound && self.is_gone(file.first)? => {}
                Err(error) => walk.report.find(Finding::Unreadable(file.first, error.to_string())),
            }
            progress(number + 1, files.len());
        }
        let (last, wanted) = (walk.last.0, std::mem::take(&mut walk.wanted));
        report.segments = files.len();
        report.removed = removed.len();
        for head in &heads {
            report.heads += 1;
            report.signed_to = report.signed_to.max(head.seq);
            match wanted.get(&head.seq).copied().flatten() {
                None if head.seq > last => report.find(Finding::Truncated { last, signed: head.seq }),
                Some(hash) if hash != head.hash => report.find(Finding::HeadDiffers(head.seq)),
                _ => {}
            }
        }
        Ok(report)
    }

    /// Whether the manifest says now that the segment was removed.
    fn is_gone(&self, first: Position) -> std::io::Result<bool> {
        Ok(Manifest::read(&self.folder)?.removed().any(|removed| removed.first == first))
    }

    /// The heads that are signed as they should be.
    fn heads(&self, report: &mut Report) -> Vec<Head> {
        let mut heads = Vec::new();
        let own = manifest::head(&self.folder).map(|head| (head, "head.json"));
        if own.is_none() && self.folder.join(manifest::HEAD).exists() {
            report.find(Finding::Signature(manifest::HEAD.to_owned()));
        }
        for (signed, name) in
            own.into_iter().chain(self.outside.iter().cloned().map(|head| (head, "the outside head")))
        {
            match signed.statement() {
                Ok(Statement::Head(head)) if signed.is_signed_by(&self.key) => {
                    if head.instance == self.instance {
                        heads.push(head);
                    }
                }
                _ => report.find(Finding::Signature(name.to_owned())),
            }
        }
        heads
    }

    /// The segments that the manifest states, each signed and following the one before.
    fn statements(&self, manifest: &Manifest, report: &mut Report) -> Vec<Segment> {
        for line in &manifest.unreadable {
            report.find(Finding::ManifestLine(*line));
        }
        for (number, (signed, statement)) in manifest.statements.iter().enumerate() {
            if !signed.is_signed_by(&self.key) || statement.instance() != self.instance {
                report.find(Finding::Signature(format!("statement {} of {}", number + 1, manifest::FILE)));
            }
            if let Statement::Lost(lost) = statement {
                report.find(Finding::LostBefore { found: lost.found, signed: lost.head.seq });
            }
        }
        let sealed: Vec<Segment> = manifest.segments().cloned().collect();
        let mut end = (0, Hash::genesis(&self.instance));
        for segment in &sealed {
            if segment.first > end.0 + 1 {
                report.find(Finding::Removed(end.0 + 1, segment.first - 1));
            } else if segment.first != end.0 + 1 || segment.prev != end.1 {
                report.find(Finding::HeadDiffers(segment.first));
            }
            end = (segment.last, segment.hash);
        }
        sealed
    }
}

/// Opens a segment; one that was compressed since it was listed, too.
fn open(file: &SegmentFile) -> std::io::Result<Lines> {
    match Lines::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound && !file.compressed => {
            let path = file.path.with_extension("jsonl.zst");
            Lines::open(&SegmentFile { compressed: true, path, ..file.clone() })
        }
        opened => opened,
    }
}

/// The walk along the entries.
struct Walk<'a> {
    report: &'a mut Report,
    last: (Position, Hash),
    /// An entry whose follower does not know it: it was altered, or the follower was.
    suspect: Option<Position>,
    /// Numbers that were stepped over.
    missing: BTreeSet<Position>,
    /// Entries whose hash is asked for.
    wanted: BTreeMap<Position, Option<Hash>>,
}

impl Walk<'_> {
    fn segment(&mut self, mut lines: Lines, file: &SegmentFile, known: Option<&Segment>, sealed: &[Segment]) {
        // Where the segment before it was removed, the manifest says what this one follows.
        let before = sealed.iter().find(|segment| segment.last.saturating_add(1) == file.first);
        match (known, before) {
            (Some(segment), _) => self.last = (segment.first - 1, segment.prev),
            (None, Some(before)) => self.last = (before.last, before.hash),
            (None, None) => {}
        }
        self.suspect = None;
        loop {
            match lines.next() {
                Ok(Some(line)) => self.line(line),
                Ok(None) => break,
                Err(error) => {
                    self.report.find(Finding::Unreadable(file.first, error.to_string()));
                    break;
                }
            }
        }
        match known {
            Some(segment) => self.end(segment),
            // Nobody knows yet what follows: whoever stands last may be the suspect or not.
            None => self.convict(self.suspect),
        }
        self.conclude();
    }

    fn line(&mut self, line: &[u8]) {
        self.report.entries += 1;
        let hash = Hash::of(line);
        let expected = self.last.0.saturating_add(1);
        let Some(front) = Front::of(line) else {
            let suspect = self.suspect.take();
            self.convict(suspect);
            self.report.find(Finding::Altered(expected));
            // What follows it cannot be blamed for not knowing it.
            self.step(expected, hash);
            self.suspect = Some(expected);
            return;
        };
        if front.seq < expected {
            let moved = self.missing.remove(&front.seq);
            self.report.find(if moved {
                Finding::Reordered(front.seq)
            } else {
                Finding::Inserted(front.seq)
            });
            return;
        }
        if front.seq > expected {
            self.missing.extend((expected..front.seq).take(10_000));
        } else if front.prev != self.last.1 {
            match self.suspect.take() {
                // Neither what was before it nor what comes after it knows the last one.
                Some(_) => self.convict(Some(self.last.0)),
                None => self.suspect = Some(self.last.0).filter(|seq| *seq > 0).or(Some(expected)),
            }
        } else {
            let suspect = self.suspect.take();
            self.convict(suspect);
        }
        self.step(front.seq, hash);
    }

    fn step(&mut self, seq: Position, hash: Hash) {
        self.last = (seq, hash);
        if let Some(found) = self.wanted.get_mut(&seq) {
            *found = Some(hash);
        }
        let (first, _) = self.report.range.unwrap_or((seq, seq));
        self.report.range = Some((first, seq));
    }

    fn convict(&mut self, suspect: Option<Position>) {
        if let Some(seq) = suspect {
            self.report.find(Finding::Altered(seq));
        }
    }

    /// What was stepped over and has not turned up was removed.
    fn conclude(&mut self) {
        let mut missing = std::mem::take(&mut self.missing).into_iter().peekable();
        while let Some(from) = missing.next() {
            let mut to = from;
            while missing.next_if_eq(&to.saturating_add(1)).is_some() {
                to += 1;
            }
            self.report.find(Finding::Removed(from, to));
        }
    }

    /// The end of a sealed segment, which the manifest knows.
    fn end(&mut self, segment: &Segment) {
        if self.last.0 < segment.last {
            self.convict(self.suspect);
            self.report.find(Finding::Removed(self.last.0 + 1, segment.last));
        } else if self.last.1 != segment.hash {
            self.convict(Some(self.last.0));
        } else {
            self.convict(self.suspect);
        }
        self.suspect = None;
        self.last = (segment.last, segment.hash);
    }
}

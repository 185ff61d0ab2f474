//! Reading a chain from any entry on, and going on as it grows: for the index, for sinks, for people.

use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tollgate_core::ports::Position;

use crate::line::{Front, is_of};
use crate::segment::{self, Lines};
use crate::writer::Synced;

/// Reads the entries of one chain in order.
#[derive(Debug)]
pub struct Follower {
    folder: PathBuf,
    next: Position,
    lines: Option<Lines>,
    /// Nothing beyond this is read; `None` reads everything.
    safe: Option<watch::Receiver<Synced>>,
}

/// Entries that are not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first that is missing.
    pub from: Position,
    /// The first that is there again.
    pub to: Position,
}

/// What a reading found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The entries: number and line.
    pub entries: Vec<(Position, Vec<u8>)>,
    /// What was missing before them.
    pub gap: Option<Gap>,
    /// How many bytes were read for them, of other entries too.
    pub bytes: usize,
}

impl Follower {
    /// Reads the chain in `folder` from the entry after `taken` on.
    pub fn new(folder: &Path, taken: Position) -> Self {
        Self { folder: folder.to_owned(), next: taken.saturating_add(1), lines: None, safe: None }
    }

    /// The same, which reads nothing beyond what `safe` says.
    pub(crate) fn up_to(mut self, safe: Option<watch::Receiver<Synced>>) -> Self {
        self.safe = safe;
        self
    }

    /// The same reader, from the entry after `taken` on.
    #[must_use]
    pub fn again(&self, taken: Position) -> Self {
        Self::new(&self.folder, taken).up_to(self.safe.clone())
    }

    /// The folder of the chain.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The entry that comes next.
    pub fn position(&self) -> Position {
        self.next
    }

    /// The next entries, up to about `most` bytes; none when there are no more yet.
    pub fn read(&mut self, most: usize) -> std::io::Result<Followed> {
        self.read_those(most, |_| true)
    }

    /// The same, without those that are no events: for whoever looks for few among many, and copies and parses only
    /// them.
    pub fn read_events(&mut self, most: usize) -> std::io::Result<Followed> {
        self.read_those(most, |line| is_of(line, "event"))
    }

    fn read_those(&mut self, most: usize, wanted: impl Fn(&[u8]) -> bool) -> std::io::Result<Followed> {
        let mut followed = Followed::default();
        let safe =
            self.safe.as_ref().map_or(Position::MAX, |safe| safe.borrow().as_ref().map_or(0, |safe| *safe));
        while followed.bytes < most && self.next <= safe {
            if self.lines.is_none() && !self.find(&mut followed)? {
                break;
            }
            let Some(line) = self.lines.as_mut().map(Lines::next).transpose()?.flatten() else {
                // The end of the segment, or of what was written so far.
                if !self.has_ended(&mut followed)? {
                    break;
                }
                self.lines = None;
                continue;
            };
            // A line that cannot be read counts as one: who verifies will hear of it.
            let seq = Front::of(line).map_or(self.next, |front| front.seq);
            if seq >= self.next {
                followed.bytes += line.len();
                if wanted(line) {
                    followed.entries.push((seq, line.to_vec()));
                }
                self.next = seq.saturating_add(1);
            }
        }
        Ok(followed)
    }

    /// Whether the next segment has begun. Where the end of this one is missing, that is a gap.
    fn has_ended(&mut self, followed: &mut Followed) -> std::io::Result<bool> {
        let files = segment::list(&self.folder)?;
        let Some(file) = files.iter().find(|file| file.first >= self.next) else { return Ok(false) };
        if file.first > self.next {
            if followed.bytes > 0 {
                return Ok(false);
            }
            followed.gap = Some(Gap { from: self.next, to: file.first });
            self.next = file.first;
        }
        Ok(true)
    }

    /// Opens the segment that holds the next entry; the first one there is, where it was removed.
    fn find(&mut self, followed: &mut Followed) -> std::io::Result<bool> {
        let files = match segment::list(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            files => files?,
        };
        let Some(file) = files.iter().rev().find(|file| file.first <= self.next).or(files.first()) else {
            return Ok(false);
        };
        if file.first > self.next {
            if followed.bytes > 0 {
                return Ok(false);
            }
            followed.gap = Some(Gap { from: self.next, to: file.first });
            self.next = file.first;
        }
        match Lines::open(file) {
            // It was compressed or removed between the two looks.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            opened => {
                self.lines = Some(opened?);
                Ok(true)
            }
        }
    }
}

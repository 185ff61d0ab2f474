//! The manifest: what was sealed, removed or lost, in signed statements. It is small and kept for good, so that removing
//! segments does not break the proof of the others.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::keys::Keys;
use crate::private::private;
use crate::statement::{Removed, Segment, Signed, Statement};

pub(crate) const FILE: &str = "manifest.jsonl";

/// The file that holds the last signed head.
pub(crate) const HEAD: &str = "head.json";

/// A manifest as it was read.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    /// What it states, in order.
    pub(crate) statements: Vec<(Signed, Statement)>,
    /// Lines that are no statement, by number.
    pub(crate) unreadable: Vec<usize>,
}

impl Manifest {
    /// Reads the manifest of the chain in `folder`; empty where there is none.
    pub(crate) fn read(folder: &Path) -> std::io::Result<Self> {
        let text = match std::fs::read_to_string(folder.join(FILE)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other?,
        };
        let mut read = Self::default();
        for (number, line) in text.lines().enumerate() {
            let signed = serde_json::from_str::<Signed>(line);
            match signed.and_then(|signed| Ok((signed.statement()?, signed))) {
                Ok((statement, signed)) => read.statements.push((signed, statement)),
                Err(_) => read.unreadable.push(number + 1),
            }
        }
        Ok(read)
    }

    /// The segments that were sealed, in order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.statements.iter().filter_map(|(_, statement)| match statement {
            Statement::Segment(segment) => Some(segment),
            _ => None,
        })
    }

    /// The segments that were removed.
    pub(crate) fn removed(&self) -> impl Iterator<Item = &Removed> {
        self.statements.iter().filter_map(|(_, statement)| match statement {
            Statement::Removed(removed) => Some(removed),
            _ => None,
        })
    }
}

/// Adds a signed statement to the manifest in `folder`, on the disk when this returns. What a failed write or a crash has
/// left of a line is taken back.
pub(crate) fn add(folder: &Path, statement: &Statement, keys: &Keys) -> std::io::Result<()> {
    let signed = Signed::new(statement, keys)?;
    let mut line = serde_json::to_vec(&signed)?;
    line.push(b'\n');
    let mut options = private();
    options.create(true).append(true);
    let mut file = options.open(folder.join(FILE))?;
    let whole = mend(folder)?;
    file.write_all(&line).and_then(|()| file.sync_data()).inspect_err(|_| {
        // It is mended before the next line otherwise.
        let _ = file.set_len(whole);
    })
}

/// Takes back what a crash has left of an unfinished line. Returns the size of what is whole.
pub(crate) fn mend(folder: &Path) -> std::io::Result<u64> {
    let path = folder.join(FILE);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if whole < text.len() {
        OpenOptions::new().write(true).open(&path)?.set_len(whole as u64)?;
    }
    Ok(whole as u64)
}

/// The last signed head of the chain in `folder`.
pub(crate) fn head(folder: &Path) -> Option<Signed> {
    serde_json::from_slice(&std::fs::read(folder.join(HEAD)).ok()?).ok()
}

/// Replaces the file at `path` by one with `bytes`: whole or not at all.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new: PathBuf = path.with_extension("new");
    let mut options = private();
    options.create(true).truncate(true).write(true);
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(new, path)
}

//! Room on the disk that is held back: when the disk is full, it is given free, so that calls that are under way can
//! still be closed and the event itself be written. New calls are refused until it can be held back again.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file whose only purpose is its size.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve in `folder`, which is not held yet.
    pub(crate) fn new(folder: &Path, bytes: u64) -> Self {
        Self { path: folder.join("reserve"), bytes }
    }

    /// Holds the room back, where it is not held already.
    pub(crate) fn hold(&self) -> std::io::Result<()> {
        if std::fs::metadata(&self.path).is_ok_and(|known| known.len() == self.bytes) {
            return Ok(());
        }
        let held = self.fill();
        if held.is_err() {
            self.release();
        }
        held
    }

    fn fill(&self) -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&self.path)?;
        // Not zeros: a file system that compresses would hold nothing back.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut piece = [0_u8; 64 << 10];
        let mut left = self.bytes;
        while left > 0 {
            for word in piece.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            let part = left.min(piece.len() as u64);
            file.write_all(&piece[..usize::try_from(part).unwrap_or(piece.len())])?;
            left -= part;
        }
        file.sync_data()
    }

    /// Gives the room free. Whether there was any.
    pub(crate) fn release(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }
}

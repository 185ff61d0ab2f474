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
        let held = fill(&self.path, self.bytes);
        if held.is_err() {
            self.release();
        }
        held
    }

    /// Whether there is room for more besides: a disk that has just enough for the reserve would be full again at once.
    pub(crate) fn has_room_besides(&self) -> bool {
        let proof = self.path.with_extension("proof");
        let room = fill(&proof, self.bytes.min(MOST_PROOF)).is_ok();
        let _ = std::fs::remove_file(proof);
        room
    }

    /// Gives the room free. Whether there was any.
    pub(crate) fn release(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }
}

/// How much room is asked for besides the reserve.
const MOST_PROOF: u64 = 4 << 20;

/// Makes a file of `bytes` that a file system cannot make smaller.
fn fill(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    // Not zeros: a file system that compresses would hold nothing back.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut piece = [0_u8; 64 << 10];
    let mut left = bytes;
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

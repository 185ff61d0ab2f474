//! The files of a chain: segments named by their first entry, and how they are read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tollgate_core::ports::Position;

/// The longest line that is read: a checkpoint with very many open calls. An entry is far smaller.
pub(crate) const LONGEST_LINE: usize = 256 << 20;

/// A segment's file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentFile {
    /// Its first entry.
    pub(crate) first: Position,
    /// Whether it is compressed.
    pub(crate) compressed: bool,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// The folder of each chain in `data_dir`, by instance.
pub fn chains(data_dir: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let folder = data_dir.join("journal");
    let mut chains = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            chains.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    chains.sort();
    Ok(chains)
}

/// The segments in `folder`, in order. Of one that was being compressed when the process died, the whole file counts.
pub(crate) fn list(folder: &Path) -> std::io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, compressed) = match (name.strip_suffix(".jsonl"), name.strip_suffix(".jsonl.zst")) {
            (Some(stem), _) => (stem, false),
            (_, Some(stem)) => (stem, true),
            _ => continue,
        };
        if let Ok(first) = stem.parse() {
            found.push(SegmentFile { first, compressed, path: path.clone() });
        }
    }
    // Of the same segment, the plain file stands first and is kept.
    found.sort();
    found.dedup_by_key(|file| file.first);
    Ok(found)
}

/// The file of the segment that begins with `first`.
pub(crate) fn path(folder: &Path, first: Position) -> PathBuf {
    folder.join(format!("{first:020}.jsonl"))
}

enum Reader {
    Plain(BufReader<File>),
    Compressed(BufReader<zstd::Decoder<'static, BufReader<File>>>),
}

/// The lines of a segment, compressed or not.
pub(crate) struct Lines {
    reader: Reader,
    line: Vec<u8>,
    /// Bytes of whole lines that were read.
    read: u64,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("read", &self.read).finish_non_exhaustive()
    }
}

impl Lines {
    /// Opens `file`.
    pub(crate) fn open(file: &SegmentFile) -> std::io::Result<Self> {
        let opened = File::open(&file.path)?;
        let reader = if file.compressed {
            Reader::Compressed(BufReader::with_capacity(64 << 10, zstd::Decoder::new(opened)?))
        } else {
            Reader::Plain(BufReader::with_capacity(64 << 10, opened))
        };
        Ok(Self { reader, line: Vec::new(), read: 0 })
    }

    /// Bytes of whole lines so far.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read
    }

    /// The next whole line, without its end; `None` at the end of the file or of what is finished of it. May be asked
    /// again when more has been written.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<&[u8]>> {
        self.line.clear();
        let room = LONGEST_LINE as u64;
        match &mut self.reader {
            Reader::Plain(reader) => reader.take(room).read_until(b'\n', &mut self.line)?,
            Reader::Compressed(reader) => reader.take(room).read_until(b'\n', &mut self.line)?,
        };
        if self.line.last() == Some(&b'\n') {
            self.read += self.line.len() as u64;
            return Ok(Some(&self.line[..self.line.len() - 1]));
        }
        if self.line.len() >= LONGEST_LINE {
            let message = format!("a line is longer than {LONGEST_LINE} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        }
        // An unfinished line may be taken back by whoever writes it, so it is read anew.
        if let Reader::Plain(reader) = &mut self.reader {
            reader.seek(SeekFrom::Start(self.read))?;
        }
        Ok(None)
    }
}

//! One file of JSON Lines.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate_core::ports::{Journal, JournalError};
use tollgate_core::record::Entry;

/// Room for an entry of ordinary size, so that writing one allocates once.
const TYPICAL_LINE: usize = 1_024;

/// An append-only file of JSON Lines.
///
/// There is no lock: the file is open for appending, so that the system writes each line whole and after the one
/// before (POSIX `write`, `O_APPEND`). A lock of our own would make workers wait for one another's system calls.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
    /// A full disk has taken only a part of a line: the next one begins on a line of its own.
    torn: AtomicBool,
}

impl JsonLines {
    /// Opens the file at `path` for appending, with its folders. A last line that a crash left unfinished is
    /// ended, so that the next entry begins on a line of its own.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let failed =
            |e: std::io::Error| JournalError { place: path.display().to_string(), reason: e.to_string() };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        // Two writers would tear each other's lines.
        file.try_lock().map_err(|_| JournalError {
            place: path.display().to_string(),
            reason: "another gate writes it; give each its own --data-dir".to_owned(),
        })?;
        let torn = file.seek(SeekFrom::End(0)).map_err(failed)? > 0 && {
            file.seek(SeekFrom::End(-1)).map_err(failed)?;
            let mut last = [0];
            file.read_exact(&mut last).map_err(failed)?;
            last != *b"\n"
        };
        Ok(Self { path: path.to_owned(), file, torn: AtomicBool::new(torn) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Journal for JsonLines {
    fn append(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let failed = |reason: String| JournalError { place: self.path.display().to_string(), reason };
        let mut line = Vec::with_capacity(TYPICAL_LINE);
        let was_torn = self.torn.swap(false, Ordering::Relaxed);
        if was_torn {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, entry).map_err(|e| failed(e.to_string()))?;
        line.push(b'\n');
        // One system call: a second one for the rest could come after another thread's line.
        let written = loop {
            match (&self.file).write(&line) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match written {
            Ok(written) if written == line.len() => Ok(()),
            Ok(written) => {
                self.torn.store(true, Ordering::Relaxed);
                Err(failed(format!("only {written} of {} bytes were taken: is the disk full?", line.len())))
            }
            Err(error) => {
                self.torn.fetch_or(was_torn, Ordering::Relaxed);
                Err(failed(error.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::record::Event;

    use super::*;

    fn event(name: &str) -> Event<'_> {
        Event {
            at: jiff::Timestamp::UNIX_EPOCH,
            event: name,
            call_id: None,
            detail: serde_json::json!({ "n": 1 }),
        }
    }

    #[test]
    fn entries_are_lines_and_survive_reopening_after_a_torn_one() {
        let folder = std::env::temp_dir().join(format!("tollgate-lines-{}", std::process::id()));
        let path = folder.join("deep/records.jsonl");
        JsonLines::open(&path).unwrap().append(&Entry::Event(&event("a"))).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"torn").unwrap();
        JsonLines::open(&path).unwrap().append(&Entry::Event(&event("b"))).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], r#"{"entry":"event","at":"1970-01-01T00:00:00Z","event":"a","detail":{"n":1}}"#);
        assert!(lines[2].contains("\"b\""));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn threads_do_not_tear_each_others_lines() {
        let path = std::env::temp_dir().join(format!("tollgate-threads-{}.jsonl", std::process::id()));
        let journal = JsonLines::open(&path).unwrap();
        std::thread::scope(|scope| {
            for name in ["one", "another-that-is-longer", "x"] {
                scope.spawn({
                    let journal = &journal;
                    move || (0..500).for_each(|_| journal.append(&Entry::Event(&event(name))).unwrap())
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(),
            1500
        );
        assert_eq!(text.lines().count(), 1500);
        std::fs::remove_file(path).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let journal = JsonLines::open(Path::new("/dev/full")).unwrap();
        let error = journal.append(&Entry::Event(&event("a"))).unwrap_err();
        assert!(error.to_string().contains("/dev/full"), "{error}");
    }
}

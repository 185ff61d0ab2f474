//! Reading the journal from where a file says that one is.

use std::path::{Path, PathBuf};

use tollgate_core::ports::Position;
use tollgate_journal::{Consumer, DiskJournal, Followed, Follower};

/// A reader of the journal that remembers how far it is.
#[derive(Debug)]
pub struct Reading {
    follower: Follower,
    file: PathBuf,
    consumer: Option<Consumer>,
    /// The instance whose journal it is.
    pub(crate) instance: String,
}

impl Reading {
    /// Goes on where the reader called `name` was in `journal`. Where it was nowhere yet, it begins with the first entry
    /// there is.
    pub fn new(journal: &DiskJournal, name: &str) -> Self {
        let file = position_file(journal, name);
        let taken = remembered(&file).unwrap_or(0);
        Self::at(journal, name, file, taken)
    }

    /// The same, but where it was nowhere yet, it begins with what comes after now.
    pub fn from_now(journal: &DiskJournal, name: &str) -> Self {
        let file = position_file(journal, name);
        match remembered(&file) {
            Some(taken) => Self::at(journal, name, file, taken),
            None => {
                let reading = Self::at(journal, name, file, journal.last());
                // So that a restart before the first entry does not begin later.
                reading.took(journal.last());
                reading
            }
        }
    }

    fn at(journal: &DiskJournal, name: &str, file: PathBuf, taken: Position) -> Self {
        let consumer = journal.consumer(name);
        if let Some(consumer) = &consumer {
            consumer.took(taken);
        }
        Self { follower: journal.follower(taken), file, consumer, instance: journal.instance().to_owned() }
    }

    /// The next entries, up to about `most` bytes; none when there are none yet.
    pub(crate) async fn read(&mut self, most: usize) -> std::io::Result<Followed> {
        self.with(move |follower| follower.read(most)).await
    }

    /// The events among the next entries, of which up to about `most` bytes are looked at.
    pub(crate) async fn events(&mut self, most: usize) -> std::io::Result<Followed> {
        self.with(move |follower| follower.read_events(most)).await
    }

    /// The last entry that was read, or passed over.
    pub(crate) fn position(&self) -> Position {
        self.follower.position().saturating_sub(1)
    }

    /// A file of the reader's own, beside its position.
    pub(crate) fn beside(&self, extension: &str) -> PathBuf {
        self.file.with_extension(extension)
    }

    async fn with(
        &mut self,
        read: impl FnOnce(&mut Follower) -> std::io::Result<Followed> + Send + 'static,
    ) -> std::io::Result<Followed> {
        let mut follower = std::mem::replace(&mut self.follower, Follower::new(Path::new(""), 0));
        let read = tokio::task::spawn_blocking(move || {
            let read = read(&mut follower);
            (follower, read)
        });
        let (follower, read) = read.await.map_err(std::io::Error::other)?;
        self.follower = follower;
        read
    }

    /// Everything up to `position` was taken.
    pub(crate) fn took(&self, position: Position) {
        // What cannot be remembered is taken again after a restart.
        if let Err(error) = tollgate_journal::replace_file(&self.file, position.to_string().as_bytes()) {
            tracing::warn!(%error, file = %self.file.display(), "the position cannot be written");
        }
        if let Some(consumer) = &self.consumer {
            consumer.took(position);
        }
    }
}

fn position_file(journal: &DiskJournal, name: &str) -> PathBuf {
    journal.folder().join(format!("{name}.position"))
}

fn remembered(file: &Path) -> Option<Position> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

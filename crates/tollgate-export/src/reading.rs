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
        let (folder, consumer) = (journal.folder(), journal.consumer(name));
        let file = folder.join(format!("{name}.position"));
        let taken =
            std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if let Some(consumer) = &consumer {
            consumer.took(taken);
        }
        Self { follower: journal.follower(taken), file, consumer, instance: journal.instance().to_owned() }
    }

    /// The next entries, up to about `most` bytes; none when there are none yet.
    pub(crate) async fn read(&mut self, most: usize) -> std::io::Result<Followed> {
        let mut follower = std::mem::replace(&mut self.follower, Follower::new(Path::new(""), 0));
        let read = tokio::task::spawn_blocking(move || {
            let read = follower.read(most);
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

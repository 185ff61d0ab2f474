//! Loading: from the journal's files into the index, exactly once, in bounded memory.

use std::path::Path;
use std::sync::Arc;

use tollgate_core::ports::Position;
use tollgate_core::query::QueryError;
use tollgate_journal::Follower;

use crate::Index;
use crate::row::Batch;

/// What is loaded in one transaction at most.
const BATCH_BYTES: usize = 2 << 20;

/// Loads one journal into an index.
pub struct Loader {
    index: Arc<dyn Index>,
    instance: String,
    follower: Follower,
    taken: Position,
    behind: bool,
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("instance", &self.instance)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl Loader {
    /// A loader of the journal of `instance` in `folder`, which goes on where the index ends.
    pub async fn new(index: Arc<dyn Index>, instance: &str, folder: &Path) -> Result<Self, QueryError> {
        Self::following(index, instance, &Follower::new(folder, 0)).await
    }

    /// The same, which reads the journal as `follower` does.
    pub async fn following(
        index: Arc<dyn Index>,
        instance: &str,
        follower: &Follower,
    ) -> Result<Self, QueryError> {
        let taken = index.position(instance).await?;
        Ok(Self {
            index,
            instance: instance.to_owned(),
            follower: follower.again(taken),
            taken,
            behind: false,
        })
    }

    /// The last entry that was loaded.
    pub fn taken(&self) -> Position {
        self.taken
    }

    /// Whether the last step left something: it took as much as one takes.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Loads what has been written since. Returns the number of entries; 0 when there were none.
    pub async fn step(&mut self) -> Result<usize, QueryError> {
        let mut follower = std::mem::replace(&mut self.follower, Follower::new(Path::new(""), 0));
        let instance = self.instance.clone();
        let taken = self.taken;
        // Reading files and JSON is work for a thread of its own.
        let read = tokio::task::spawn_blocking(move || {
            let followed = follower.read(BATCH_BYTES);
            let mut batch = Batch::new(&instance, taken);
            let taken = followed.map(|followed| {
                for (seq, line) in &followed.entries {
                    batch.take(*seq, line);
                }
                batch.finish();
                (batch, followed.entries.len(), followed.bytes >= BATCH_BYTES)
            });
            (follower, taken)
        });
        let (follower, read) = read.await.map_err(|e| QueryError(e.to_string()))?;
        self.follower = follower;
        let loaded = async {
            let (batch, count, behind) =
                read.map_err(|e| QueryError(format!("the journal cannot be read: {e}")))?;
            let to = batch.to();
            if !batch.is_empty() {
                self.index.load(batch).await?;
            }
            Ok((to, count, behind))
        };
        match loaded.await {
            Ok((taken, count, behind)) => {
                (self.taken, self.behind) = (taken, behind);
                Ok(count)
            }
            Err(error) => {
                // Read again what was not loaded, from where the index is.
                self.taken = self.index.position(&self.instance).await.unwrap_or(self.taken);
                self.follower = self.follower.again(self.taken);
                Err(error)
            }
        }
    }
}

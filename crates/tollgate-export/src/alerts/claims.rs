//! Which of several instances tells of what all of them have seen: a document for each alert, where instances share any.
//! When it cannot be read or written, the alert is sent all the same: better twice than never.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tollgate_core::ports::{Rewritten, Shelf};
use tollgate_core::query::QueryError;

/// For how long an alert is one instance's: then another may try, which may reach what this one does not.
const HELD: SignedDuration = SignedDuration::from_secs(120);

/// How much of that must be left for a try.
const TRY: SignedDuration = SignedDuration::from_secs(15);

/// For how long it is known what was told: an instance that was away may see it late.
const KNOWN: SignedDuration = SignedDuration::from_hours(24 * 31);

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it is waited while another instance tries.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// Where instances agree on who tells.
#[derive(Clone)]
pub struct Claims {
    shelf: Arc<dyn Shelf>,
    who: Arc<str>,
    /// The address that is told, as its reader is called.
    target: String,
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims").field("who", &self.who).finish_non_exhaustive()
    }
}

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// This instance.
    Ours,
    /// Another one, for now.
    Others,
    /// Nobody any more: it was told, or given up.
    Done,
}

#[derive(Debug, Deserialize, Serialize)]
struct Document {
    by: Arc<str>,
    until: Timestamp,
    done: bool,
}

impl Claims {
    /// Agrees over `shelf` as `who`, which is never the same for two instances, on what `target` is told.
    pub fn new(shelf: Arc<dyn Shelf>, who: Arc<str>, target: String) -> Self {
        Self { shelf, who, target }
    }

    /// Who tells of the alert `id` now.
    pub(super) async fn take(&self, id: &str) -> Claim {
        or_alone(self.taken(id)).await.unwrap_or(Claim::Ours)
    }

    /// Notes that nobody need tell of the alert `id` any more.
    pub(super) async fn settle(&self, id: &str) {
        or_alone(self.settled(id)).await;
    }

    async fn taken(&self, id: &str) -> Result<Claim, QueryError> {
        let (now, version, document) = self.read(id).await?;
        match document {
            Some(document) if document.done => Ok(Claim::Done),
            Some(document) if now < document.until => {
                let ours = document.by == self.who && document.until.duration_since(now) >= TRY;
                Ok(if ours { Claim::Ours } else { Claim::Others })
            }
            _ => {
                let until = after(now, HELD);
                let written = self.write(id, now, version, until, false).await?;
                Ok(if written { Claim::Ours } else { Claim::Others })
            }
        }
    }

    async fn settled(&self, id: &str) -> Result<(), QueryError> {
        let (now, version, _) = self.read(id).await?;
        // Where another instance was faster, it has just tried it too, and says so by itself.
        self.write(id, now, version, now, true).await.map(drop)
    }

    async fn read(&self, id: &str) -> Result<(Timestamp, u64, Option<Document>), QueryError> {
        let documents = self.shelf.read(&[self.name(id)]).await?;
        let text = documents.each.first().and_then(|(_, text)| text.as_deref());
        // One that cannot be read is written anew.
        let document = text.and_then(|text| serde_json::from_str(text).ok());
        Ok((documents.now, documents.version(0), document))
    }

    async fn write(
        &self,
        id: &str,
        now: Timestamp,
        version: u64,
        until: Timestamp,
        done: bool,
    ) -> Result<bool, QueryError> {
        let document = Document { by: Arc::clone(&self.who), until, done };
        let text = serde_json::to_string(&document).map_err(|error| QueryError(error.to_string()))?;
        let document = Rewritten { name: self.name(id), version, text, ends: Some(after(now, KNOWN)) };
        Ok(self.shelf.write(&[document]).await?.first() == Some(&true))
    }

    fn name(&self, id: &str) -> String {
        format!("{}/{id}", self.target)
    }
}

fn after(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

/// What the store says; `None`, and a line in the log, where it says nothing.
async fn or_alone<T>(answer: impl Future<Output = Result<T, QueryError>>) -> Option<T> {
    let error = match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => return Some(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it does not answer".to_owned(),
    };
    tracing::warn!(error, "what instances share is away: each may send the same alert");
    None
}

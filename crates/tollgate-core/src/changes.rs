//! Changes to documents: on the record, with before and after, before they are made.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use crate::document::{Document, DocumentRef};
use crate::ports::{Change, Clock, Journal, JournalError, KeepError, Registry};
use crate::principal::Principal;
use crate::record::{Entry, Event};

/// Makes changes to one sort of documents.
pub struct Changes<D: Document> {
    registry: Arc<dyn Registry<D>>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
}

impl<D: Document> std::fmt::Debug for Changes<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Changes({})", D::SORT)
    }
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// There is one of that name, or with the same text that is unique.
    Exists,
    /// It was changed meanwhile.
    Stale,
    /// The registry, or the journal, is away.
    Away(String),
}

impl From<JournalError> for NotMade {
    fn from(error: JournalError) -> Self {
        Self::Away(unrecorded(&error))
    }
}

/// Why a change is not made that the journal does not take.
pub fn unrecorded(error: &JournalError) -> String {
    format!("the change cannot be recorded, so it was not made: {}", error.reason)
}

impl<D: Document> Changes<D> {
    /// Changes what `registry` keeps, and writes into `journal` what it changes.
    pub fn new(registry: Arc<dyn Registry<D>>, journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        Self { registry, journal, clock }
    }

    /// Now, as it is written into entries.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes an entry; when that fails, what it tells of must not be done.
    pub fn write(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        self.journal.append(entry).map(|_| ())
    }

    /// Keeps `after`, instead of `before` as it was since its change, or as a new document.
    pub async fn keep(
        &self,
        by: &Principal,
        action: &str,
        before: Option<(&D, Change)>,
        after: &D,
    ) -> Result<Change, NotMade> {
        let name = after.document();
        self.record(by, action, &name, before.map(|(before, _)| before), Some(after))?;
        let kept = self.registry.keep(after, before.map(|(_, change)| change)).await;
        kept.map_err(|error| self.not_made(by, &name, before.is_some(), &error))
    }

    /// Removes `before` as it was since its change.
    pub async fn remove(&self, by: &Principal, before: (&D, Change)) -> Result<Change, NotMade> {
        let (document, change) = before;
        let name = document.document();
        self.record(by, "remove", &name, Some(document), None)?;
        let removed = self.registry.remove(&name, change).await;
        removed.map_err(|error| self.not_made(by, &name, true, &error))
    }

    /// Before it is made: a change that is not on the record is not made.
    fn record(
        &self,
        by: &Principal,
        action: &str,
        name: &DocumentRef<D::Kind>,
        before: Option<&D>,
        after: Option<&D>,
    ) -> Result<(), NotMade> {
        let (before, after) = (before.map(D::visible), after.map(D::visible));
        let detail = json!({ "by": by, "action": action, D::SORT: name, "before": before, "after": after });
        let event = Event { at: self.now(), event: "change", call_id: None, detail };
        Ok(self.write(&Entry::Event(&event))?)
    }

    /// What is on the record as made and was not is said to be so there.
    fn not_made(
        &self,
        by: &Principal,
        name: &DocumentRef<D::Kind>,
        existed: bool,
        error: &KeepError,
    ) -> NotMade {
        let detail = json!({ "by": by, D::SORT: name, "why": error.to_string() });
        let event = Event { at: self.now(), event: "change_failed", call_id: None, detail };
        // Its loss is logged by the journal.
        let _ = self.write(&Entry::Event(&event));
        match error {
            KeepError::Conflict if existed => NotMade::Stale,
            KeepError::Conflict => NotMade::Exists,
            KeepError::Away(why) => NotMade::Away(why.clone()),
        }
    }
}

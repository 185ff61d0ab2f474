//! The instances that share budgets and limits, and those that will not come back.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tollgate_core::ledger::ReleaseError;
use tollgate_core::principal::Principal;
use tollgate_core::record::{Entry, Event};

use crate::registrar::{Registrar, RegistrarError};

/// An instance, as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// Its name among those that share.
    pub id: String,
    /// Until when it uses its leases.
    pub until: Timestamp,
    /// Whether it uses them now: `present`; has not been heard of since they ended: `silent`; or was said not to come
    /// back: `released`.
    pub state: &'static str,
}

impl Registrar {
    /// The instances; none where there is only this one.
    pub async fn instances(&self) -> Result<Vec<Instance>, RegistrarError> {
        let Some(sharing) = self.ledger().shared() else { return Ok(Vec::new()) };
        let (roster, now) =
            sharing.roster().await.map_err(|error| RegistrarError::Away(error.to_string()))?;
        let instances = roster.each().map(|(id, presence)| Instance {
            id: id.to_string(),
            until: presence.until,
            state: match presence.released {
                true => "released",
                false if now < presence.until => "present",
                false => "silent",
            },
        });
        Ok(instances.collect())
    }

    /// Says that the instance `id` will not come back: what it has taken and not used is free for others.
    pub async fn release(&self, by: &Principal, id: &str) -> Result<(), RegistrarError> {
        let Some(sharing) = self.ledger().shared() else {
            return Err(RegistrarError::NoInstance("this gate shares nothing with others".to_owned()));
        };
        let detail = json!({ "by": by, "action": "release", "instance": id });
        self.write(&Entry::Event(&Event { at: self.now(), event: "change", call_id: None, detail }))?;
        let released = sharing.release(id).await.map_err(|error| RegistrarError::Away(error.to_string()))?;
        released.map_err(|error| {
            let detail = json!({ "by": by, "instance": id, "why": error.to_string() });
            let event = Event { at: self.now(), event: "change_failed", call_id: None, detail };
            // What is on the record as made and was not is said to be so there; its loss is logged by the journal.
            let _ = self.write(&Entry::Event(&event));
            match error {
                ReleaseError::Unknown(_) => RegistrarError::NoInstance(error.to_string()),
                ReleaseError::Present(..) => RegistrarError::StillPresent(error.to_string()),
            }
        })
    }
}

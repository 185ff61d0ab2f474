//! Calls that wait.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_core::approval::{Answered, Approval, ApprovalRef, ApprovalState, Approvals, Asks, Wanted};
use tollgate_core::changes::{Changes, NotMade};
use tollgate_core::ports::{Change, Clock, Journal, Registry, Stored};
use tollgate_core::principal::Principal;
use tollgate_core::query::QueryError;
use tollgate_core::record::{Entry, Event};
use uuid::Uuid;

/// The most approvals that wait at once for one caller: nobody reads more.
const MOST_OF_CALLER: usize = 1_000;

/// The largest arguments that somebody is shown, in bytes; of larger ones the beginning.
const MOST_ARGUMENTS: usize = 64 << 10;

/// How often a change is tried again that somebody else has overtaken.
const TRIES: usize = 5;

/// How long an approval that is over is kept for whoever looks.
const KEPT: Duration = Duration::from_hours(24 * 7);

/// An approval, and the change that made it what it is.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) approval: Approval,
    pub(crate) change: Change,
}

#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) all: BTreeMap<ApprovalRef, Listed>,
    read: Option<Change>,
}

/// Calls that wait for somebody to decide, and what was decided.
pub struct Waiting {
    pub(crate) changes: Changes<Approval>,
    registry: Arc<dyn Registry<Approval>>,
    pub(crate) known: Mutex<Known>,
    decided: watch::Sender<u64>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

impl Known {
    fn take(&mut self, Stored { name, change, document }: Stored<Approval>) -> bool {
        if self.all.get(&name).is_some_and(|known| known.change >= change) {
            return false;
        }
        match document {
            Some(approval) => {
                self.all.insert(name, Listed { approval, change });
                true
            }
            None => self.all.remove(&name).is_some(),
        }
    }
}

impl Waiting {
    /// Nobody waits yet. Changes are kept in `registry` and written into `journal`.
    pub fn new(
        registry: Arc<dyn Registry<Approval>>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            changes: Changes::new(Arc::clone(&registry), journal, clock),
            registry,
            known: Mutex::default(),
            decided: watch::Sender::new(0),
        }
    }

    /// Reads what others have changed since the last time, and forgets what has been over for long.
    pub async fn follow(&self) -> Result<(), QueryError> {
        let mut last = self.known.lock().read.unwrap_or(0);
        let mut news = false;
        loop {
            let part = self.registry.changed_after(last).await?;
            let mut known = self.known.lock();
            let Some(end) = part.last() else {
                known.read = known.read.max(Some(last));
                break;
            };
            last = end.change;
            for stored in part {
                news |= known.take(stored);
            }
            known.read = Some(last);
        }
        if news {
            self.decided.send_modify(|count| *count += 1);
        }
        self.expire().await;
        self.forget_past().await;
        Ok(())
    }

    /// What nobody decided in time says so, and keeps no arguments.
    async fn expire(&self) {
        let now = self.changes.now();
        let late: Vec<Listed> = {
            let known = self.known.lock();
            let late = |listed: &&Listed| {
                let state = listed.approval.state;
                let open = matches!(state, ApprovalState::Pending | ApprovalState::Approved);
                open && listed.approval.ends_at <= now
            };
            known.all.values().filter(late).take(100).cloned().collect()
        };
        for Listed { approval, change } in late {
            let after = Approval { state: ApprovalState::Expired, arguments: None, ..approval.clone() };
            // Another instance may have done so just now; where the registry is away, it is tried again.
            if let Ok(change) =
                self.changes.keep(&Principal::gate(), "expire", Some((&approval, change)), &after).await
            {
                self.took(Approval::name(&after.id), change, after);
            }
        }
    }

    async fn forget_past(&self) {
        let now = self.changes.now();
        let past: Vec<Listed> = {
            let known = self.known.lock();
            let long = |listed: &&Listed| listed.approval.ends_at + KEPT <= now;
            known.all.values().filter(long).take(100).cloned().collect()
        };
        for listed in past {
            // Another instance may have done so just now.
            let _ = self.changes.remove(&Principal::gate(), (&listed.approval, listed.change)).await;
        }
    }

    pub(crate) fn took(&self, name: ApprovalRef, change: Change, approval: Approval) {
        self.known.lock().take(Stored { name, change, document: Some(approval) });
        self.decided.send_modify(|count| *count += 1);
    }

    /// The approval of exactly what is wanted, where there is one that is not over. A denial holds for as long as somebody
    /// could have decided: who asks again is told the same, and nobody is asked again.
    fn of(&self, wanted: &Wanted) -> Option<Listed> {
        let now = self.changes.now();
        let known = self.known.lock();
        let holds = |approval: &Approval| {
            !approval.is_over(now) || (approval.state == ApprovalState::Denied && approval.ends_at > now)
        };
        let of = |listed: &&Listed| listed.approval.wanted == *wanted && holds(&listed.approval);
        known.all.values().find(of).cloned()
    }

    /// Asks for what is wanted, unless that has been done.
    async fn asked(&self, asks: &Asks) -> Result<Listed, String> {
        for _ in 0..TRIES {
            if let Some(known) = self.of(&asks.wanted) {
                return Ok(known);
            }
            let now = self.changes.now();
            let of_caller = {
                let known = self.known.lock();
                if known.read.is_none() {
                    return Err("approvals could not be read yet; try again in a moment".to_owned());
                }
                let waits = |listed: &&Listed| {
                    listed.approval.wanted.whose == asks.wanted.whose && !listed.approval.is_over(now)
                };
                known.all.values().filter(waits).count()
            };
            if of_caller >= MOST_OF_CALLER {
                return Err(format!("{MOST_OF_CALLER} calls of this caller wait already"));
            }
            let arguments = &asks.arguments[..asks.arguments.floor_char_boundary(MOST_ARGUMENTS)];
            let approval = Approval {
                id: Arc::from(Uuid::now_v7().simple().to_string()),
                wanted: asks.wanted.clone(),
                effect: asks.effect,
                why: asks.why.clone(),
                call_id: asks.call_id.clone(),
                trace_id: asks.trace_id.clone(),
                own: asks.own,
                arguments: Some(arguments.to_owned()),
                asked_at: now,
                ends_at: now + asks.lasts,
                state: ApprovalState::Pending,
                decided_by: None,
                decided_at: None,
                reason: None,
            };
            let name = Approval::name(&approval.id);
            match self.changes.keep(&Principal::gate(), "ask", None, &approval).await {
                Ok(change) => {
                    self.took(name, change, approval.clone());
                    self.tell(&approval);
                    return Ok(Listed { approval, change });
                }
                Err(NotMade::Away(why)) => return Err(why),
                Err(NotMade::Exists | NotMade::Stale) => {}
            }
        }
        Err("the approval could not be asked for".to_owned())
    }

    /// Writes that somebody is asked, for whoever is told of such.
    fn tell(&self, approval: &Approval) {
        let detail = serde_json::json!({
            "approval": approval.id, "server": approval.wanted.server, "tool": approval.wanted.tool,
            "effect": approval.effect, "whose": approval.wanted.whose, "why": approval.why, "ends_at": approval.ends_at,
        });
        let call_id = approval.call_id.parse().ok();
        let event = Event { at: self.changes.now(), event: "approval_pending", call_id, detail };
        // Its loss is logged by the journal: that it was asked for is on the record.
        let _ = self.changes.write(&Entry::Event(&event));
    }

    /// Uses an approval up. `false` where another call has done so.
    async fn used(&self, listed: &Listed) -> Result<bool, String> {
        let after = Approval { state: ApprovalState::Used, arguments: None, ..listed.approval.clone() };
        match self
            .changes
            .keep(&Principal::gate(), "use", Some((&listed.approval, listed.change)), &after)
            .await
        {
            Ok(change) => {
                self.took(Approval::name(&after.id), change, after);
                Ok(true)
            }
            Err(NotMade::Exists | NotMade::Stale) => Ok(false),
            Err(NotMade::Away(why)) => Err(why),
        }
    }

    async fn answered(&self, asks: Asks, patience: Duration) -> Answered {
        let deadline = Instant::now() + patience;
        let asked = match self.asked(&asks).await {
            Ok(asked) => asked,
            Err(why) => return Answered::Away(why),
        };
        let id = Arc::clone(&asked.approval.id);
        let mut decided = self.decided.subscribe();
        loop {
            decided.mark_unchanged();
            let now = self.known.lock().all.get(&Approval::name(&id)).cloned();
            let Some(listed) = now else { return Answered::Denied { id, by: None, reason: None } };
            let approval = &listed.approval;
            match approval.state {
                ApprovalState::Approved if !approval.is_over(self.changes.now()) => {
                    match self.used(&listed).await {
                        Ok(true) => return Answered::Approved(id),
                        // The same call was made by somebody else in this caller's name: each wants its own approval.
                        Ok(false) => return Answered::Pending(id),
                        Err(why) => return Answered::Away(why),
                    }
                }
                ApprovalState::Denied => {
                    return Answered::Denied {
                        id,
                        by: approval.decided_by.clone(),
                        reason: approval.reason.clone(),
                    };
                }
                ApprovalState::Used => return Answered::Pending(id),
                ApprovalState::Expired => return Answered::Denied { id, by: None, reason: None },
                ApprovalState::Approved | ApprovalState::Pending if approval.is_over(self.changes.now()) => {
                    return Answered::Denied { id, by: None, reason: None };
                }
                ApprovalState::Approved | ApprovalState::Pending => {}
            }
            tokio::select! {
                changed = decided.changed() => if changed.is_err() { return Answered::Pending(id) },
                () = tokio::time::sleep_until(deadline) => return Answered::Pending(id),
            }
        }
    }
}

impl Approvals for Waiting {
    fn ask(&self, asks: Asks, patience: Duration) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>> {
        Box::pin(self.answered(asks, patience))
    }

    fn decide<'a>(
        &'a self,
        by: &'a Principal,
        id: &'a str,
        approve: bool,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            let decided = Self::decide(self, by, id, approve, Some("asked in the call"), None).await;
            decided.map(drop).map_err(|error| error.to_string())
        })
    }
}

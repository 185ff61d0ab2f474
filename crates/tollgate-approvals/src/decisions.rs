//! What people decide.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_core::approval::{Approval, ApprovalState};
use tollgate_core::document::Document as _;
use tollgate_core::ports::Change;
use tollgate_core::principal::Principal;

use crate::asking::{Listed, Waiting};
use crate::error::ApprovalError;

/// The longest reason, in bytes.
const LONGEST_REASON: usize = 1_000;

/// An approval as whoever decides sees it, and the change that made it what it is.
fn shown(listed: &Listed) -> (Value, Change) {
    let mut value = listed.approval.visible();
    value["arguments"] = json!(listed.approval.arguments);
    (value, listed.change)
}

impl Waiting {
    /// The approval called `id`, with the arguments for as long as it waits.
    pub fn get(&self, id: &str) -> Option<(Value, Change)> {
        self.known.lock().all.get(&Approval::name(id)).map(shown)
    }

    /// A page of approvals, the oldest first, `limit` at most after the name `after`: those that wait, or all.
    pub fn page(&self, pending: bool, after: Option<&str>, limit: usize) -> (Vec<Value>, Option<Arc<str>>) {
        let now = self.changes.now();
        let known = self.known.lock();
        let after = after.map(Approval::name);
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = |listed: &Listed| {
            !pending || (listed.approval.state == ApprovalState::Pending && !listed.approval.is_over(now))
        };
        let mut found = known.all.range((from, Bound::Unbounded)).filter(|(_, listed)| wanted(listed));
        let page: Vec<_> = found.by_ref().take(limit).collect();
        let next = page.last().filter(|_| found.next().is_some()).map(|(name, _)| Arc::clone(&name.id));
        (page.into_iter().map(|(_, listed)| listed.approval.visible()).collect(), next)
    }

    /// Lets the call pass, or not. Whoever makes a call does not approve it.
    pub async fn decide(
        &self,
        by: &Principal,
        id: &str,
        approve: bool,
        reason: Option<&str>,
        expected: Option<Change>,
    ) -> Result<(Value, Change), ApprovalError> {
        let name = Approval::name(id);
        let before = self.known.lock().all.get(&name).cloned();
        let before = before.ok_or_else(|| ApprovalError::Missing(name.clone()))?;
        let who = format!("{}/{}", by.sub.kind.name(), by.sub.id);
        if before.approval.wanted.whose == who && !before.approval.own {
            return Err(ApprovalError::OwnCall);
        }
        if expected.is_some_and(|expected| expected != before.change) {
            return Err(ApprovalError::Stale(name));
        }
        if before.approval.state != ApprovalState::Pending {
            return Err(ApprovalError::Decided(name, before.approval.state));
        }
        if before.approval.is_over(self.changes.now()) {
            return Err(ApprovalError::Over(name));
        }
        let reason = reason.map(|reason| reason[..reason.floor_char_boundary(LONGEST_REASON)].to_owned());
        let after = Approval {
            state: if approve { ApprovalState::Approved } else { ApprovalState::Denied },
            arguments: None,
            decided_by: Some(who),
            decided_at: Some(self.changes.now()),
            reason,
            ..before.approval.clone()
        };
        let action = if approve { "approve" } else { "deny" };
        let kept = self.changes.keep(by, action, Some((&before.approval, before.change)), &after).await;
        let change = kept.map_err(|error| ApprovalError::not_made(&name, error))?;
        self.took(name, change, after.clone());
        Ok(shown(&Listed { approval: after, change }))
    }
}

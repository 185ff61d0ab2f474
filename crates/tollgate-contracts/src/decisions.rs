//! What people decide: to approve a definition that waits, to reject it, to forget a tool.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;
use tollgate_core::contract::{ContractRef, ContractState, How, Pinned, ToolContract};
use tollgate_core::document::Document as _;
use tollgate_core::effect::Effect;
use tollgate_core::ports::{Change, Stored};
use tollgate_core::principal::Principal;
use tollgate_mcp::contract::Contract;
use tollgate_mcp::contract::canonical::Digest;
use tollgate_mcp::effect::{Local, judge};
use tollgate_mcp::tool::Tool;

use crate::contracts::Contracts;
use crate::error::ContractError;
use crate::known::Listed;

/// Rejected definitions that are remembered of one tool.
const MOST_REJECTED: usize = 64;

/// A contract as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What is shown.
    pub value: Value,
    /// The change that made it what it is.
    pub change: Change,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order of their names.
    pub items: Vec<Value>,
    /// After which name the next page begins; `None` where this is the last.
    pub next: Option<Arc<str>>,
}

fn shown(listed: &Listed) -> Shown {
    Shown { value: listed.contract.visible(), change: listed.change }
}

/// A contract in a list: without its definitions, which are long.
fn short(listed: &Listed) -> Value {
    let mut value = listed.contract.visible();
    for part in ["pinned", "pending"] {
        if let Some(members) = value.get_mut(part).and_then(Value::as_object_mut) {
            members.remove("definition");
        }
    }
    value
}

impl Contracts {
    /// The contract called `name`.
    pub fn get(&self, name: &ContractRef) -> Option<Shown> {
        self.listed(name).ok().map(|listed| shown(&listed))
    }

    /// A page of contracts, `limit` at most after the name `after`: those in `state`, where one is given.
    pub fn page(&self, state: Option<ContractState>, after: Option<&str>, limit: usize) -> Page {
        let known = self.state.lock();
        let after = after
            .map(|id| ContractRef { kind: tollgate_core::contract::ContractKind::Tool, id: Arc::from(id) });
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = known
            .known
            .all
            .range((from, Bound::Unbounded))
            .filter(|(_, listed)| state.is_none_or(|state| listed.contract.state() == state));
        let page: Vec<_> = found.by_ref().take(limit).collect();
        let next = page.last().filter(|_| found.next().is_some()).map(|(name, _)| Arc::clone(&name.id));
        Page { items: page.into_iter().map(|(_, listed)| short(listed)).collect(), next }
    }

    /// Every pinned definition, for a lock file. What nobody has said of effects is what is judged of them.
    pub fn pinned(&self) -> Vec<Contract> {
        let state = self.state.lock();
        let each = state.known.all.values().filter_map(|listed| {
            let pinned = listed.contract.pinned.as_ref()?;
            let definition = Tool::try_from(pinned.definition.clone()).ok()?;
            let judged = judge(&definition.annotations(), &Local::default(), None).effect;
            Some(Contract {
                server: listed.contract.server.clone(),
                tool: listed.contract.tool.clone(),
                audience: listed.contract.audience.clone(),
                digest: Digest::of(&definition),
                effect: pinned.effect.unwrap_or(judged),
                pinned_at: pinned.at,
                definition,
            })
        });
        each.collect()
    }

    /// Approves the definition with `digest`, which waits or is pinned already; `effect` says what the tool can change.
    pub async fn approve(
        &self,
        by: &Principal,
        name: &ContractRef,
        digest: &str,
        effect: Option<Effect>,
        expected: Option<Change>,
    ) -> Result<Shown, ContractError> {
        let before = self.to_decide(name, expected)?;
        let contract = &before.contract;
        let known = contract.pinned.as_ref().and_then(|pinned| pinned.effect);
        let definition = match (&contract.pending, &contract.pinned) {
            (Some(pending), _) if pending.digest == digest => &pending.definition,
            (None, Some(pinned)) if pinned.digest == digest && effect.is_some() => &pinned.definition,
            (None, _) => return Err(ContractError::Decided(name.clone())),
            (Some(_), _) => return Err(ContractError::Another(name.clone())),
        };
        let pinned = Pinned {
            digest: digest.to_owned(),
            definition: definition.clone(),
            effect: effect.or(known),
            how: How::Approved,
            by: Some(who(by)),
            at: self.changes.now(),
        };
        let after = ToolContract { pinned: Some(pinned), pending: None, ..contract.clone() };
        self.decide(by, "approve", name, &before, after).await
    }

    /// Rejects the definition with `digest`, which waits: the tool is hidden for as long as its server lists it so.
    pub async fn reject(
        &self,
        by: &Principal,
        name: &ContractRef,
        digest: &str,
        expected: Option<Change>,
    ) -> Result<Shown, ContractError> {
        let before = self.to_decide(name, expected)?;
        match &before.contract.pending {
            Some(pending) if pending.digest == digest => {}
            Some(_) => return Err(ContractError::Another(name.clone())),
            None => return Err(ContractError::Decided(name.clone())),
        }
        let mut after = ToolContract { pending: None, ..before.contract.clone() };
        after.rejected.push(digest.to_owned());
        if after.rejected.len() > MOST_REJECTED {
            after.rejected.remove(0);
        }
        self.decide(by, "reject", name, &before, after).await
    }

    /// Forgets what is known of a tool: the next time that its server lists it is the first.
    pub async fn forget(
        &self,
        by: &Principal,
        name: &ContractRef,
        expected: Option<Change>,
    ) -> Result<(), ContractError> {
        let before = self.to_decide(name, expected)?;
        let removed = self.changes.remove(by, (&before.contract, before.change)).await;
        let change = removed.map_err(|error| ContractError::not_made(name, error))?;
        self.state.lock().known.take(Stored { name: name.clone(), change, document: None });
        self.decided_more();
        Ok(())
    }

    /// The contract, where it is still what `expected` made it and people may decide.
    fn to_decide(&self, name: &ContractRef, expected: Option<Change>) -> Result<Listed, ContractError> {
        if self.state.lock().lock.is_some() {
            return Err(ContractError::Locked);
        }
        let listed = self.listed(name)?;
        if expected.is_some_and(|expected| expected != listed.change) {
            return Err(ContractError::Stale(name.clone()));
        }
        Ok(listed)
    }

    async fn decide(
        &self,
        by: &Principal,
        action: &str,
        name: &ContractRef,
        before: &Listed,
        after: ToolContract,
    ) -> Result<Shown, ContractError> {
        let kept = self.changes.keep(by, action, Some((&before.contract, before.change)), &after).await;
        let change = kept.map_err(|error| ContractError::not_made(name, error))?;
        let listed = Listed { contract: after.clone(), change };
        self.state.lock().known.take(Stored { name: name.clone(), change, document: Some(after) });
        self.decided_more();
        Ok(shown(&listed))
    }
}

fn who(by: &Principal) -> String {
    format!("{}/{}", by.sub.kind.name(), by.sub.id)
}

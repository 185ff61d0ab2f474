//! What is known of tools' definitions, and what becomes of what servers list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use tollgate_core::changes::{Changes, NotMade};
use tollgate_core::config::contracts::Policy;
use tollgate_core::config::snapshot::{Contracts as Settings, Snapshot};
use tollgate_core::contract::{ContractRef, ToolContract};
use tollgate_core::ports::{Clock, Journal, Registry, Stored};
use tollgate_core::principal::Principal;
use tollgate_core::query::QueryError;
use tollgate_core::record::{Entry, Event};
use tollgate_mcp::arguments::{Compiled, SchemaLimits, SchemaRefusal};
use tollgate_mcp::contract::canonical::Digest;
use tollgate_mcp::contract::port::{Seen, ToolContracts, Verdict, Waiting, local};
use tollgate_mcp::contract::{Contract, lock};
use tollgate_mcp::effect::{Approved, judge};
use tollgate_mcp::scan::{Finding, Scanner, Surroundings};
use tollgate_mcp::tool::Tool;

use crate::consider::{self, Considered, Happened, Listing, consider};
use crate::error::ContractError;
use crate::known::{Known, Listed};

/// Schemas that are kept compiled; they are asked for at each listing.
const MOST_COMPILED: usize = 20_000;

/// The most contracts of one server: each tool that it has ever listed leaves one.
const MOST_OF_SERVER: usize = 20_000;

/// How often a change is tried again that somebody else has overtaken.
const TRIES: usize = 5;

/// Which tools may be offered.
pub struct Contracts {
    pub(crate) changes: Changes<ToolContract>,
    registry: Arc<dyn Registry<ToolContract>>,
    pub(crate) state: Mutex<State>,
    compiled: Mutex<HashMap<Digest, Arc<Compiled>>>,
    scanner: Scanner,
    decided: watch::Sender<u64>,
}

/// What is known now.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) known: Known,
    policy: Policy,
    /// The contracts of the lock, by server and tool, where that is the only source.
    pub(crate) lock: Option<BTreeMap<(String, String), Contract>>,
}

impl std::fmt::Debug for Contracts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contracts")
    }
}

impl Contracts {
    /// None yet. Changes are kept in `registry` and written into `journal`.
    ///
    /// # Errors
    /// The scanner's patterns do not compile; which, and why.
    pub fn new(
        registry: Arc<dyn Registry<ToolContract>>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        Ok(Self {
            changes: Changes::new(Arc::clone(&registry), journal, clock),
            registry,
            state: Mutex::default(),
            compiled: Mutex::default(),
            scanner: Scanner::new()?,
            decided: watch::Sender::new(0),
        })
    }

    /// Goes by what `snapshot` says from now on.
    ///
    /// # Errors
    /// Its lock cannot be read; why. Then nothing is changed.
    pub fn reload(&self, snapshot: &Snapshot) -> Result<(), String> {
        let Settings { policy, lock } = &snapshot.contracts;
        let read = |text: &Arc<str>| {
            let contracts = lock::read(text).map_err(|error| format!("`tools.contracts.lock`: {error}"))?;
            let keyed = contracts.into_iter().filter(|contract| contract.audience.is_none());
            Ok::<_, String>(
                keyed.map(|contract| ((contract.server.clone(), contract.tool.clone()), contract)).collect(),
            )
        };
        let lock = lock.as_ref().map(read).transpose()?;
        let mut state = self.state.lock();
        if state.policy != *policy || state.lock != lock {
            (state.policy, state.lock) = (policy.clone(), lock);
            drop(state);
            self.decided_more();
        }
        Ok(())
    }

    pub(crate) fn decided_more(&self) {
        self.decided.send_modify(|count| *count += 1);
    }

    /// Reads what others have changed since the last time.
    pub async fn follow(&self) -> Result<(), QueryError> {
        let read = self.state.lock().known.read;
        let mut last = read.unwrap_or(0);
        let mut news = false;
        loop {
            let part = self.registry.changed_after(last).await?;
            let mut state = self.state.lock();
            let Some(end) = part.last() else {
                state.known.read = state.known.read.max(Some(last));
                break;
            };
            last = end.change;
            for stored in part {
                news |= state.known.take(stored);
            }
            state.known.read = Some(last);
        }
        if news && read.is_some() {
            self.decided_more();
        }
        Ok(())
    }

    async fn verdict(&self, seen: &Seen<'_>, tool: Tool) -> Verdict {
        let name = tool.name().to_owned();
        let digest = Digest::of(&tool);
        let decided = self.decided_on(seen, &tool, digest).await;
        let (shown, approved) = match decided {
            Ok((Shows::Listed, approved)) => (tool, approved),
            Ok((Shows::Pinned(pinned), approved)) => (*pinned, approved),
            Err(why) => return Verdict::Hidden { name, why },
        };
        let contract = Digest::of(&shown);
        let schemas = match self.compiled(contract, &shown) {
            Ok(schemas) => schemas,
            Err(refusal) => return Verdict::Hidden { name, why: refusal.to_string() },
        };
        let facts = judge(&shown.annotations(), &local(seen.effects, &name), approved.as_ref());
        Verdict::Offered { name, tool: shown, contract, facts, schemas }
    }

    /// Which definition is offered, and what was approved of its effects; or why none is.
    async fn decided_on(
        &self,
        seen: &Seen<'_>,
        tool: &Tool,
        digest: Digest,
    ) -> Result<(Shows, Option<Approved>), String> {
        if let Some(locked) = self.locked(seen, tool, digest) {
            return locked;
        }
        let name = ToolContract::name(seen.server, tool.name(), seen.audience);
        let blank = ToolContract::new(seen.server, tool.name(), seen.audience);
        for _ in 0..TRIES {
            let (before, considered) = self.considered(&name, &blank, seen, tool, digest)?;
            let Considered { verdict, after } = considered;
            let now = match after {
                None => before.as_ref().map(|listed| listed.contract.clone()),
                Some((after, happened)) => match self.keep(&name, before.as_ref(), &after, happened).await {
                    Ok(()) => Some(after),
                    Err(NotMade::Away(why)) => return Err(format!("it cannot be pinned: {why}")),
                    // Another instance has seen it, too.
                    Err(NotMade::Exists | NotMade::Stale) => {
                        self.follow().await.map_err(|error| format!("it cannot be pinned: {error}"))?;
                        continue;
                    }
                },
            };
            return shows(verdict, now.as_ref());
        }
        Err("its contract changes all the time".to_owned())
    }

    /// What the lock says, where that is the only source.
    fn locked(
        &self,
        seen: &Seen<'_>,
        tool: &Tool,
        digest: Digest,
    ) -> Option<Result<(Shows, Option<Approved>), String>> {
        let state = self.state.lock();
        let lock = state.lock.as_ref()?;
        let Some(contract) = lock.get(&(seen.server.to_owned(), tool.name().to_owned())) else {
            return Some(Err("the lock file does not hold it".to_owned()));
        };
        let approved = Some(contract.approved());
        if contract.digest == digest {
            return Some(Ok((Shows::Listed, approved)));
        }
        let differences = tollgate_mcp::contract::diff::between(&contract.definition, tool);
        let decision = tollgate_mcp::contract::decide::decide(&state.policy, seen.server, &differences);
        Some(match decision.seen {
            tollgate_mcp::contract::decide::Seen::Listed => Ok((Shows::Listed, approved)),
            tollgate_mcp::contract::decide::Seen::Pinned => {
                Ok((Shows::Pinned(Box::new(contract.definition.clone())), approved))
            }
            tollgate_mcp::contract::decide::Seen::Nothing => {
                Err("its definition is not the one of the lock file".to_owned())
            }
        })
    }

    fn considered(
        &self,
        name: &ContractRef,
        blank: &ToolContract,
        seen: &Seen<'_>,
        tool: &Tool,
        digest: Digest,
    ) -> Result<(Option<Listed>, Considered), String> {
        let state = self.state.lock();
        if state.known.read.is_none() {
            return Err("contracts could not be read yet; it is tried again".to_owned());
        }
        let before = state.known.all.get(name).cloned();
        let of_server =
            || state.known.all.values().filter(|known| known.contract.server == seen.server).count();
        if before.is_none() && state.known.all.len() >= MOST_OF_SERVER && of_server() >= MOST_OF_SERVER {
            return Err(format!("the server has listed more than {MOST_OF_SERVER} tools"));
        }
        let listing = Listing { tool, digest, now: self.changes.now() };
        let known = before.as_ref().map(|listed| &listed.contract);
        let considered = consider(known, blank, &listing, &state.policy, || self.scanned(seen, tool));
        Ok((before, considered))
    }

    fn scanned(&self, seen: &Seen<'_>, tool: &Tool) -> Vec<Finding> {
        let others = seen.others.iter().map(|(tool, server)| (tool.as_str(), server.as_str())).collect();
        let own = std::iter::once(tool.name()).collect();
        self.scanner.scan(tool, &Surroundings { own, others })
    }

    async fn keep(
        &self,
        name: &ContractRef,
        before: Option<&Listed>,
        after: &ToolContract,
        happened: Happened,
    ) -> Result<(), NotMade> {
        let known = before.map(|listed| (&listed.contract, listed.change));
        let change = self.changes.keep(&Principal::gate(), happened.action(), known, after).await?;
        self.state.lock().known.take(Stored { name: name.clone(), change, document: Some(after.clone()) });
        self.tell(after, happened);
        Ok(())
    }

    /// Writes what somebody wants to know of at once.
    fn tell(&self, contract: &ToolContract, happened: Happened) {
        let event = match happened {
            Happened::Held => "tool_held",
            Happened::Changed { told: true } => "tool_changed",
            Happened::Pinned { told: true } => "tool_seen",
            Happened::Pinned { .. } | Happened::Changed { .. } | Happened::Restored => return,
        };
        let pending = contract.pending.as_ref();
        let detail = json!({
            "server": contract.server,
            "tool": contract.tool,
            "audience": contract.audience,
            "digest": pending.map(|pending| &pending.digest).or(contract.pinned.as_ref().map(|pinned| &pinned.digest)),
            "classes": pending.map(|pending| &pending.classes),
            "findings": pending.map(|pending| pending.findings.len()),
        });
        tracing::warn!(
            server = contract.server,
            tool = contract.tool,
            event,
            "a tool's definition is new, has changed, or is suspicious"
        );
        // Its loss is logged by the journal: the change itself is on the record.
        let _ = self.changes.write(&Entry::Event(&Event {
            at: self.changes.now(),
            event,
            call_id: None,
            detail,
        }));
    }

    fn compiled(&self, digest: Digest, tool: &Tool) -> Result<Arc<Compiled>, SchemaRefusal> {
        if let Some(known) = self.compiled.lock().get(&digest) {
            return Ok(Arc::clone(known));
        }
        let compiled = Arc::new(Compiled::of(tool, SchemaLimits::default())?);
        let mut all = self.compiled.lock();
        if all.len() >= MOST_COMPILED {
            all.clear();
        }
        all.insert(digest, Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// Which definition is offered.
enum Shows {
    Listed,
    Pinned(Box<Tool>),
}

fn shows(
    verdict: consider::Verdict,
    contract: Option<&ToolContract>,
) -> Result<(Shows, Option<Approved>), String> {
    let pinned = contract.and_then(|contract| contract.pinned.as_ref());
    let definition = || pinned.and_then(|pinned| Tool::try_from(pinned.definition.clone()).ok());
    let approved = pinned.and_then(|pinned| {
        let effect = pinned.effect?;
        Some(Approved { effect, annotations: definition()?.annotations() })
    });
    match verdict {
        consider::Verdict::Listed => Ok((Shows::Listed, approved)),
        consider::Verdict::Pinned => {
            let definition = definition().ok_or("what was pinned of it cannot be read")?;
            Ok((Shows::Pinned(Box::new(definition)), approved))
        }
        consider::Verdict::Hidden(why) => Err(why),
    }
}

impl ToolContracts for Contracts {
    fn observe<'a>(&'a self, mut seen: Seen<'a>) -> Waiting<'a, Vec<Verdict>> {
        Box::pin(async move {
            let tools = std::mem::take(&mut seen.tools);
            let mut verdicts = Vec::with_capacity(tools.len());
            for tool in tools {
                verdicts.push(self.verdict(&seen, tool).await);
            }
            verdicts
        })
    }

    fn decided(&self, known: u64) -> Waiting<'_, u64> {
        let mut decided = self.decided.subscribe();
        Box::pin(async move {
            let count = decided.wait_for(|count| *count > known).await.map(|count| *count);
            match count {
                Ok(count) => count,
                Err(_) => std::future::pending().await,
            }
        })
    }
}

impl Contracts {
    /// The contract called `name`.
    pub(crate) fn listed(&self, name: &ContractRef) -> Result<Listed, ContractError> {
        let state = self.state.lock();
        state.known.all.get(name).cloned().ok_or_else(|| ContractError::Missing(name.clone()))
    }
}

//! What a gateway needs to know of contracts: which of the tools that a server lists may be offered, and as what.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use tollgate_core::config::tools::ToolEffects;

use super::canonical::Digest;
use crate::arguments::{Compiled, SchemaLimits};
use crate::effect::{Facts, Local, judge};
use crate::tool::Tool;

/// Tools that a server lists.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The server, as the configuration names it.
    pub server: &'a str,
    /// For whom it lists them, where it lists differently for different people.
    pub audience: Option<&'a str>,
    /// The tools.
    pub tools: Vec<Tool>,
    /// The tools of other servers, and whose they are.
    pub others: &'a BTreeMap<String, String>,
    /// What the configuration says of the server's tools.
    pub effects: &'a ToolEffects,
}

/// What becomes of a tool that is listed.
#[derive(Debug)]
pub enum Verdict {
    /// It may be offered.
    Offered {
        /// What its server calls it.
        name: String,
        /// The definition to show, and to hold calls to.
        tool: Tool,
        /// The digest of its contract.
        contract: Digest,
        /// What it can do.
        facts: Facts,
        /// Its schemas.
        schemas: Arc<Compiled>,
    },
    /// It may not.
    Hidden {
        /// What its server calls it.
        name: String,
        /// Why.
        why: String,
    },
}

/// A wait.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Holds tools to their contracts.
pub trait ToolContracts: Send + Sync {
    /// Takes note of what a server lists, and says of each tool whether it may be offered, in their order.
    fn observe<'a>(&'a self, seen: Seen<'a>) -> Waiting<'a, Vec<Verdict>>;

    /// Waits until more has been decided than the first `known` decisions, by anybody, and says how much has. Verdicts
    /// may be others by then.
    fn decided(&self, known: u64) -> Waiting<'_, u64>;
}

/// What the configuration says of the tool `name`.
pub fn local(effects: &ToolEffects, name: &str) -> Local {
    let said = effects.tools.get(name);
    Local {
        effect: said.and_then(|said| said.effect),
        idempotent: said.and_then(|said| said.idempotent),
        trust_annotations: effects.trust_annotations,
    }
}

/// Nobody holds tools to anything: whatever is listed is offered as it is. For tests, and for whoever decides elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpinned;

impl ToolContracts for Unpinned {
    fn observe<'a>(&'a self, seen: Seen<'a>) -> Waiting<'a, Vec<Verdict>> {
        let each = seen.tools.into_iter().map(|tool| {
            let name = tool.name().to_owned();
            match Compiled::of(&tool, SchemaLimits::default()) {
                Ok(schemas) => Verdict::Offered {
                    facts: judge(&tool.annotations(), &local(seen.effects, &name), None),
                    contract: Digest::of(&tool),
                    schemas: Arc::new(schemas),
                    name,
                    tool,
                },
                Err(refusal) => Verdict::Hidden { name, why: refusal.to_string() },
            }
        });
        let verdicts: Vec<Verdict> = each.collect();
        Box::pin(std::future::ready(verdicts))
    }

    fn decided(&self, _known: u64) -> Waiting<'_, u64> {
        Box::pin(std::future::pending())
    }
}

//! Contracts: the pinned definition of a tool, what has changed since, and what becomes of the change.
//!
//! Keyed by server, tool and, where a server lists differently for different people, audience. The canonical form of a
//! definition is that of the newest revision: since 2024-11-05 revisions only added members, so it is the definition as
//! listed.

pub mod canonical;
pub mod decide;
pub mod diff;
pub mod lock;
pub mod port;
pub mod readable;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollgate_core::effect::Effect;

use crate::effect::Approved;
use crate::tool::Tool;
use canonical::Digest;

/// A pinned definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The tool server, as the configuration names it.
    pub server: String,
    /// The tool, as the server names it.
    pub tool: String,
    /// For whom it is so, where the server lists differently for different people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Of the definition's canonical form.
    pub digest: Digest,
    /// What it can change, as approved.
    pub effect: Effect,
    /// When it was pinned.
    pub pinned_at: Timestamp,
    /// The definition as it was listed.
    pub definition: Tool,
}

/// What tells contracts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'a> {
    /// The tool server.
    pub server: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// For whom.
    pub audience: Option<&'a str>,
}

impl Contract {
    /// Pins `definition` as listed by `server`, at the caller's time.
    pub fn pin(
        server: impl Into<String>,
        audience: Option<String>,
        definition: Tool,
        effect: Effect,
        pinned_at: Timestamp,
    ) -> Self {
        let digest = Digest::of(&definition);
        let tool = definition.name().to_owned();
        Self { server: server.into(), tool, audience, digest, effect, pinned_at, definition }
    }

    /// What tells it apart from others.
    pub fn key(&self) -> Key<'_> {
        Key { server: &self.server, tool: &self.tool, audience: self.audience.as_deref() }
    }

    /// Whether `listed` is what was pinned. Cheaper than [`diff::between`].
    pub fn holds(&self, listed: &Tool) -> bool {
        self.definition == *listed || self.digest == Digest::of(listed)
    }

    /// What was approved with it, for [`crate::effect::judge`].
    pub fn approved(&self) -> Approved {
        Approved { effect: self.effect, annotations: self.definition.annotations() }
    }

    /// Whether digest and name are those of the definition: a stored contract may have been edited.
    pub fn is_consistent(&self) -> bool {
        self.tool == self.definition.name() && self.digest == Digest::of(&self.definition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_survives_a_store_and_knows_its_tool_by_any_order_of_members() {
        let listed = r#"{"name":"t","inputSchema":{"type":"object","required":["b","a"]}}"#;
        let shuffled =
            r#"{"inputSchema":{"required":["a","b"],"type":["object"]},"description":null,"name":"t"}"#;
        let tool: Tool = serde_json::from_str(listed).unwrap();
        let contract = Contract::pin("s", None, tool.clone(), Effect::Write, Timestamp::UNIX_EPOCH);
        let stored: Contract = serde_json::from_str(&serde_json::to_string(&contract).unwrap()).unwrap();
        assert_eq!(stored, contract);
        assert!(contract.is_consistent());
        assert!(contract.holds(&serde_json::from_str(shuffled).unwrap()));
        assert!(!contract.holds(&serde_json::from_str(r#"{"name":"t","inputSchema":{}}"#).unwrap()));
        let edited = Contract {
            definition: serde_json::from_str(r#"{"name":"t","inputSchema":{}}"#).unwrap(),
            ..contract
        };
        assert!(!edited.is_consistent());
    }
}

//! The contracts of tools, as they are kept: what was pinned of a tool's definition, what it says now and waits for somebody
//! to decide, and what was rejected.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::document::{Document, DocumentRef, Kind};
use crate::effect::Effect;

/// The kinds of contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractKind {
    /// That of a tool.
    Tool,
}

impl Kind for ContractKind {
    const KINDS: &'static [Self] = &[Self::Tool];

    fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
        }
    }
}

/// Which contract.
pub type ContractRef = DocumentRef<ContractKind>;

/// How a definition came to be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was there when the tool was seen first.
    FirstSight,
    /// The rules let the change through.
    Allowed,
    /// Somebody approved it.
    Approved,
}

/// A definition that calls are held to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Pinned {
    /// Of its canonical form.
    pub digest: String,
    /// As the server listed it.
    pub definition: Value,
    /// What it can change, where somebody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// How it came to be pinned.
    pub how: How,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A definition that waits for somebody to decide.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Pending {
    /// Of its canonical form.
    pub digest: String,
    /// As the server lists it.
    pub definition: Value,
    /// Of which classes its differences are; none at first sight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The differences, for people to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
    /// What is suspicious in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Value>,
    /// Since when.
    pub since: Timestamp,
}

/// What is known of a tool's definition.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ToolContract {
    /// The tool server, as the configuration names it.
    pub server: String,
    /// The tool, as the server names it.
    pub tool: String,
    /// For whom it is so, where the server lists differently for different people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What calls are held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// What waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Digests of definitions that somebody has rejected, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
}

/// What becomes of calls of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractState {
    /// It is what was pinned.
    Pinned,
    /// Something waits for somebody to decide.
    Pending,
    /// It was rejected, and nothing is pinned.
    Rejected,
}

impl ToolContract {
    /// Nothing is known of the tool yet.
    pub fn new(server: &str, tool: &str, audience: Option<&str>) -> Self {
        Self {
            server: server.to_owned(),
            tool: tool.to_owned(),
            audience: audience.map(str::to_owned),
            pinned: None,
            pending: None,
            rejected: Vec::new(),
        }
    }

    /// The name of the contract of a tool. A server's name holds no slash, so no two are the same.
    pub fn name(server: &str, tool: &str, audience: Option<&str>) -> ContractRef {
        let id = match audience {
            None => format!("{server}/{tool}"),
            Some(audience) => format!("{server}@{audience}/{tool}"),
        };
        ContractRef { kind: ContractKind::Tool, id: Arc::from(id) }
    }

    /// What becomes of calls of it.
    pub fn state(&self) -> ContractState {
        match (&self.pending, &self.pinned) {
            (Some(_), _) => ContractState::Pending,
            (None, Some(_)) => ContractState::Pinned,
            (None, None) => ContractState::Rejected,
        }
    }
}

impl Document for ToolContract {
    type Kind = ContractKind;
    const SORT: &'static str = "contract";

    fn document(&self) -> ContractRef {
        Self::name(&self.server, &self.tool, self.audience.as_deref())
    }

    fn unique(&self) -> Option<String> {
        None
    }

    fn visible(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["state"] = json!(self.state());
        value
    }
}

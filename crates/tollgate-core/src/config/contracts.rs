//! What becomes of tools that are seen for the first time, and of those that have changed: the setting `tools.contracts`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is done with a difference, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// The new definition is served and pinned.
    Allow,
    /// The same, and somebody is told.
    Alert,
    /// The new definition is not served until somebody approves it.
    Hold,
}

/// A class whose old text may be shown while the new one is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldText {
    /// What no model notices.
    Cosmetic,
    /// What models read.
    Description,
}

/// The rules of one server, or of all, as written. What is left out is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Default `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cosmetic: Option<Handling>,
    /// Default `hold`, as the following.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Handling>,
    /// More is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widened: Option<Handling>,
    /// Less is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<Handling>,
    /// The server says otherwise of its effects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect_changed: Option<Handling>,
    /// Of which classes clients see the old definition while the new one is held. Default none: the tool is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_old_text: Option<Vec<OldText>>,
    /// What is done with a tool that is seen for the first time. Default `allow`: it is pinned as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_sight: Option<Handling>,
    /// What is done with a definition in which something is suspicious. Default `hold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicious: Option<Handling>,
}

/// The rules of all servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// For every server.
    pub all: Rules,
    /// For servers by name, over those for all.
    pub servers: BTreeMap<String, Rules>,
}

/// Where contracts come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContractsWritten {
    /// For every server.
    pub all: Rules,
    /// For servers by name, over those for all.
    pub servers: BTreeMap<String, Rules>,
    /// A file that `tollgate tools lock` has written: what it does not hold is not offered, and nothing is pinned at run
    /// time. Default none.
    pub lock: Option<PathBuf>,
}

/// Sessions of MCP clients, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionsWritten {
    /// Sessions that began earlier are over: their clients must begin new ones. Default none.
    pub not_before: Option<Timestamp>,
}

/// How tools are offered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolsWritten {
    /// What becomes of tools that have changed.
    pub contracts: ContractsWritten,
    /// Which calls somebody must approve.
    pub approvals: super::approvals::ApprovalsWritten,
    /// Sessions of MCP clients.
    pub sessions: SessionsWritten,
    /// Under which names clients see them.
    pub names: super::bundles::ToolNames,
}

impl ContractsWritten {
    /// The rules.
    pub fn policy(&self) -> Policy {
        Policy { all: self.all.clone(), servers: self.servers.clone() }
    }
}

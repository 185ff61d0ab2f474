//! What a record keeps of tools, in every mode: names, ids and digests, never arguments.

use std::sync::Arc;

use serde::Serialize;

use crate::digest::Digest;
use crate::effect::Effect;
use crate::undo::Compensation;

/// The tools that a model was offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToolsOffered {
    /// How many.
    pub count: usize,
    /// Their names, in the order of the request; the first of them where there are very many.
    pub names: Vec<String>,
    /// Keyed digest of all of them, with descriptions and schemas: another one says that something was changed.
    pub digest: Digest,
}

/// A tool call that a model chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChosenTool {
    /// The model's id for it, by which the result is carried into a later prompt.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Keyed digest of the arguments, in canonical JSON (RFC 8785 in its order of members): the same arguments have the
    /// same digest, however they were spaced.
    pub arguments_digest: Digest,
}

/// What a call to a tool server is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToolUse {
    /// The method, as the client named it: `tools/call`.
    pub method: String,
    /// The server, as the configuration names it; absent where the gate answers itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Arc<str>>,
    /// The tool or prompt, as the server names it, or the address of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tool, as the client named it, where that is another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown_as: Option<String>,
    /// What it can change.
    pub effect: Effect,
    /// Keyed digest of the arguments, in canonical JSON: that of a model's choice of the same call is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments_digest: Option<Digest>,
    /// The contract by which it is offered: the digest of its definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// The client's session, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Whether a model asked for it, as far as the gate has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedFor>,
    /// Tools that were offered beside it and that a model could take for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub twins: Vec<String>,
    /// The call that takes it back, as the configuration names it: a pattern, without content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Arc<Compensation>>,
    /// The approval that let it pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// Whether the call was only rehearsed: nothing was sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether the answer is a question: the client makes the call again with what it is told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub question: bool,
    /// The operation that the client says that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl ToolUse {
    /// Of a request `method` of which nobody knows yet whom it is for.
    pub fn of(method: &str) -> Self {
        Self {
            method: method.to_owned(),
            server: None,
            name: None,
            shown_as: None,
            effect: Effect::Read,
            arguments_digest: None,
            contract: None,
            session: None,
            asked: None,
            twins: Vec::new(),
            undo: None,
            approval: None,
            dry_run: false,
            question: false,
            operation: None,
        }
    }
}

/// Whether a model asked for a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedFor {
    /// A recorded answer chose it, and this is the first time that it is made.
    Once,
    /// A recorded answer chose it, and it was made before.
    Again,
    /// No recorded answer of late asked for it.
    No,
}

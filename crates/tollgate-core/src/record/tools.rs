//! What a record keeps of tools, in every mode: names, ids and digests, never arguments.

use serde::Serialize;

use crate::digest::Digest;

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

//! What a server says of a tool's effects (MCP, `ToolAnnotations`). Hints: nothing that a stranger says of itself is
//! believed where it would make things easier.

use serde_json::{Map, Value};

/// The hints of a tool. A hint that is no boolean is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// A title, before tools had one of their own.
    pub title: Option<String>,
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// Something may be lost by it.
    pub destructive: Option<bool>,
    /// Calling it twice with the same arguments is as calling it once.
    pub idempotent: Option<bool>,
    /// It deals with things outside, such as the web.
    pub open_world: Option<bool>,
}

impl Annotations {
    /// The hints in `members`.
    pub fn of(members: &Map<String, Value>) -> Self {
        let hint = |name: &str| members.get(name).and_then(Value::as_bool);
        Self {
            title: members.get("title").and_then(Value::as_str).map(ToOwned::to_owned),
            read_only: hint("readOnlyHint"),
            destructive: hint("destructiveHint"),
            idempotent: hint("idempotentHint"),
            open_world: hint("openWorldHint"),
        }
    }
}

//! The schemas of contracts of tools.

use serde_json::{Value, json};

/// Those that are put together here.
pub(super) fn all() -> [(&'static str, Value); 4] {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let effect = || json!({ "enum": ["read", "write", "destructive"] });
    let digest = || json!({ "type": "string", "description": "SHA-256 of the definition's canonical form." });
    let definition =
        || json!({ "type": "object", "description": "As the server lists it; left out in lists." });
    [
        (
            "Contract",
            json!({
                "type": "object", "required": ["server", "tool", "state"],
                "properties": {
                    "server": text(), "tool": text(), "audience": text(),
                    "state": { "enum": ["pinned", "pending", "rejected"] },
                    "pinned": {
                        "type": "object", "required": ["digest", "how", "at"],
                        "properties": {
                            "digest": digest(), "definition": definition(), "effect": effect(),
                            "how": { "enum": ["first_sight", "allowed", "approved"] }, "by": text(), "at": time(),
                        },
                    },
                    "pending": {
                        "type": "object", "required": ["digest", "since"],
                        "properties": {
                            "digest": digest(), "definition": definition(), "since": time(),
                            "classes": { "type": "array", "items": text() },
                            "diff": { "type": "array", "items": text(), "description": "For people to read." },
                            "findings": { "type": "array", "items": { "type": "object" }, "description": "What is suspicious in it." },
                        },
                    },
                    "rejected": { "type": "array", "items": digest() },
                },
            }),
        ),
        (
            "Approval",
            json!({
                "type": "object", "additionalProperties": false, "required": ["digest"],
                "properties": { "digest": digest(), "effect": effect() },
            }),
        ),
        (
            "Rejection",
            json!({
                "type": "object", "additionalProperties": false, "required": ["digest"],
                "properties": { "digest": digest() },
            }),
        ),
        (
            "Lock",
            json!({
                "type": "object", "required": ["version", "contracts"],
                "properties": { "version": { "type": "integer" }, "contracts": { "type": "array", "items": { "type": "object" } } },
            }),
        ),
    ]
}

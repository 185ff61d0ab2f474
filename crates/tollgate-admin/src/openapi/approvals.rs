//! The schemas of approvals.

use serde_json::{Value, json};

/// Those that are put together here.
pub(super) fn all() -> [(&'static str, Value); 2] {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": "string", "format": "date-time" });
    [
        (
            "CallApproval",
            json!({
                "type": "object", "required": ["id", "wanted", "effect", "why", "state", "asked_at", "ends_at"],
                "properties": {
                    "id": text(),
                    "wanted": {
                        "type": "object", "required": ["whose", "server", "tool", "contract", "arguments_digest"],
                        "properties": {
                            "whose": text(), "server": text(), "tool": text(), "contract": text(), "arguments_digest": text(),
                        },
                    },
                    "effect": { "enum": ["read", "write", "destructive"] },
                    "why": text(), "call_id": text(), "trace_id": text(), "own": { "type": "boolean" },
                    "arguments": { "type": ["string", "null"], "description": "JSON, while it waits; left out in lists." },
                    "asked_at": time(), "ends_at": time(),
                    "state": { "enum": ["pending", "approved", "denied", "used", "expired"] },
                    "decided_by": text(), "decided_at": time(), "reason": text(),
                },
            }),
        ),
        (
            "CallDecision",
            json!({
                "type": "object", "additionalProperties": false,
                "properties": { "reason": { "type": "string", "description": "Why; the caller is told of a denial's." } },
            }),
        ),
    ]
}

//! The schemas of models and credentials that admins add.

use serde_json::{Value, json};

use super::schemas::reference;

/// Those that are put together of the types.
pub(super) fn all() -> [(&'static str, Value); 5] {
    let text = || json!({ "type": "string" });
    let name = json!({ "type": "string", "description": "Its public name, or a pattern with one `*`." });
    let id = json!({ "type": "string", "description": "Its name; one is made up where absent." });
    let secret =
        json!({ "type": "string", "writeOnly": true, "description": "What is sent. It is never shown." });
    let patch = json!({ "type": "object", "properties": { "secret": secret } });
    let time = json!({ "type": "string", "format": "date-time" });
    let state = json!({
        "type": "object", "required": ["in_service", "why"],
        "properties": {
            "in_service": { "type": "boolean" },
            "why": { "type": ["string", "null"], "description": "Why it is not in service." },
        },
    });
    [
        (
            "NewModel",
            json!({ "allOf": [reference("ModelSpec"), { "type": "object", "properties": { "name": name }, "required": ["name", "deployments"] }] }),
        ),
        (
            "Model",
            json!({ "allOf": [reference("ModelSpec"), state, {
                "type": "object", "required": ["kind", "name", "source"],
                "properties": {
                    "kind": { "const": "model" }, "name": text(), "created_at": time, "updated_at": time,
                    "source": { "enum": ["file", "runtime"] },
                },
            }] }),
        ),
        (
            "NewCredential",
            json!({ "allOf": [reference("CredentialSpec"), patch, { "type": "object", "properties": { "id": id }, "required": ["secret", "hosts"] }] }),
        ),
        ("CredentialPatch", json!({ "allOf": [reference("CredentialSpec"), patch] })),
        (
            "Credential",
            json!({ "allOf": [reference("CredentialSpec"), state, {
                "type": "object", "required": ["kind", "id", "created_at", "updated_at", "secret_at"],
                "properties": {
                    "kind": { "const": "credential" }, "id": text(), "created_at": time, "updated_at": time,
                    "secret_at": { "type": "string", "format": "date-time", "description": "When its secret was given." },
                    "hint": { "type": ["string", "null"], "description": "The end of a long secret." },
                },
            }] }),
        ),
    ]
}

//! The schemas of logins.

use serde_json::{Value, json};

/// Those that are put together here.
pub(super) fn all() -> [(&'static str, Value); 4] {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let groups = json!({ "type": "array", "items": text(), "maxItems": 100 });
    let said = json!({ "email": text(), "name": text(), "groups": groups });
    let with = |more: Value| {
        let mut all = said.clone();
        if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        all
    };
    [
        (
            "Login",
            json!({
                "type": "object", "required": ["user", "subject", "created_at", "updated_at", "password", "totp"],
                "properties": with(json!({
                    "user": text(),
                    "subject": { "type": "string", "description": "Who that is in tokens (`sub`)." },
                    "created_at": time(), "updated_at": time(), "not_before": time(), "invited_until": time(),
                    "password": { "type": "boolean", "description": "Whether one was chosen." },
                    "totp": { "type": "boolean", "description": "Whether one-time codes are set up." },
                })),
            }),
        ),
        (
            "NewInvitation",
            json!({
                "type": "object", "additionalProperties": false,
                "properties": with(json!({
                    "valid_hours": { "type": "integer", "minimum": 1, "maximum": 720, "description": "Default 72." },
                })),
            }),
        ),
        (
            "Invitation",
            json!({
                "type": "object", "required": ["link", "ends_at", "login"],
                "properties": {
                    "link": { "type": "string", "description": "Shown this once; whoever has it chooses the password." },
                    "ends_at": time(), "login": super::schemas::reference("Login"),
                },
            }),
        ),
        (
            "LoginEnding",
            json!({
                "type": "object", "additionalProperties": false,
                "properties": {
                    "password": { "type": "boolean", "description": "Whether the password is taken away too." },
                    "totp": { "type": "boolean", "description": "Whether one-time codes are taken away too." },
                },
            }),
        ),
    ]
}

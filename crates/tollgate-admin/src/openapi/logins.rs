//! The schemas of logins.

use serde_json::{Value, json};

/// Those that are put together here.
pub(super) fn all() -> [(&'static str, Value); 6] {
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
            "SigningKeyPage",
            json!({
                "type": "object", "required": ["items", "next"],
                "properties": {
                    "items": {
                        "type": "array",
                        "items": {
                            "type": "object", "required": ["id", "algorithm", "kid", "public", "created_at", "current_from"],
                            "properties": {
                                "id": text(), "algorithm": text(), "kid": text(), "public": { "type": "object" },
                                "created_at": time(), "current_from": time(),
                            },
                        },
                    },
                    "next": { "type": "null" },
                },
            }),
        ),
        (
            "Rehearsal",
            json!({
                "type": "object",
                "required": ["client", "issuer", "discovery", "scopes", "refresh_token", "id_token", "userinfo",
                    "access_token_audience", "findings"],
                "properties": {
                    "client": text(), "issuer": text(), "discovery": text(),
                    "scopes": { "type": "array", "items": text() },
                    "refresh_token": { "type": "boolean" },
                    "id_token": { "type": "object" }, "userinfo": { "type": "object" },
                    "access_token_audience": {},
                    "findings": {
                        "type": "array",
                        "items": {
                            "type": "object", "required": ["ok", "text"],
                            "properties": { "ok": { "type": "boolean" }, "text": text() },
                        },
                    },
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

/// What an application expects, in the query of its rehearsal.
pub(super) fn rehearsal_query() -> Vec<Value> {
    let one = |name: &str, why: &str, required: bool, kind: &str| json!({ "in": "query", "name": name, "required": required, "description": why, "schema": { "type": kind } });
    vec![
        one("user", "The user who would sign in.", true, "string"),
        one(
            "scope",
            "The scopes that it asks for; default `openid profile email offline_access`.",
            false,
            "string",
        ),
        one("issuer", "The issuer that it is configured with.", false, "string"),
        one("redirect_uri", "Where it is sent back to.", false, "string"),
        one("email_domain", "The domain that email addresses must have.", false, "string"),
        one("without_pkce", "Whether it sends no PKCE challenge.", false, "boolean"),
    ]
}

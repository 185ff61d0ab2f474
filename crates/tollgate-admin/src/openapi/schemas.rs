//! The schemas: those of the types, and what is put together of them.

use serde_json::{Map, Value, json};
use tollgate_core::access::{KeySpec, TeamSpec, UserSpec};
use tollgate_core::addition::{CredentialSpec, ModelSpec};
use tollgate_core::identity::LoginSpec;
use tollgate_core::query::{CallFilter, CallPage, Spend, SpendFilter, TraceStory};
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, ToSchema};

use super::routes::QueryOf;
use super::{additions, approvals, contracts, logins};
use crate::additions::AdditionFilter;
use crate::approvals::ApprovalFilter;
use crate::contracts::ContractFilter;
use crate::holders::Filter;

/// Every schema, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    add::<KeySpec>(&mut all);
    add::<UserSpec>(&mut all);
    add::<TeamSpec>(&mut all);
    add::<CallPage>(&mut all);
    add::<TraceStory>(&mut all);
    add::<Spend>(&mut all);
    for (name, spec) in [("Key", "KeySpec"), ("User", "UserSpec"), ("Team", "TeamSpec")] {
        all.insert(format!("New{name}"), new(spec));
        all.insert(name.to_owned(), shown(name, spec));
        all.insert(format!("{name}Page"), page(name));
    }
    add::<ModelSpec>(&mut all);
    add::<CredentialSpec>(&mut all);
    add::<LoginSpec>(&mut all);
    for name in ["Model", "Credential", "Contract", "CallApproval"] {
        all.insert(format!("{name}Page"), page(name));
    }
    let more = additions::all().into_iter().chain(contracts::all()).chain(approvals::all());
    let more = more.chain(logins::all());
    for (name, schema) in plain().into_iter().chain(more) {
        all.insert(name.to_owned(), schema);
    }
    all
}

fn add<T: ToSchema>(all: &mut Map<String, Value>) {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    all.extend(found.into_iter().map(|(name, schema)| (name, json!(schema))));
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn new(spec: &str) -> Value {
    let id = json!({ "type": "string", "pattern": "^[A-Za-z0-9_.@:+-]{1,128}$", "description": "Its name; one is made up where absent." });
    json!({ "allOf": [reference(spec), { "type": "object", "properties": { "id": id } }] })
}

/// A holder as it is answered: what was said of it, and what is known besides.
fn shown(name: &str, spec: &str) -> Value {
    let time = json!({ "type": "string", "format": "date-time" });
    let mut known = json!({
        "kind": { "const": name.to_lowercase() },
        "id": { "type": "string" },
        "created_at": time, "updated_at": time,
        "standing": { "type": "array", "items": reference("Standing") },
    });
    let mut required = vec!["kind", "id", "created_at", "updated_at"];
    if name == "Key" {
        let rotation = json!({ "type": "object", "properties": { "until": time } });
        known["prefix"] = json!({ "type": "string", "description": "What people tell it apart by." });
        known["rotation"] = rotation;
        required.push("prefix");
    }
    json!({ "allOf": [reference(spec), { "type": "object", "properties": known, "required": required }] })
}

fn page(of: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "items": { "type": "array", "items": reference(of) },
            "next": { "type": ["string", "null"], "description": "What to ask for as `after`; null on the last page." },
        },
        "required": ["items", "next"],
    })
}

/// What has no type of its own.
fn plain() -> [(&'static str, Value); 9] {
    let text = || json!({ "type": "string" });
    let amount = || json!({ "type": ["string", "integer"], "description": "US dollars of a budget, a count of a limit." });
    let time = json!({ "type": ["string", "null"], "format": "date-time" });
    let secret = json!({ "type": "string", "description": "What is presented. It is shown this once." });
    [
        (
            "MadeKey",
            json!({ "allOf": [reference("Key"), { "type": "object", "properties": { "key": secret }, "required": ["key"] }] }),
        ),
        (
            "Rotation",
            json!({
                "type": "object", "additionalProperties": false,
                "properties": { "grace_seconds": { "type": "integer", "minimum": 0, "description": "How long the key before is taken." } },
            }),
        ),
        (
            "Standing",
            json!({
                "type": "object",
                "properties": { "id": text(), "of": amount(), "spent": amount(), "held": amount(), "left": amount(), "since": time, "resets": time },
                "required": ["id", "of", "spent", "held", "left"],
            }),
        ),
        (
            "InstancePage",
            json!({ "type": "object", "required": ["items"], "properties": { "items": { "type": "array", "items": {
                "type": "object", "required": ["id", "until", "state"],
                "properties": { "id": text(), "until": time, "state": { "enum": ["present", "silent", "released"] } },
            } } } }),
        ),
        (
            "AlertTests",
            json!({ "type": "object", "required": ["items"], "properties": { "items": { "type": "array", "items": {
                "type": "object", "required": ["host", "format", "delivered"],
                "properties": { "host": text(), "format": { "enum": ["webhook", "slack"] }, "delivered": { "type": "boolean" }, "why": text() },
            } } } }),
        ),
        ("Frames", json!({ "type": "array", "items": { "type": "object" } })),
        (
            "Problem",
            json!({
                "type": "object",
                "properties": {
                    "type": text(), "title": text(), "status": { "type": "integer" }, "detail": text(),
                    "member": { "type": "string", "description": "The member of the request that is to blame." },
                },
                "required": ["type", "title", "status", "detail"],
            }),
        ),
        (
            "LiteLlmRows",
            json!({
                "type": "object", "additionalProperties": false,
                "properties": {
                    "kind": { "enum": ["key", "user", "team"] },
                    "rows": { "type": "array", "items": { "type": "object" } },
                    "budgets": { "type": "object", "description": "Rows of the table of budgets, by name." },
                    "dry_run": { "type": "boolean", "description": "Whether nothing is made." },
                    "lossy": { "type": "boolean", "description": "Whether those are made who lose something." },
                },
                "required": ["kind", "rows"],
            }),
        ),
        (
            "LiteLlmOutcomes",
            json!({
                "type": "object",
                "properties": { "items": { "type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "kind": text(), "name": text(), "outcome": { "enum": ["made", "there", "left_out"] }, "why": text(),
                        "lost": { "type": "array", "items": { "type": "object" } },
                        "spent_usd": text(), "counts": { "type": "boolean" },
                    },
                    "required": ["kind", "name", "outcome", "spent_usd", "counts"],
                } } },
                "required": ["items"],
            }),
        ),
    ]
}

/// What a query may say.
pub(super) fn query(of: QueryOf) -> Vec<Value> {
    let place = || Some(ParameterIn::Query);
    let parameters = match of {
        QueryOf::Calls => CallFilter::into_params(place),
        QueryOf::Holders => Filter::into_params(place),
        QueryOf::Additions => AdditionFilter::into_params(place),
        QueryOf::Contracts => ContractFilter::into_params(place),
        QueryOf::Approvals => ApprovalFilter::into_params(place),
        QueryOf::Spend => SpendFilter::into_params(place),
        QueryOf::Rehearsal => return super::logins::rehearsal_query(),
    };
    parameters.into_iter().map(|parameter| json!(parameter)).collect()
}

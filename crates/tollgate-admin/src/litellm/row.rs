//! A row of a table of LiteLLM's: what its routes would have been told of the holder, and what only the table knows.

use jiff::Timestamp;
use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, KeyHash};
use tollgate_core::price::NanoUsd;

use super::{Body, rules};
use crate::error::ApiError;

/// Columns that say how things were done there, and nothing of what a holder may do.
const OF_THEIR_OWN: &[&str] = &[
    "budget_reset_at",
    "created_at",
    "created_by",
    "expires",
    "key_name",
    "key_rotation_at",
    "last_active",
    "last_rotation_at",
    "model_spend",
    "rotation_count",
    "soft_budget_cooldown",
    "spend",
    "token",
    "updated_at",
    "updated_by",
];

/// The same of users, whose teams know them.
const OF_USERS: &[&str] = &["team_id", "teams"];

/// Members that are kept within `metadata` there.
const IN_METADATA: &[&str] = &[
    "allowed_passthrough_routes",
    "enforced_params",
    "guardrails",
    "model_rpm_limit",
    "model_tpm_limit",
    "policies",
    "prompts",
    "rpm_limit_type",
    "secret_manager_settings",
    "tags",
    "temp_budget_expiry",
    "temp_budget_increase",
    "tpm_limit_type",
];

/// Members that a shared budget says for whoever has it.
const IN_BUDGETS: &[&str] = &[
    "budget_duration",
    "max_budget",
    "max_parallel_requests",
    "model_max_budget",
    "rpm_limit",
    "soft_budget",
    "tpm_limit",
];

/// A row.
pub(super) struct Row {
    /// What their routes would have been told.
    pub(super) said: Body,
    /// The name of a user or a team, and what a key is called.
    pub(super) name: String,
    /// What is presented for a key, and what people tell it apart by.
    pub(super) presented: Option<(KeyHash, String)>,
    /// When a key ends.
    pub(super) expires: Option<Timestamp>,
    /// What was spent in the window that is open.
    pub(super) spent: NanoUsd,
    /// When that window ends.
    pub(super) reset_at: Option<Timestamp>,
}

impl Row {
    /// Reads a row of the table of holders of `kind`; `budgets` are the shared ones, by name.
    pub(super) fn read(kind: HolderKind, mut row: Body, budgets: &Body) -> Result<Self, ApiError> {
        fold_budget(&mut row, budgets);
        let text = |member: &str| row.get(member).and_then(Value::as_str).map(str::to_owned);
        let time = |member: &str| text(member).map(|text| moment(member, &text)).transpose();
        let spent = row.get("spend").filter(|spend| !spend.is_null());
        let (expires, reset_at) = (time("expires")?, time("budget_reset_at")?);
        let spent = spent.map_or(Ok(0), |spend| rules::amount("spend", spend).map(|usd| usd.nano()))?;
        let (name, presented) = match kind {
            HolderKind::User => (text("user_id"), None),
            HolderKind::Team => (text("team_id"), None),
            HolderKind::Key => {
                let hash = text("token").unwrap_or_default();
                let hash = hash.parse().map_err(|why: String| ApiError::of("token", why))?;
                let shown = text("key_name").unwrap_or_else(|| "sk-".to_owned());
                (text("key_alias").or_else(|| Some(shown.clone())), Some((hash, shown)))
            }
        };
        let name = name.ok_or_else(|| ApiError::invalid("the row has no name"))?;
        row.retain(|column, _| !OF_THEIR_OWN.contains(&column.as_str()));
        if kind == HolderKind::User {
            row.retain(|column, _| !OF_USERS.contains(&column.as_str()));
        }
        Ok(Self { said: as_told(row), name, presented, expires, spent, reset_at })
    }
}

/// What a row's shared budget says stands for what the row leaves open. What both say differently has no equivalent, and
/// neither has a budget that is not there: its name remains.
fn fold_budget(row: &mut Body, budgets: &Body) {
    let name = row.get("budget_id").and_then(Value::as_str).unwrap_or_default();
    let Some(budget) = budgets.get(name).and_then(Value::as_object) else { return };
    let mut differs = false;
    for member in IN_BUDGETS {
        let Some(shared) = budget.get(*member).filter(|shared| !shared.is_null()) else { continue };
        match row.get(*member) {
            Some(own) if !is_nothing(own) => differs |= own != shared,
            _ => drop(row.insert((*member).to_owned(), shared.clone())),
        }
    }
    if row.get("budget_reset_at").is_none_or(Value::is_null) {
        row.extend(budget.get("budget_reset_at").map(|at| ("budget_reset_at".to_owned(), at.clone())));
    }
    if !differs {
        row.remove("budget_id");
    }
}

/// Columns by the names that the routes have for them, without those that say nothing.
fn as_told(row: Body) -> Body {
    let mut said = Body::new();
    for (column, value) in row {
        let member = match column.as_str() {
            "object_permission_id" => "object_permission",
            "model_id" => "model_aliases",
            column => column,
        };
        said.insert(member.to_owned(), value);
    }
    let within = said.get_mut("metadata").and_then(Value::as_object_mut);
    let moved: Vec<(String, Value)> = within
        .into_iter()
        .flat_map(|metadata| {
            IN_METADATA.iter().filter_map(|member| metadata.remove_entry(*member)).collect::<Vec<_>>()
        })
        .collect();
    said.extend(moved);
    if let Some(shared) = said
        .get_mut("metadata")
        .and_then(|metadata| metadata.as_object_mut()?.remove("team_member_budget_id"))
    {
        said.insert("team_member_budget".to_owned(), shared);
    }
    said.retain(|_, value| !is_nothing(value));
    said
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A time as PostgreSQL writes it for a column without a zone: it is meant in UTC.
fn moment(member: &str, text: &str) -> Result<Timestamp, ApiError> {
    let zoned = text.parse().or_else(|_| format!("{text}Z").parse());
    zoned.map_err(|_| ApiError::of(member, format!("{text:?} is no time")))
}

/// When the windows of so many hours began whose present one ends at `reset_at`: so they go on as they were.
pub(super) fn align(said: &mut Value, reset_at: Timestamp) {
    for budget in said.get_mut("budgets").and_then(Value::as_array_mut).into_iter().flatten() {
        let window = budget["window"].as_str().and_then(|window| window.parse().ok());
        if let Some(tollgate_core::ledger::Window::Every(hours)) = window {
            let length = jiff::SignedDuration::from_hours(i64::from(hours));
            budget["since"] = json!(reset_at.checked_sub(length).unwrap_or(reset_at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: HolderKind, row: Value, budgets: Value) -> Row {
        let body = |value: Value| value.as_object().cloned().unwrap_or_default();
        Row::read(kind, body(row), &body(budgets)).unwrap()
    }

    #[test]
    fn a_row_says_what_their_routes_would_have_been_told() {
        let row = json!({
            "token": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b", "key_name": "sk-...1234",
            "key_alias": null, "spend": 0.1234567894, "expires": "2026-12-01T00:00:00", "models": [], "config": {},
            "metadata": { "a": 1, "tags": ["x"], "model_rpm_limit": { "m": 1 }, "guardrails": ["pii"] },
            "budget_id": "b", "blocked": null, "max_budget": null, "rotation_count": 3,
            "budget_reset_at": "2026-11-30T10:00:00+00:00",
        });
        let row = read(HolderKind::Key, row, json!({ "b": { "soft_budget": 5, "max_budget": null } }));
        assert_eq!((row.name.as_str(), row.spent), ("sk-...1234", 123_456_789));
        assert_eq!(row.expires.unwrap().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(
            Value::Object(row.said),
            json!({
                "metadata": { "a": 1 }, "soft_budget": 5, "guardrails": ["pii"],
                "model_rpm_limit": { "m": 1 }, "tags": ["x"],
            })
        );
        let mut said = json!({ "budgets": [{ "window": "30d" }, { "window": "month" }] });
        align(&mut said, row.reset_at.unwrap());
        assert_eq!(
            said,
            json!({ "budgets": [{ "window": "30d", "since": "2026-10-31T10:00:00Z" }, { "window": "month" }] })
        );
    }

    /// Promise 5.
    #[test]
    fn a_shared_budget_that_says_something_else_is_not_forgotten() {
        let row = |own: Value| {
            let row = json!({ "user_id": "u", "budget_id": "b", "max_budget": own });
            Value::Object(read(HolderKind::User, row, json!({ "b": { "max_budget": 5 } })).said)
        };
        assert_eq!(row(json!(null)), json!({ "user_id": "u", "max_budget": 5 }));
        assert_eq!(row(json!(7)), json!({ "user_id": "u", "max_budget": 7, "budget_id": "b" }));
        let gone = read(HolderKind::User, json!({ "user_id": "u", "budget_id": "gone" }), json!({}));
        assert_eq!(gone.said["budget_id"], "gone");
    }
}

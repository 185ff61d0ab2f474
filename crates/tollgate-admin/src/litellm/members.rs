//! The members of LiteLLM's requests, and what becomes of each: it is translated, it is read over because nothing
//! depends on it, or it is refused because whoever sends it relies on something that this gate would not do.

use serde_json::Value;
use tollgate_core::config::nearest;

use super::Body;
use crate::error::ApiError;

/// What can be said of every holder.
pub(super) const OF_ALL: &[&str] = &[
    "blocked",
    "budget_duration",
    "max_budget",
    "max_parallel_requests",
    "metadata",
    "model_max_budget",
    "model_rpm_limit",
    "model_tpm_limit",
    "models",
    "rpm_limit",
    "soft_budget",
    "tags",
    "temp_budget_expiry",
    "temp_budget_increase",
    "tpm_limit",
];

/// What nobody is less protected without.
const READ_OVER: &[&str] = &[
    // There is no cache whose use it could allow.
    "allowed_cache_controls",
    // These two let more people do more.
    "allow_team_guardrail_config",
    "team_member_permissions",
    "send_invite_email",
    "sso_user_id",
];

/// What somebody relies on that this gate would not do, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("access_group_ids", "there are no access groups: name the models in `models`"),
    ("admins", "name them in `members_with_roles`"),
    ("agent_id", "keys of agents are not there yet"),
    ("aliases", "keys have no model aliases of their own: name the model in the configuration"),
    ("allowed_passthrough_routes", "there are no pass-through routes"),
    ("allowed_routes", "a key's routes follow from its role"),
    ("allowed_vector_store_indexes", "there are no vector stores"),
    ("auto_rotate", "keys are not rotated by themselves: call /key/regenerate"),
    ("budget_id", "there are no shared budgets: say `max_budget` and `budget_duration` here"),
    ("config", "keys have no configuration of their own"),
    ("enforced_batch_output_expires_after", "there are no batches"),
    ("enforced_file_expires_after", "there are no files"),
    ("enforced_params", "parameters are not enforced"),
    ("guardrails", "guardrails are not chosen by key, user or team"),
    ("key_type", "a key's routes follow from its role: leave it out, or say `default`"),
    ("max_budget_in_team", "a user has no budget of its own within a team: give the budget to a key"),
    ("members", "name them in `members_with_roles`"),
    ("model_aliases", "teams have no model aliases of their own: name the model in the configuration"),
    ("new_master_key", "the master key stands in the configuration"),
    ("object_permission", "permissions on tools and stores are not there yet"),
    ("organization_id", "there are no organizations: use a team"),
    ("organizations", "there are no organizations: use teams"),
    ("password", "users sign in elsewhere"),
    ("permissions", "permissions are not acted on"),
    ("policies", "policies are not chosen by key, user or team"),
    ("project_id", "there are no projects: use a team"),
    ("prompts", "there are no stored prompts"),
    ("rotation_interval", "keys are not rotated by themselves: call /key/regenerate"),
    ("router_settings", "routing stands in the configuration"),
    ("rpm_limit_type", "only `best_effort_throughput` is there"),
    ("secret_manager_settings", "secrets are not kept for teams"),
    ("spend", "what was spent cannot be set: raise the budget, or let its window end"),
    ("team_member_budget", "a user has no budget of its own within a team: give the budget to a key"),
    (
        "team_member_budget_duration",
        "a user has no budget of its own within a team: give the budget to a key",
    ),
    ("team_member_key_duration", "say `duration` for each key"),
    ("team_member_rpm_limit", "a user has no limit of its own within a team: give the limit to a key"),
    ("team_member_tpm_limit", "a user has no limit of its own within a team: give the limit to a key"),
    ("tpm_limit_type", "only `best_effort_throughput` is there"),
];

/// Looks at every member of a request that takes `own` members, and those of every holder where it says so.
pub(super) fn check(body: &Body, own: &[&str], of_all: bool) -> Result<(), ApiError> {
    let shared = if of_all { OF_ALL } else { &[] };
    body.iter().try_for_each(|(member, value)| look_at(member, value, own, shared))
}

/// What is left of what is known of a holder elsewhere, and what has no equivalent here.
pub(super) fn equivalent(known: Body, own: &[&str]) -> (Body, Vec<ApiError>) {
    let (mut left, mut lost) = (Body::new(), Vec::new());
    for (member, value) in known {
        match look_at(&member, &value, own, OF_ALL) {
            Err(_) if says_nothing(&member, &value) => {}
            Err(error) => lost.push(error),
            Ok(()) => drop(left.insert(member, value)),
        }
    }
    (left, lost)
}

fn look_at(member: &str, value: &Value, own: &[&str], shared: &[&str]) -> Result<(), ApiError> {
    if own.contains(&member) || shared.contains(&member) || READ_OVER.contains(&member) {
        return Ok(());
    }
    match REFUSED.iter().find(|(refused, _)| *refused == member) {
        Some(_) if says_nothing(member, value) => Ok(()),
        Some((_, why)) => Err(ApiError::of(member, format!("`{member}` is not supported: {why}"))),
        None => Err(unknown(member, own.iter().chain(shared).copied())),
    }
}

/// Whether a member asks for nothing: clients send the members that they know with what they are by themselves.
fn says_nothing(member: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0) && member == "spend",
        Value::String(text) => matches!(
            (member, text.as_str()),
            (_, "")
                | ("key_type", "default")
                | ("rpm_limit_type" | "tpm_limit_type", "best_effort_throughput")
        ),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) => false,
    }
}

fn unknown<'a>(member: &str, known: impl Iterator<Item = &'a str>) -> ApiError {
    let advice = nearest(member, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let shown: String = member.chars().take(100).collect();
    ApiError::of(&shown, format!("there is no member `{shown}` here{advice}"))
}

/// A text; `None` where it is absent, null or empty.
pub(super) fn text<'a>(body: &'a Body, member: &str) -> Result<Option<&'a str>, ApiError> {
    match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(ApiError::of(member, format!("`{member}` is a text"))),
    }
}

/// A text for a member of ours: null where there is to be none, `None` where nothing is said.
pub(super) fn optional(body: &Body, member: &str) -> Result<Option<Value>, ApiError> {
    let said = text(body, member)?.map_or(Value::Null, Value::from);
    Ok(body.contains_key(member).then_some(said))
}

/// A text that must be there.
pub(super) fn needed<'a>(body: &'a Body, member: &str) -> Result<&'a str, ApiError> {
    text(body, member)?.ok_or_else(|| ApiError::of(member, format!("`{member}` is missing")))
}

/// A list of texts; `None` where it is absent or null.
pub(super) fn texts(body: &Body, member: &str) -> Result<Option<Vec<String>>, ApiError> {
    match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(list) => serde_json::from_value(list.clone())
            .map(Some)
            .map_err(|_| ApiError::of(member, format!("`{member}` is a list of texts"))),
    }
}

/// Yes or no; `None` where it is absent or null.
pub(super) fn flag(body: &Body, member: &str) -> Result<Option<bool>, ApiError> {
    match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(ApiError::of(member, format!("`{member}` is true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(body: &Value) -> Result<(), (Option<String>, String)> {
        let body = body.as_object().unwrap();
        check(body, &["key_alias"], true).map_err(|error| (error.member, error.detail))
    }

    #[test]
    fn what_clients_send_by_themselves_is_read_over() {
        let body = json!({
            "key_alias": "a", "guardrails": [], "permissions": {}, "config": {}, "aliases": null, "spend": 0,
            "key_type": "default", "auto_rotate": false, "send_invite_email": true, "max_budget": 5,
        });
        assert_eq!(checked(&body), Ok(()));
    }

    /// Promise 5.
    #[test]
    fn what_somebody_relies_on_is_refused_by_name() {
        for (member, why) in REFUSED {
            let (named, said) = checked(&json!({ *member: ["x"] })).unwrap_err();
            assert_eq!(named.as_deref(), Some(*member));
            assert!(said.contains(why) && !OF_ALL.contains(member) && !READ_OVER.contains(member));
        }
        assert!(
            checked(&json!({ "spend": 1.5 })).is_err()
                && checked(&json!({ "key_type": "management" })).is_err()
        );
        let (_, said) = checked(&json!({ "max_budgett": 5 })).unwrap_err();
        assert_eq!(said, "there is no member `max_budgett` here; did you mean `max_budget`?");
    }
}

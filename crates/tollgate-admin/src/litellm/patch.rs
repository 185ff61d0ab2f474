//! What a request says of a holder of any kind, as a patch of ours.

use serde_json::{Value, json};
use tollgate_core::ledger::{Budget, Limit};

use super::{Body, members, roles, rules};
use crate::error::ApiError;

/// What a request says of a holder of any kind, as a patch of ours over what it was before.
pub(super) fn of(body: &Body, before: (&[Budget], &[Limit], &Body)) -> Result<Body, ApiError> {
    let (budgets_before, limits_before, metadata_before) = before;
    let mut patch = Body::new();
    let mut say = |member: &str, value: Value| patch.insert(member.to_owned(), value);
    say("budgets", json!(rules::budgets(body, budgets_before)?));
    say("limits", json!(rules::limits(body, limits_before)?));
    if let Some(blocked) = members::flag(body, "blocked")? {
        say("blocked", json!(blocked));
    }
    if let Some(metadata) = metadata(body, metadata_before)? {
        say("metadata", Value::Object(metadata));
    }
    Ok(patch)
}

/// Their `metadata` replaces what was there before; `tags` are a part of it.
fn metadata(body: &Body, before: &Body) -> Result<Option<Body>, ApiError> {
    let said = match body.get("metadata") {
        None | Some(Value::Null) => None,
        Some(Value::Object(said)) => Some(said),
        Some(_) => return Err(ApiError::of("metadata", "`metadata` is an object")),
    };
    let tags = members::texts(body, "tags")?;
    if said.is_none() && tags.is_none() {
        return Ok(None);
    }
    let mut patch = Body::new();
    if let Some(said) = said {
        patch.extend(
            before.keys().filter(|member| !KEPT.contains(&member.as_str())).map(|m| (m.clone(), Value::Null)),
        );
        patch.extend(said.iter().map(|(member, value)| (member.clone(), value.clone())));
    }
    if let Some(tags) = tags {
        patch.insert("tags".to_owned(), json!(tags));
    }
    Ok(Some(patch))
}

/// What stays when `metadata` is replaced: it is said by members of its own.
const KEPT: [&str; 2] = ["tags", roles::MEMBER];

//! What a request says of a key.

use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, HolderRef, Key, KeySecret, KeySpec, Role};
use tollgate_ledger::Presented;

use super::{Body, duration, members, models, named, patch, roles};
use crate::Sources;
use crate::error::ApiError;
use crate::holders::only_members_of;
use crate::who::Who;

/// What a request says of a key, as a patch of ours over what it was `before`.
pub(super) fn said(
    sources: &Sources,
    who: &Who,
    body: &Body,
    before: Option<&Key>,
) -> Result<Value, ApiError> {
    let made;
    let spec = match before {
        Some(key) => &key.spec,
        None => {
            made = KeySpec::default();
            &made
        }
    };
    let mut patch = patch::of(body, (&spec.budgets, &spec.limits, &spec.metadata))?;
    for (theirs, ours) in [("key_alias", "alias"), ("user_id", "user"), ("team_id", "team")] {
        if let Some(value) = members::optional(body, theirs)? {
            patch.insert(ours.to_owned(), value);
        }
    }
    if let Some(alias) = patch.get("alias").and_then(Value::as_str) {
        let own = before.map(|key| HolderRef { kind: HolderKind::Key, id: key.id.clone() });
        named::free_alias(sources, alias, own.as_ref())?;
    }
    if let Some(ends) = ends(sources, body)? {
        patch.insert("expires_at".to_owned(), ends);
    }
    let mut patch = Value::Object(patch);
    if let Some(team) = who.own_team() {
        only_members_of(sources, team, &patch)?;
        patch["team"] = json!(team);
    }
    let belongs = |member: &str, known: Option<&str>| -> Option<String> {
        patch.get(member).map_or(known.map(str::to_owned), |said| said.as_str().map(str::to_owned))
    };
    let (user, team) = (belongs("user", spec.user.as_deref()), belongs("team", spec.team.as_deref()));
    let moved = (user.as_deref(), team.as_deref()) != (spec.user.as_deref(), spec.team.as_deref());
    if let Some(models) = models::said(body, HolderKind::Key, team.is_some())? {
        patch["models"] = models;
    }
    if before.is_none() || moved {
        patch["role"] = json!(roles::of_key(sources, user.as_deref(), team.as_deref()));
    }
    if let Some(team) = who.own_team() {
        only_members_of(sources, team, &patch)?;
    }
    Ok(patch)
}

/// When a key ends, from `duration`; null where it never does.
fn ends(sources: &Sources, body: &Body) -> Result<Option<Value>, ApiError> {
    let Some(said) = members::optional(body, "duration")? else { return Ok(None) };
    if said.is_null() || said == "-1" {
        return Ok(Some(Value::Null));
    }
    Ok(Some(json!(duration::end("duration", &said, sources.clock.now())?)))
}

/// What is presented for a key. Whoever chooses it can act as the key, so nobody but an administrator may.
pub(super) fn chosen(who: &Who, body: &Body, member: &str) -> Result<Presented, ApiError> {
    let Some(text) = members::text(body, member)? else { return Ok(Presented::New) };
    if who.role() != Role::Admin {
        return Err(ApiError::forbidden("only an administrator chooses what a key is"));
    }
    KeySecret::chosen(text).map(Presented::Chosen).map_err(|why| ApiError::of(member, why))
}

//! LiteLLM's roles are those of users, ours those of keys: a user's role is kept with the user, and given to the keys
//! that are made for the user. Where the user's role changes, so does that of the keys that had it.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_core::access::{Holder, HolderKind, HolderRef, Key, KeySpec, Member, Role, TeamRole};

use super::{Body, change, members, named};
use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

/// Under which name a user's role is kept in its metadata.
pub(super) const MEMBER: &str = "litellm_user_role";

/// Their roles, and ours.
const ROLES: [(&str, Role); 4] = [
    ("proxy_admin", Role::Admin),
    ("proxy_admin_viewer", Role::Auditor),
    ("internal_user", Role::Member),
    ("internal_user_viewer", Role::Member),
];

/// The role that a request names.
pub(super) fn said(body: &Body) -> Result<Option<&str>, ApiError> {
    let Some(said) = members::text(body, "user_role")? else { return Ok(None) };
    if ROLES.iter().any(|(name, _)| *name == said) {
        return Ok(Some(said));
    }
    let known: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
    Err(ApiError::of("user_role", format!("one of {}", known.join(", "))))
}

/// The role of a user, as they write it.
pub(super) fn written(user: &Holder) -> &str {
    match user {
        Holder::User(user) => {
            user.spec.metadata.get(MEMBER).and_then(Value::as_str).unwrap_or("internal_user")
        }
        Holder::Key(_) | Holder::Team(_) => "internal_user",
    }
}

/// The role of a user's keys.
pub(super) fn of_user(user: &Holder) -> Role {
    let written = written(user);
    ROLES.iter().find(|(name, _)| *name == written).map_or(Role::Member, |(_, role)| *role)
}

/// The role of a key that belongs to `user` and `team`: a user who manages the team manages its keys.
pub(super) fn of_key(sources: &Sources, user: Option<&str>, team: Option<&str>) -> Role {
    let get = |kind: HolderKind, id: &str| {
        let listed = sources.registrar.ledger().get(&HolderRef { kind, id: Arc::from(id) })?;
        Some(listed.account.holder.clone())
    };
    let Some(user) = user else { return Role::Member };
    let own = get(HolderKind::User, user).map_or(Role::Member, |user| of_user(&user));
    match team.and_then(|team| get(HolderKind::Team, team)) {
        Some(Holder::Team(team)) if own == Role::Member => {
            let manages = |member: &Member| *member.user == *user && member.role == TeamRole::Admin;
            if team.spec.members.iter().any(manages) { Role::TeamAdmin } else { Role::Member }
        }
        _ => own,
    }
}

/// The same for a key as it is.
fn following(sources: &Sources, spec: &KeySpec) -> Role {
    of_key(sources, spec.user.as_deref(), spec.team.as_deref())
}

/// The keys of `user` that have the role which follows from the user.
pub(super) fn keys_that_follow(sources: &Sources, who: &Who, user: &str) -> Vec<HolderRef> {
    let follows =
        |key: &Key| key.spec.user.as_deref() == Some(user) && key.spec.role == following(sources, &key.spec);
    named::keys(sources, who, follows).into_iter().map(|account| account.holder.name()).collect()
}

/// Gives `keys` the role that follows from their users by now.
pub(super) async fn follow(sources: &Sources, who: &Who, keys: &[HolderRef]) -> Result<(), ApiError> {
    let role = |holder: &Holder| holder.as_key().map(|key| (key.spec.role, following(sources, &key.spec)));
    for name in keys {
        let listed = sources.registrar.ledger().get(name);
        let differs =
            listed.and_then(|listed| role(&listed.account.holder)).is_some_and(|(is, then)| is != then);
        if differs {
            let then = |holder: &Holder| Ok(json!({ "role": role(holder).map(|(_, then)| then) }));
            change(sources, who, name, then).await?;
        }
    }
    Ok(())
}

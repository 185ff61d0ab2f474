//! `/team/…`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::access::{Account, Holder, HolderKind, HolderRef, TeamSpec};

use super::team_members::{Person, is_member, join};
use super::{Body, change, members, models, named, patch, read, shown};
use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

/// What can be said of a team besides what can be said of all.
pub(super) const OWN: &[&str] = &["team_alias", "team_id"];

/// `POST /team/new`.
pub(super) async fn new(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, &[OWN, &["members_with_roles"]].concat(), true)?;
    let people = Person::read("members_with_roles", body.get("members_with_roles"))?;
    let said = said(&body, None)?;
    let id = members::text(&body, "team_id")?;
    let made = sources.registrar.create(&who.principal, HolderKind::Team, id, said).await?;
    let name = made.shown.holder.name();
    for person in people {
        let member = person.member(&sources, &who).await?;
        join(&sources, &who, &name, &member).await?;
    }
    Ok(Json(one(&sources, &who, &name.id)?))
}

/// `POST /team/update`.
pub(super) async fn update(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, OWN, true)?;
    let name = team(&sources, &who, &body)?;
    change(&sources, &who, &name, |before| said(&body, Some(before))).await?;
    Ok(Json(json!({ "team_id": name.id, "data": one(&sources, &who, &name.id)? })))
}

/// `POST /team/delete`: the teams and their keys. All are found before the first is removed.
pub(super) async fn delete(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, &["team_ids"], false)?;
    let ids = members::texts(&body, "team_ids")?.unwrap_or_default();
    let find = |id: &String| named::holder(&sources, &who, HolderKind::Team, id);
    let found = ids.iter().map(find).collect::<Result<Vec<_>, ApiError>>()?;
    for name in found.iter().map(|listed| listed.account.holder.name()) {
        for key in named::keys(&sources, &who, |key| key.spec.team.as_ref() == Some(&name.id)) {
            sources.registrar.remove(&who.principal, &key.holder.name(), None).await?;
        }
        sources.registrar.remove(&who.principal, &name, None).await?;
    }
    Ok(Json(json!({ "deleted_teams": ids })))
}

/// `POST /team/block`.
pub(super) async fn block(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    set_blocked(&sources, &who, &body, true).await
}

/// `POST /team/unblock`.
pub(super) async fn unblock(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    set_blocked(&sources, &who, &body, false).await
}

async fn set_blocked(
    sources: &Sources,
    who: &Who,
    body: &Bytes,
    blocked: bool,
) -> Result<Json<Value>, ApiError> {
    let body = read(body)?;
    members::check(&body, &["team_id"], false)?;
    let name = team(sources, who, &body)?;
    change(sources, who, &name, |_| Ok(json!({ "blocked": blocked }))).await?;
    Ok(Json(one(sources, who, &name.id)?))
}

/// Which team is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    team_id: String,
}

/// `GET /team/info`: a team with its keys.
pub(super) async fn info(
    State(sources): State<Sources>,
    who: Who,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(Asked { team_id }) = asked.map_err(|error| ApiError::of("team_id", error.body_text()))?;
    let team = one(&sources, &who, &team_id)?;
    Ok(Json(json!({
        "team_id": team_id,
        "team_info": team,
        "keys": keys(&sources, &who, &team_id),
        "team_memberships": [],
    })))
}

/// Which teams are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Filter {
    /// Those that this user belongs to.
    user_id: Option<String>,
}

/// `GET /team/list`.
pub(super) async fn list(
    State(sources): State<Sources>,
    who: Who,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    let wanted = |team: &Holder| filter.user_id.as_deref().is_none_or(|user| is_member(team, user));
    let teams = named::all(&sources, &who, HolderKind::Team, wanted).into_iter().map(|listed| {
        let mut team = shown::holder(&sources, &who, &listed.account);
        team["keys"] = json!(keys(&sources, &who, &listed.account.holder.name().id));
        team["team_memberships"] = json!([]);
        team
    });
    Ok(Json(teams.collect()))
}

fn keys(sources: &Sources, who: &Who, team: &str) -> Vec<Value> {
    let keys = named::keys(sources, who, |key| key.spec.team.as_deref() == Some(team));
    keys.iter().map(|account: &Arc<Account>| shown::holder(sources, who, account)).collect()
}

/// The team that a request names.
pub(super) fn team(sources: &Sources, who: &Who, body: &Body) -> Result<HolderRef, ApiError> {
    let id = members::needed(body, "team_id")?;
    Ok(named::holder(sources, who, HolderKind::Team, id)?.account.holder.name())
}

pub(super) fn one(sources: &Sources, who: &Who, id: &str) -> Result<Value, ApiError> {
    let team = named::holder(sources, who, HolderKind::Team, id)?;
    Ok(shown::holder(sources, who, &team.account))
}

/// What a request says of a team, as a patch of ours over what it was `before`.
pub(super) fn said(body: &Body, before: Option<&Holder>) -> Result<Value, ApiError> {
    let made = TeamSpec::default();
    let spec = match before {
        Some(Holder::Team(team)) => &team.spec,
        _ => &made,
    };
    let mut patch = patch::of(body, (&spec.budgets, &spec.limits, &spec.metadata))?;
    if let Some(alias) = members::optional(body, "team_alias")? {
        patch.insert("alias".to_owned(), alias);
    }
    if let Some(models) = models::said(body, HolderKind::Team, false)? {
        patch.insert("models".to_owned(), models);
    }
    Ok(Value::Object(patch))
}

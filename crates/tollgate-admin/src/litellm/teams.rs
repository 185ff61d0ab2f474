//! `/team/…`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::access::{Account, Holder, HolderKind, HolderRef, Member, TeamRole, TeamSpec};

use super::{Body, change, members, models, named, read, roles, rules, shown, users};
use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

/// What can be said of a team besides what can be said of all.
pub(super) const OWN: &[&str] = &["team_alias", "team_id"];

/// Somebody in a team, as a request names them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    user_id: Option<String>,
    user_email: Option<String>,
    #[serde(default)]
    role: TheirRole,
}

/// What somebody is in a team.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TheirRole {
    Admin,
    #[default]
    User,
}

impl From<TheirRole> for TeamRole {
    fn from(role: TheirRole) -> Self {
        match role {
            TheirRole::Admin => Self::Admin,
            TheirRole::User => Self::Member,
        }
    }
}

impl Person {
    pub(super) fn read(member: &str, said: Option<&Value>) -> Result<Vec<Self>, ApiError> {
        let list = match said {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(list @ Value::Array(_)) => list.clone(),
            Some(one) => json!([one]),
        };
        serde_json::from_value(list).map_err(|error| ApiError::of(member, error.to_string()))
    }

    /// A team that somebody joins, and as what.
    pub(super) fn in_team(said: Value) -> Result<(String, TeamRole), ApiError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Place {
            team_id: String,
            #[serde(default)]
            user_role: TheirRole,
        }
        let place: Place =
            serde_json::from_value(said).map_err(|error| ApiError::of("teams", error.to_string()))?;
        Ok((place.team_id, place.user_role.into()))
    }

    /// The user, who is made where there is none.
    pub(super) async fn member(self, sources: &Sources, who: &Who) -> Result<Member, ApiError> {
        let role = self.role.into();
        let user = match (self.user_id, self.user_email) {
            (Some(id), _) => {
                users::make_if_missing(sources, who, &id).await?;
                Arc::from(id)
            }
            (None, Some(email)) => match named::user_at(sources, &email) {
                Some(user) => user.account.holder.name().id,
                None => {
                    let said = json!({ "email": email });
                    let made = sources.registrar.create(&who.principal, HolderKind::User, None, said).await?;
                    made.shown.holder.name().id
                }
            },
            (None, None) => return Err(ApiError::of("member", "`user_id` or `user_email` names a member")),
        };
        Ok(Member { user, role })
    }
}

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

/// `POST /team/member_add`. Who is a member already gets the role that is said.
pub(super) async fn member_add(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, &["team_id", "member"], false)?;
    let name = team(&sources, &who, &body)?;
    let people = Person::read("member", body.get("member"))?;
    if people.is_empty() {
        return Err(ApiError::of("member", "`member` is missing"));
    }
    for person in people {
        let member = person.member(&sources, &who).await?;
        join(&sources, &who, &name, &member).await?;
    }
    let mut team = one(&sources, &who, &name.id)?;
    team["updated_users"] = json!([]);
    team["updated_team_memberships"] = json!([]);
    Ok(Json(team))
}

/// `POST /team/member_delete`: the member, and the member's keys of the team.
pub(super) async fn member_delete(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, &["team_id", "user_id", "user_email"], false)?;
    let name = team(&sources, &who, &body)?;
    let no_such =
        || ApiError { member: Some("user_id".to_owned()), ..ApiError::missing("there is no such member") };
    let user: Arc<str> = match (members::text(&body, "user_id")?, members::text(&body, "user_email")?) {
        (Some(id), _) => id.into(),
        (None, Some(email)) => {
            named::user_at(&sources, email).map(|user| user.account.holder.name().id).ok_or_else(no_such)?
        }
        (None, None) => return Err(ApiError::of("user_id", "`user_id` or `user_email` names the member")),
    };
    if !is_member(&named::holder(&sources, &who, HolderKind::Team, &name.id)?.account.holder, &user) {
        return Err(no_such());
    }
    let theirs = |key: &tollgate_core::access::Key| {
        key.spec.team.as_ref() == Some(&name.id) && key.spec.user.as_ref() == Some(&user)
    };
    for key in named::keys(&sources, &who, theirs) {
        sources.registrar.remove(&who.principal, &key.holder.name(), None).await?;
    }
    leave(&sources, &who, &name, &user).await?;
    Ok(Json(one(&sources, &who, &name.id)?))
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

/// Puts somebody into a team. The user's keys of the team get the role that follows.
pub(super) async fn join(
    sources: &Sources,
    who: &Who,
    team: &HolderRef,
    member: &Member,
) -> Result<(), ApiError> {
    let following = roles::keys_that_follow(sources, who, &member.user);
    let with = |team: &Holder| {
        let others = members_of(team).iter().filter(|known| known.user != member.user);
        Ok(json!({ "members": others.chain([member]).collect::<Vec<_>>() }))
    };
    change(sources, who, team, with).await?;
    roles::follow(sources, who, &following).await
}

/// Takes somebody out of a team.
pub(super) async fn leave(
    sources: &Sources,
    who: &Who,
    team: &HolderRef,
    user: &str,
) -> Result<(), ApiError> {
    let following = roles::keys_that_follow(sources, who, user);
    let without = |team: &Holder| {
        let others = members_of(team).iter().filter(|known| *known.user != *user);
        Ok(json!({ "members": others.collect::<Vec<_>>() }))
    };
    change(sources, who, team, without).await?;
    roles::follow(sources, who, &following).await
}

fn members_of(team: &Holder) -> &[Member] {
    match team {
        Holder::Team(team) => &team.spec.members,
        Holder::Key(_) | Holder::User(_) => &[],
    }
}

fn is_member(team: &Holder, user: &str) -> bool {
    members_of(team).iter().any(|member| *member.user == *user)
}

/// The team that a request names.
fn team(sources: &Sources, who: &Who, body: &Body) -> Result<HolderRef, ApiError> {
    let id = members::needed(body, "team_id")?;
    Ok(named::holder(sources, who, HolderKind::Team, id)?.account.holder.name())
}

fn one(sources: &Sources, who: &Who, id: &str) -> Result<Value, ApiError> {
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
    let mut patch = rules::patch(body, (&spec.budgets, &spec.limits, &spec.metadata))?;
    if let Some(alias) = members::optional(body, "team_alias")? {
        patch.insert("alias".to_owned(), alias);
    }
    if let Some(models) = models::said(body, HolderKind::Team, false)? {
        patch.insert("models".to_owned(), models);
    }
    Ok(Value::Object(patch))
}

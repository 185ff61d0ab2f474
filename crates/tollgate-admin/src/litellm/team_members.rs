//! Who belongs to a team: `/team/member_add`, `/team/member_delete`, and what else makes and ends memberships.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::access::{Holder, HolderKind, HolderRef, Key, Member, TeamRole};

use super::teams::{one, team};
use super::{change, members, named, read, roles, users};
use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

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
    let theirs =
        |key: &Key| key.spec.team.as_ref() == Some(&name.id) && key.spec.user.as_ref() == Some(&user);
    for key in named::keys(&sources, &who, theirs) {
        sources.registrar.remove(&who.principal, &key.holder.name(), None).await?;
    }
    leave(&sources, &who, &name, &user).await?;
    Ok(Json(one(&sources, &who, &name.id)?))
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

pub(super) fn is_member(team: &Holder, user: &str) -> bool {
    members_of(team).iter().any(|member| *member.user == *user)
}

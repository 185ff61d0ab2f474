//! `/user/…`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::access::{Account, Holder, HolderKind, HolderRef, Member, Role, TeamRole, UserSpec};

use super::team_members::{Person, join, leave};
use super::{Body, change, keys, members, models, named, paged, patch, read, roles, shown};
use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

/// What can be said of a user besides what can be said of all.
pub(super) const OWN: &[&str] = &["user_alias", "user_email", "user_id", "user_role"];

/// `POST /user/new`: a user, and a key for it unless `auto_create_key` is false.
pub(super) async fn new(State(sources): State<Sources>, who: Who, body: Bytes) -> Result<Response, ApiError> {
    let body = read(&body)?;
    let more = ["auto_create_key", "duration", "key_alias", "team_id", "teams"];
    members::check(&body, &[OWN, &more].concat(), true)?;
    let teams = teams(&sources, &who, &body)?;
    if let Some(email) = members::text(&body, "user_email")?
        && named::user_at(&sources, email).is_some()
    {
        return Err(ApiError::taken(
            "user_email",
            format!("there is a user with the address {email:?} already"),
        ));
    }
    let id = members::text(&body, "user_id")?;
    let said = said(&body, None)?;
    let made = sources.registrar.create(&who.principal, HolderKind::User, id, said).await?;
    let name = made.shown.holder.name();
    for (team, role) in &teams {
        join(&sources, &who, team, &Member { user: Arc::clone(&name.id), role: *role }).await?;
    }
    let mut answer = json!({});
    if members::flag(&body, "auto_create_key")?.unwrap_or(true) {
        answer = keys::for_user(&sources, &who, &body, &name.id).await?;
    }
    let user = named::holder(&sources, &who, HolderKind::User, &name.id)?;
    if let (Some(answer), Value::Object(user)) =
        (answer.as_object_mut(), shown::holder(&sources, &who, &user.account))
    {
        answer.extend(user);
        answer.insert("teams".to_owned(), json!(teams.iter().map(|(team, _)| &team.id).collect::<Vec<_>>()));
    }
    Ok(keys::secret(answer))
}

/// `POST /user/update`.
pub(super) async fn update(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, OWN, true)?;
    let name = match (members::text(&body, "user_id")?, members::text(&body, "user_email")?) {
        (Some(id), _) => named::holder(&sources, &who, HolderKind::User, id)?.account.holder.name(),
        (None, Some(email)) => match named::user_at(&sources, email) {
            Some(user) => user.account.holder.name(),
            None => return Err(ApiError::missing(format!("there is no user with the address {email:?}"))),
        },
        (None, None) => return Err(ApiError::of("user_id", "`user_id` or `user_email` names the user")),
    };
    let following = roles::keys_that_follow(&sources, &who, &name.id);
    change(&sources, &who, &name, |before| said(&body, Some(before))).await?;
    roles::follow(&sources, &who, &following).await?;
    let user = named::holder(&sources, &who, HolderKind::User, &name.id)?;
    Ok(Json(json!({ "user_id": name.id, "data": shown::holder(&sources, &who, &user.account) })))
}

/// `POST /user/delete`: the users, their places in teams and their keys. All are found before the first is removed.
pub(super) async fn delete(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, &["user_ids"], false)?;
    let ids = members::texts(&body, "user_ids")?.unwrap_or_default();
    let find = |id: &String| named::holder(&sources, &who, HolderKind::User, id);
    let found = ids.iter().map(find).collect::<Result<Vec<_>, ApiError>>()?;
    for name in found.iter().map(|listed| listed.account.holder.name()) {
        for team in teams_of(&sources, &who, &name.id) {
            leave(&sources, &who, &team.holder.name(), &name.id).await?;
        }
        for key in named::keys(&sources, &who, |key| key.spec.user.as_ref() == Some(&name.id)) {
            sources.registrar.remove(&who.principal, &key.holder.name(), None).await?;
        }
        sources.registrar.remove(&who.principal, &name, None).await?;
    }
    Ok(Json(json!(found.len())))
}

/// Which user is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// The one that the key belongs to where absent.
    user_id: Option<String>,
}

/// `GET /user/info`: a user with its keys and teams.
pub(super) async fn info(
    State(sources): State<Sources>,
    who: Who,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(asked) = asked.map_err(|error| ApiError::invalid(error.body_text()))?;
    let own = || who.principal.user.as_ref().map(|user| user.to_string());
    let id = asked.user_id.or_else(own).ok_or_else(|| ApiError::of("user_id", "`user_id` is missing"))?;
    let user = named::holder(&sources, &who, HolderKind::User, &id)?;
    let show = |account: &Arc<Account>| shown::holder(&sources, &who, account);
    let keys = named::keys(&sources, &who, |key| key.spec.user.as_deref() == Some(&*id));
    let teams = teams_of(&sources, &who, &id);
    Ok(Json(json!({
        "user_id": id,
        "user_info": show(&user.account),
        "keys": keys.iter().map(show).collect::<Vec<_>>(),
        "teams": teams.iter().map(show).collect::<Vec<_>>(),
    })))
}

/// Which users are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Filter {
    page: Option<usize>,
    page_size: Option<usize>,
    role: Option<String>,
    /// Separated by commas.
    user_ids: Option<String>,
    /// A part of it.
    user_email: Option<String>,
    team: Option<String>,
}

impl Filter {
    fn wants(&self, user: &Holder, in_team: impl Fn(&str) -> bool) -> bool {
        let id = user.name().id;
        let email = match user {
            Holder::User(user) => user.spec.email.as_deref().unwrap_or_default(),
            Holder::Key(_) | Holder::Team(_) => return false,
        };
        let listed = |ids: &String| ids.split(',').any(|listed| listed.trim() == &*id);
        self.role.as_deref().is_none_or(|role| roles::written(user) == role)
            && self.user_ids.as_ref().is_none_or(listed)
            && self
                .user_email
                .as_deref()
                .is_none_or(|part| email.to_lowercase().contains(&part.to_lowercase()))
            && self.team.as_deref().is_none_or(in_team)
    }
}

/// `GET /user/list`.
pub(super) async fn list(
    State(sources): State<Sources>,
    who: Who,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    let all = named::all(&sources, &who, HolderKind::User, |_| true);
    let wanted = all.into_iter().map(|listed| listed.account).filter(|account| {
        let teams = || teams_of(&sources, &who, &account.holder.name().id);
        filter.wants(&account.holder, |team| teams().iter().any(|of| *of.holder.name().id == *team))
    });
    let wanted: Vec<Arc<Account>> = wanted.collect();
    let page = paged(&wanted, filter.page, filter.page_size.unwrap_or(25));
    let users = page.items.iter().map(|account| {
        let mut user = shown::holder(&sources, &who, account);
        let id = account.holder.name().id;
        user["key_count"] =
            json!(named::keys(&sources, &who, |key| key.spec.user.as_ref() == Some(&id)).len());
        user
    });
    Ok(Json(json!({
        "users": users.collect::<Vec<_>>(),
        "total": page.total,
        "page": page.number,
        "page_size": page.size,
        "total_pages": page.pages,
    })))
}

/// Makes the user called `id` where there is none: LiteLLM's keys and teams name users that nobody made. Whoever may
/// not make users is told by the registrar that there is none.
pub(super) async fn make_if_missing(sources: &Sources, who: &Who, id: &str) -> Result<(), ApiError> {
    let missing = sources.registrar.ledger().get(&named::name(HolderKind::User, id)).is_none();
    if missing && who.role() == Role::Admin {
        sources.registrar.create(&who.principal, HolderKind::User, Some(id), json!({})).await?;
    }
    Ok(())
}

/// The teams that the user called `id` belongs to.
fn teams_of(sources: &Sources, who: &Who, id: &str) -> Vec<Arc<Account>> {
    let has = |holder: &Holder| matches!(holder, Holder::Team(team) if team.spec.members.iter().any(|member| *member.user == *id));
    named::all(sources, who, HolderKind::Team, has).into_iter().map(|listed| listed.account).collect()
}

/// The teams that a new user joins, by name or as `{"team_id", "user_role"}`.
fn teams(sources: &Sources, who: &Who, body: &Body) -> Result<Vec<(HolderRef, TeamRole)>, ApiError> {
    let wrong = || ApiError::of("teams", "a list of names of teams");
    let said = match body.get("teams") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(teams)) => teams.clone(),
        Some(_) => return Err(wrong()),
    };
    let mut found = Vec::new();
    for said in said.into_iter().chain(body.get("team_id").filter(|team| !team.is_null()).cloned()) {
        let (id, role) = match said {
            Value::String(id) => (id, TeamRole::Member),
            said => Person::in_team(said)?,
        };
        let team = named::holder(sources, who, HolderKind::Team, &id)?.account.holder.name();
        if !found.iter().any(|(known, _)| *known == team) {
            found.push((team, role));
        }
    }
    Ok(found)
}

/// What a request says of a user, as a patch of ours over what it was `before`.
pub(super) fn said(body: &Body, before: Option<&Holder>) -> Result<Value, ApiError> {
    let made = UserSpec::default();
    let spec = match before {
        Some(Holder::User(user)) => &user.spec,
        _ => &made,
    };
    let mut patch = patch::of(body, (&spec.budgets, &spec.limits, &spec.metadata))?;
    for (theirs, ours) in [("user_alias", "alias"), ("user_email", "email")] {
        if let Some(value) = members::optional(body, theirs)? {
            patch.insert(ours.to_owned(), value);
        }
    }
    if let Some(models) = models::said(body, HolderKind::User, false)? {
        patch.insert("models".to_owned(), models);
    }
    let mut patch = Value::Object(patch);
    if let Some(role) = roles::said(body)? {
        patch["metadata"][roles::MEMBER] = json!(role);
    }
    Ok(patch)
}

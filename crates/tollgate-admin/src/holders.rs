//! Keys, users and teams.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::access::{Account, Holder, HolderKind, HolderRef, Role};
use tollgate_core::ledger::{Rule, Usd};
use tollgate_core::ports::Change;
use tollgate_identity::server::LoginError;
use tollgate_ledger::{Made, Shown};

use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

/// Which holders are asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Filter {
    /// Keys of this team.
    team: Option<String>,
    /// Keys of this user.
    user: Option<String>,
    /// Those that people call so.
    alias: Option<String>,
    /// After this one: the `next` of the page before.
    after: Option<String>,
    /// So many at most; default 50, at most 1000.
    limit: Option<usize>,
}

impl Filter {
    fn wants(&self, holder: &Holder) -> bool {
        let spec = holder.as_key().map(|key| &key.spec);
        let belongs = |wanted: &Option<String>, to: Option<&Arc<str>>| {
            wanted.as_ref().is_none_or(|wanted| to.is_some_and(|to| **to == **wanted))
        };
        belongs(&self.team, spec.and_then(|spec| spec.team.as_ref()))
            && belongs(&self.user, spec.and_then(|spec| spec.user.as_ref()))
            && self.alias.as_ref().is_none_or(|alias| holder.alias() == Some(alias))
    }
}

/// `GET /api/v1/keys` and the like: in the order of their names.
pub(crate) async fn list(
    kind: HolderKind,
    State(sources): State<Sources>,
    who: Who,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    let limit = filter.limit.unwrap_or(50).clamp(1, 1_000);
    let wanted = |holder: &Holder| who.sees(holder) && filter.wants(holder);
    let page = sources.registrar.ledger().page(kind, filter.after.as_deref(), limit, wanted);
    let holders = page.holders.into_iter();
    let items: Vec<Value> = holders
        .map(|listed| Shown { holder: listed.account.holder.clone(), change: listed.change }.visible())
        .collect();
    Ok(Json(json!({ "items": items, "next": page.next })))
}

/// `GET /api/v1/keys/{id}` and the like: with how it stands with each budget and limit.
pub(crate) async fn one(
    kind: HolderKind,
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let name = named(kind, &id);
    let listed = sources.registrar.ledger().get(&name);
    // What somebody may not see is not there for them.
    let listed = listed.filter(|listed| who.sees(&listed.account.holder)).ok_or_else(|| no_such(&name))?;
    let mut body = Shown { holder: listed.account.holder.clone(), change: listed.change }.visible();
    body["standing"] = standing(&sources, &listed.account);
    Ok(tagged(StatusCode::OK, listed.change, body))
}

/// `POST /api/v1/keys` and the like. A key is shown in this answer and never again.
pub(crate) async fn create(
    kind: HolderKind,
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Response, ApiError> {
    let mut said = object(&body)?;
    let id = taken(&mut said, "id")?;
    if let Some(team) = who.own_team() {
        only_members_of(&sources, team, &said)?;
        said["team"] = json!(team);
    }
    let made = sources.registrar.create(&who.principal, kind, id.as_deref(), said).await?;
    Ok(shown_once(StatusCode::CREATED, made))
}

/// `PATCH /api/v1/keys/{id}` and the like: a merge patch (RFC 7396).
pub(crate) async fn change(
    kind: HolderKind,
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let name = changeable(&sources, &who, kind, &id)?;
    let patch = object(&body)?;
    if let Some(team) = who.own_team() {
        only_members_of(&sources, team, &patch)?;
    }
    let shown = sources.registrar.change(&who.principal, &name, expected(&headers)?, patch).await?;
    Ok(tagged(StatusCode::OK, shown.change, shown.visible()))
}

/// `DELETE /api/v1/keys/{id}` and the like. With a user goes how they sign in.
pub(crate) async fn remove(
    kind: HolderKind,
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let name = changeable(&sources, &who, kind, &id)?;
    sources.registrar.remove(&who.principal, &name, expected(&headers)?).await?;
    if kind == HolderKind::User {
        match sources.logins.remove(&who.principal, &id, None).await {
            Ok(()) | Err(LoginError::Missing(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// How a key is rotated.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotating {
    /// How long the key before is taken.
    grace_seconds: u32,
}

/// `POST /api/v1/keys/{id}/rotate`: a new secret for the same key.
pub(crate) async fn rotate(
    State(sources): State<Sources>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let name = changeable(&sources, &who, HolderKind::Key, &id)?;
    let said = object_if_any(&body)?;
    let rotating: Rotating =
        serde_json::from_value(said).map_err(|error| ApiError::invalid(error.to_string()))?;
    let grace = SignedDuration::from_secs(i64::from(rotating.grace_seconds));
    let made = sources.registrar.rotate(&who.principal, &name, expected(&headers)?, grace).await?;
    Ok(shown_once(StatusCode::OK, made))
}

/// The holder, where whoever asks may change it.
pub(crate) fn changeable(
    sources: &Sources,
    who: &Who,
    kind: HolderKind,
    id: &str,
) -> Result<HolderRef, ApiError> {
    let name = named(kind, id);
    let ledger = sources.registrar.ledger();
    match ledger.get(&name).map(|listed| listed.account) {
        Some(account) if who.changes(&account.holder) => Ok(name),
        Some(account) if who.sees(&account.holder) => {
            Err(ApiError::forbidden(format!("the role `{}` may not change the {name}", who.role().name())))
        }
        // The registrar tells whether it is not there, or cannot be known.
        None if who.role() == Role::Admin => Ok(name),
        _ => Err(no_such(&name)),
    }
}

/// A team's admin makes keys for the team's members, and no others.
pub(crate) fn only_members_of(sources: &Sources, team: &str, said: &Value) -> Result<(), ApiError> {
    let other = said.get("team").is_some_and(|said| said.as_str() != Some(team));
    let more = said.get("role").is_some_and(|role| role.as_str() != Some(Role::Member.name()));
    // Whose budgets a key is charged to is not for those of another team to say.
    let foreign =
        said.get("user").and_then(Value::as_str).is_some_and(|user| !is_member(sources, team, user));
    if said.get("acts").is_some_and(|acts| acts != &Value::Bool(false)) {
        let why = "only an admin lets a key act with somebody's accounts (`acts`)";
        return Err(ApiError::forbidden(why.to_owned()));
    }
    if other || more || foreign {
        return Err(ApiError::forbidden(format!(
            "a team admin's keys are those of members of the team `{team}`"
        )));
    }
    Ok(())
}

fn is_member(sources: &Sources, team: &str, user: &str) -> bool {
    let team = sources.registrar.ledger().get(&named(HolderKind::Team, team));
    team.is_some_and(|listed| match &listed.account.holder {
        Holder::Team(team) => team.spec.members.iter().any(|member| &*member.user == user),
        Holder::Key(_) | Holder::User(_) => false,
    })
}

fn named(kind: HolderKind, id: &str) -> HolderRef {
    HolderRef { kind, id: id.into() }
}

fn no_such(name: &HolderRef) -> ApiError {
    ApiError::missing(format!("there is no {name}"))
}

pub(crate) fn object(body: &Bytes) -> Result<Value, ApiError> {
    match serde_json::from_slice(body) {
        Ok(said @ Value::Object(_)) => Ok(said),
        Ok(_) => Err(ApiError::invalid("the body must be a JSON object")),
        Err(error) => Err(ApiError::invalid(format!("the body is no JSON: {error}"))),
    }
}

/// The same, where nothing need be said.
pub(crate) fn object_if_any(body: &Bytes) -> Result<Value, ApiError> {
    if body.is_empty() { Ok(json!({})) } else { object(body) }
}

/// The text in the member `member`, which is taken out.
pub(crate) fn taken(said: &mut Value, member: &str) -> Result<Option<String>, ApiError> {
    match said.as_object_mut().and_then(|members| members.remove(member)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::invalid(format!("`{member}` is a text"))),
    }
}

/// `If-Match` (RFC 9110 §13.1.1): the version that is to be changed.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Option<Change>, ApiError> {
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = tag.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number =
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| ApiError::invalid("`If-Match` takes the `ETag` of an earlier answer"))
}

fn shown_once(status: StatusCode, made: Made) -> Response {
    let mut body = made.shown.visible();
    if let Some(secret) = &made.secret {
        body["key"] = secret.expose().into();
    }
    let mut response = tagged(status, made.shown.change, body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) fn tagged(status: StatusCode, change: Change, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{change}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// How it stands with each budget and limit. Amounts of budgets are US dollars.
fn standing(sources: &Sources, account: &Account) -> Value {
    let standings = sources.registrar.ledger().standings(account, sources.clock.now());
    let each = standings.iter().map(|(meter, standing)| {
        let amount = |count: u64| match meter.rule {
            Rule::Budget(_) => json!(Usd::from_nano(count)),
            Rule::Limit(_) => json!(count),
        };
        json!({
            "id": meter.id(),
            "of": amount(standing.ceiling),
            "spent": amount(standing.spent),
            "held": amount(standing.held),
            "left": amount(standing.left()),
            "since": standing.window.start,
            "resets": standing.window.end,
        })
    });
    each.collect()
}

//! `/key/…`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, HolderRef, Key, KeySecret, KeySpec, Role};
use tollgate_ledger::{Made, Presented};

use super::{Body, change, duration, members, models, named, paged, read, roles, rules, shown, users};
use crate::Sources;
use crate::error::ApiError;
use crate::holders::only_members_of;
use crate::who::Who;

/// What can be said of a key besides what can be said of all.
pub(super) const OWN: &[&str] = &["duration", "key_alias", "team_id", "user_id"];

/// `POST /key/generate`.
pub(super) async fn generate(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Response, ApiError> {
    let body = read(&body)?;
    members::check(&body, &[OWN, &["key"]].concat(), true)?;
    let presented = chosen(&who, &body, "key")?;
    let said = said(&sources, &who, &body, None)?;
    if let Some(user) = members::text(&body, "user_id")? {
        users::make_if_missing(&sources, &who, user).await?;
    }
    let made = sources.registrar.create_with(&who.principal, HolderKind::Key, None, said, presented).await?;
    Ok(secret(shown_key(&sources, &who, &made)))
}

/// `POST /key/update`.
pub(super) async fn update(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, &[OWN, &["key"]].concat(), true)?;
    let name = named::changeable_key(&sources, &who, members::needed(&body, "key")?)?;
    if let Some(user) = members::text(&body, "user_id")? {
        users::make_if_missing(&sources, &who, user).await?;
    }
    change(&sources, &who, &name, |before| said(&sources, &who, &body, before.as_key())).await?;
    Ok(Json(one(&sources, &who, &name)?))
}

/// `POST /key/delete`. All of them are found before the first is removed.
pub(super) async fn delete(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read(&body)?;
    members::check(&body, &["keys", "key_aliases"], false)?;
    let (keys, aliases) = (members::texts(&body, "keys")?, members::texts(&body, "key_aliases")?);
    let (keys, aliases) = (keys.unwrap_or_default(), aliases.unwrap_or_default());
    let by_key = keys.iter().map(|key| named::changeable_key(&sources, &who, key));
    let by_alias = aliases.iter().map(|alias| named::key_called(&sources, &who, alias));
    let mut names = by_key.chain(by_alias).collect::<Result<Vec<HolderRef>, ApiError>>()?;
    if names.is_empty() {
        return Err(ApiError::of("keys", "`keys` or `key_aliases` names the keys to be removed"));
    }
    names.sort();
    names.dedup();
    for name in &names {
        sources.registrar.remove(&who.principal, name, None).await?;
    }
    // As they were named, but no secret again.
    let deleted = names.iter().map(|name| &name.id);
    Ok(Json(json!({ "deleted_keys": deleted.collect::<Vec<_>>() })))
}

/// `POST /key/regenerate`.
pub(super) async fn regenerate(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Response, ApiError> {
    let body = read(&body)?;
    let key = members::needed(&body, "key")?.to_owned();
    renew(&sources, &who, &key, &body).await
}

/// `POST /key/{key}/regenerate`.
pub(super) async fn regenerate_named(
    State(sources): State<Sources>,
    who: Who,
    Path(key): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    renew(&sources, &who, &key, &read(&body)?).await
}

async fn renew(sources: &Sources, who: &Who, key: &str, body: &Body) -> Result<Response, ApiError> {
    const RENEWING: [&str; 3] = ["key", "new_key", "grace_period"];
    members::check(body, &[OWN, &RENEWING].concat(), true)?;
    let name = named::changeable_key(sources, who, key)?;
    let presented = chosen(who, body, "new_key")?;
    let now = sources.clock.now();
    let grace = match members::text(body, "grace_period")? {
        None => SignedDuration::ZERO,
        Some(text) => duration::end("grace_period", &json!(text), now)?.duration_since(now),
    };
    // A secret that was made is shown, whatever else is wrong: so the rest comes before it.
    if body.keys().any(|member| !RENEWING.contains(&member.as_str())) {
        change(sources, who, &name, |before| said(sources, who, body, before.as_key())).await?;
    }
    let made = sources.registrar.rotate_to(&who.principal, &name, None, grace, presented).await?;
    Ok(secret(shown_key(sources, who, &made)))
}

/// `POST /key/block`.
pub(super) async fn block(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    set_blocked(&sources, &who, &body, true).await
}

/// `POST /key/unblock`.
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
    members::check(&body, &["key"], false)?;
    let name = named::changeable_key(sources, who, members::needed(&body, "key")?)?;
    change(sources, who, &name, |_| Ok(json!({ "blocked": blocked }))).await?;
    Ok(Json(one(sources, who, &name)?))
}

/// Which key is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// The one that asks where absent.
    key: Option<String>,
}

/// `GET /key/info`.
pub(super) async fn info(
    State(sources): State<Sources>,
    who: Who,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(asked) = asked.map_err(|error| ApiError::invalid(error.body_text()))?;
    let key = asked.key.unwrap_or_else(|| who.principal.sub.id.to_string());
    let listed = named::key(&sources, &who, &key)?;
    let mut info = shown::holder(&sources, &who, &listed.account);
    let token = info["token"].take();
    if let Some(members) = info.as_object_mut() {
        members.remove("token");
    }
    Ok(Json(json!({ "key": token, "info": info })))
}

/// Which keys are asked for. A filter that is not known would give more than was asked for, so it is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Filter {
    page: Option<usize>,
    size: Option<usize>,
    user_id: Option<String>,
    team_id: Option<String>,
    key_hash: Option<String>,
    key_alias: Option<String>,
    return_full_object: bool,
    /// What whoever asks may see is in the list in any case.
    #[serde(rename = "include_team_keys")]
    _team_keys: bool,
    #[serde(rename = "include_created_by_keys")]
    _created_by_keys: bool,
}

impl Filter {
    fn wants(&self, key: &Key) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        let named = self.key_hash.as_deref().is_none_or(|named| {
            named == &*key.id
                || named.parse().is_ok_and(|hash: tollgate_core::access::KeyHash| hash == key.hash)
        });
        named
            && is(&self.user_id, key.spec.user.as_deref())
            && is(&self.team_id, key.spec.team.as_deref())
            && is(&self.key_alias, key.spec.alias.as_deref())
    }
}

/// `GET /key/list`.
pub(super) async fn list(
    State(sources): State<Sources>,
    who: Who,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(filter) = filter.map_err(|error| ApiError::invalid(error.body_text()))?;
    let found = named::keys(&sources, &who, |key| filter.wants(key));
    let page = paged(&found, filter.page, filter.size.unwrap_or(10));
    let keys = page.items.iter().map(|account| shown::holder(&sources, &who, account));
    let keys = keys.map(|mut key| if filter.return_full_object { key } else { key["token"].take() });
    Ok(Json(json!({
        "keys": keys.collect::<Vec<_>>(),
        "total_count": page.total,
        "current_page": page.number,
        "total_pages": page.pages,
    })))
}

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
    let mut patch = rules::patch(body, (&spec.budgets, &spec.limits, &spec.metadata))?;
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
        only_members_of(team, &patch)?;
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
        only_members_of(team, &patch)?;
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
fn chosen(who: &Who, body: &Body, member: &str) -> Result<Presented, ApiError> {
    let Some(text) = members::text(body, member)? else { return Ok(Presented::New) };
    if who.role() != Role::Admin {
        return Err(ApiError::forbidden("only an administrator chooses what a key is"));
    }
    KeySecret::chosen(text).map(Presented::Chosen).map_err(|why| ApiError::of(member, why))
}

/// A key for `user` that ends after `body`'s `duration`.
pub(super) async fn for_user(
    sources: &Sources,
    who: &Who,
    body: &Body,
    user: &str,
) -> Result<Value, ApiError> {
    let mut asked = Body::new();
    for member in ["key_alias", "duration", "team_id"] {
        asked.extend(body.get(member).map(|value| (member.to_owned(), value.clone())));
    }
    asked.insert("user_id".to_owned(), json!(user));
    let said = said(sources, who, &asked, None)?;
    let made = sources.registrar.create(&who.principal, HolderKind::Key, None, said).await?;
    Ok(shown_key(sources, who, &made))
}

/// A key as it is now.
fn one(sources: &Sources, who: &Who, name: &HolderRef) -> Result<Value, ApiError> {
    let listed = named::key(sources, who, &name.id)?;
    let mut key = shown::holder(sources, who, &listed.account);
    key["key"] = key["token"].clone();
    Ok(key)
}

/// A key that was just made or renewed, with what is shown this once.
fn shown_key(sources: &Sources, who: &Who, made: &Made) -> Value {
    let listed = sources.registrar.ledger().get(&made.shown.holder.name());
    let mut key = listed.map_or(json!({}), |listed| shown::holder(sources, who, &listed.account));
    key["token_id"] = key["token"].clone();
    key["key"] = json!(made.secret.as_ref().map(KeySecret::expose));
    key
}

/// An answer with a secret in it.
pub(super) fn secret(body: Value) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

//! `/key/…`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, HolderRef, KeySecret};
use tollgate_ledger::Made;

use super::key_said::{chosen, said};
use super::{Body, change, duration, members, named, read, shown, users};
use crate::Sources;
use crate::error::ApiError;
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

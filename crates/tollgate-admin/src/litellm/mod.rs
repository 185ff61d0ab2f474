//! LiteLLM's management routes, for the scripts and programs that speak to them already. They translate to the registrar
//! that `/api/v1` uses, and back: what they change, they change under the same rules, with the same record.
//!
//! What a member of theirs means here stands in `members.rs`; one that would be dropped silently, and with it a
//! protection, is refused by name.

mod duration;
mod error;
mod import;
mod key_said;
mod keys;
mod keys_asked;
mod members;
mod models;
mod named;
mod patch;
mod roles;
mod row;
mod rules;
mod shown;
mod spend;
mod team_members;
mod teams;
mod users;

use axum::body::Bytes;
use axum::routing::{MethodRouter, get, post};
use http::Method;
use serde_json::{Map, Value};
use tollgate_core::access::{Holder, HolderRef};
use tollgate_ledger::{RegistrarError, Shown};

pub(crate) use self::error::in_their_words;
use crate::Sources;
use crate::error::ApiError;
use crate::holders::object;
use crate::who::{Needs, Who};

/// What their paths begin with.
const ROOTS: [&str; 4] = ["/key/", "/user/", "/team/", "/spend/"];

/// Whether a path is one of theirs.
pub(crate) fn is_theirs(path: &str) -> bool {
    ROOTS.iter().any(|root| path.starts_with(root))
}

/// Their routes.
pub(crate) fn routes() -> Vec<(Method, &'static str, Needs, MethodRouter<Sources>)> {
    use Needs::{ToAudit, ToManage, ToManageKeys, ToSeeOwn};
    vec![
        (Method::POST, "/key/generate", ToManageKeys, post(keys::generate)),
        (Method::POST, "/key/update", ToManageKeys, post(keys::update)),
        (Method::POST, "/key/delete", ToManageKeys, post(keys::delete)),
        (Method::POST, "/key/regenerate", ToManageKeys, post(keys::regenerate)),
        (Method::POST, "/key/{key}/regenerate", ToManageKeys, post(keys::regenerate_named)),
        (Method::POST, "/key/block", ToManageKeys, post(keys::block)),
        (Method::POST, "/key/unblock", ToManageKeys, post(keys::unblock)),
        (Method::GET, "/key/info", ToSeeOwn, get(keys_asked::info)),
        (Method::GET, "/key/list", ToSeeOwn, get(keys_asked::list)),
        (Method::POST, "/user/new", ToManage, post(users::new)),
        (Method::POST, "/user/update", ToManage, post(users::update)),
        (Method::POST, "/user/delete", ToManage, post(users::delete)),
        (Method::GET, "/user/info", ToSeeOwn, get(users::info)),
        (Method::GET, "/user/list", ToSeeOwn, get(users::list)),
        (Method::POST, "/team/new", ToManage, post(teams::new)),
        (Method::POST, "/team/update", ToManage, post(teams::update)),
        (Method::POST, "/team/delete", ToManage, post(teams::delete)),
        (Method::POST, "/team/block", ToManage, post(teams::block)),
        (Method::POST, "/team/unblock", ToManage, post(teams::unblock)),
        (Method::POST, "/team/member_add", ToManage, post(team_members::member_add)),
        (Method::POST, "/team/member_delete", ToManage, post(team_members::member_delete)),
        (Method::GET, "/team/info", ToSeeOwn, get(teams::info)),
        (Method::GET, "/team/list", ToSeeOwn, get(teams::list)),
        (Method::GET, "/spend/keys", ToSeeOwn, get(spend::keys)),
        (Method::GET, "/spend/users", ToAudit, get(spend::users)),
        (Method::GET, "/spend/tags", ToAudit, get(spend::tags)),
        (Method::GET, "/spend/logs", ToAudit, get(spend::logs)),
        (Method::POST, "/api/v1/import/litellm", ToManage, post(import::import)),
    ]
}

/// A request of theirs, by member.
type Body = Map<String, Value>;

/// Reads a request. One without a body says nothing.
fn read(body: &Bytes) -> Result<Body, ApiError> {
    if body.is_empty() {
        return Ok(Body::new());
    }
    match object(body)? {
        Value::Object(body) => Ok(body),
        _ => Ok(Body::new()),
    }
}

/// A page of a list, by number.
struct Paged<'a, T> {
    items: &'a [T],
    number: usize,
    size: usize,
    pages: usize,
    total: usize,
}

/// Page `number` of `all`, from 1; 100 at most are on one.
fn paged<T>(all: &[T], number: Option<usize>, size: usize) -> Paged<'_, T> {
    let (number, size) = (number.unwrap_or(1).max(1), size.clamp(1, 100));
    let from = (number - 1).saturating_mul(size).min(all.len());
    let to = from.saturating_add(size).min(all.len());
    Paged { items: &all[from..to], number, size, pages: all.len().div_ceil(size), total: all.len() }
}

/// Changes a holder by what `patch` makes of it. Their routes know no versions: where somebody else was faster, the
/// patch is made anew from what the holder is by then.
async fn change(
    sources: &Sources,
    who: &Who,
    name: &HolderRef,
    patch: impl Fn(&Holder) -> Result<Value, ApiError>,
) -> Result<Shown, ApiError> {
    const TRIES: usize = 5;
    let registrar = &sources.registrar;
    let mut tries = 0;
    loop {
        let missing = || ApiError::from(RegistrarError::Missing(name.clone()));
        let listed = registrar.ledger().get(name).ok_or_else(missing)?;
        let said = patch(&listed.account.holder)?;
        match registrar.change(&who.principal, name, Some(listed.change), said).await {
            Err(RegistrarError::Stale(_)) if tries < TRIES => tries += 1,
            changed => return Ok(changed?),
        }
    }
}

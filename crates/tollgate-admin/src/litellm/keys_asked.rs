//! `/key/info` and `/key/list`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, Key, KeyHash};

use super::{named, paged, shown};
use crate::Sources;
use crate::error::ApiError;
use crate::who::Who;

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
    let own = || who.own().filter(|own| own.kind == HolderKind::Key).map(|own| own.id.to_string());
    let key = asked.key.or_else(own).ok_or_else(|| ApiError::invalid("`key` says which key is asked for"))?;
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
            named == &*key.id || named.parse().is_ok_and(|hash: KeyHash| hash == key.hash)
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

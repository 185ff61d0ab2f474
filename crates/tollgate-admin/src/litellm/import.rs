//! `POST /api/v1/import/litellm`: rows of LiteLLM's tables become holders. What has no equivalent is said, and whoever
//! would be less protected without it is left out unless that is asked for.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollgate_core::access::{Holder, HolderKind, HolderRef};
use tollgate_core::ledger::Usd;
use tollgate_ledger::Presented;

use super::row::{Row, align};
use super::team_members::{Person, join};
use super::{Body, key_said, keys, members, named, teams, users};
use crate::Sources;
use crate::error::ApiError;
use crate::holders::object;
use crate::who::Who;

/// What is brought in. Users come before teams, teams before keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kind: HolderKind,
    /// Rows of the table, as objects.
    rows: Vec<Body>,
    /// Rows of the table of budgets, by name.
    #[serde(default)]
    budgets: Body,
    /// Whether nothing is made.
    #[serde(default)]
    dry_run: bool,
    /// Whether holders are made who lose something.
    #[serde(default)]
    lossy: bool,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// The holder was made, or would be.
    Made,
    /// It was there already.
    There,
    /// It was not made.
    LeftOut,
}

/// What becomes of a row, and why.
#[derive(Debug, Serialize)]
struct Item {
    kind: HolderKind,
    name: String,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What has no equivalent, by member.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<Value>,
    /// What was spent there in the window that is open.
    spent_usd: Usd,
    /// Whether that counts here: it does where there is a budget to count it.
    counts: bool,
}

/// Answers the request.
pub(super) async fn import(
    State(sources): State<Sources>,
    who: Who,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let asked: Asked =
        serde_json::from_value(object(&body)?).map_err(|error| ApiError::invalid(error.to_string()))?;
    let mut items = Vec::new();
    for row in asked.rows.iter().cloned() {
        items.push(one(&sources, &who, &asked, row).await?);
    }
    Ok(Json(json!({ "items": items })))
}

async fn one(sources: &Sources, who: &Who, asked: &Asked, row: Body) -> Result<Item, ApiError> {
    let kind = asked.kind;
    let row = match Row::read(kind, row, &asked.budgets) {
        Ok(row) => row,
        Err(error) => return Ok(left_out(kind, "a row".to_owned(), error)),
    };
    let (said, lost) = match translated(sources, who, kind, &row) {
        Ok(translated) => translated,
        Err(error) => return Ok(left_out(kind, row.name, error)),
    };
    let shown = lost.iter().map(|error| json!({ "member": error.member, "why": error.detail }));
    let mut item = Item {
        kind,
        name: row.name.clone(),
        outcome: Outcome::Made,
        why: None,
        lost: shown.collect(),
        spent_usd: Usd::from_nano(row.spent),
        counts: said["budgets"].as_array().is_some_and(|budgets| !budgets.is_empty())
            && is_open(sources, &row),
    };
    let known = known(sources, kind, &row);
    if known.is_some() {
        item.outcome = Outcome::There;
    } else if let Some(why) = reason_against(sources, &row, &lost, asked.lossy) {
        (item.outcome, item.why) = (Outcome::LeftOut, Some(why));
        return Ok(item);
    }
    let made = match known {
        Some(name) => Ok(name),
        None => make(sources, who, kind, &row, said, asked.dry_run).await,
    };
    match made {
        Ok(name) if !asked.dry_run => carry_over(sources, who, &row, &name)?,
        Ok(_) => {}
        Err(error) => (item.outcome, item.why) = (Outcome::LeftOut, Some(error.detail)),
    }
    Ok(item)
}

fn left_out(kind: HolderKind, name: String, error: ApiError) -> Item {
    let (outcome, why) = (Outcome::LeftOut, Some(error.detail));
    Item { kind, name, outcome, why, lost: Vec::new(), spent_usd: Usd::default(), counts: false }
}

/// What is said of a holder here, and what of a row has no equivalent.
fn translated(
    sources: &Sources,
    who: &Who,
    kind: HolderKind,
    row: &Row,
) -> Result<(Value, Vec<ApiError>), ApiError> {
    let own: &[&str] = match kind {
        HolderKind::Key => keys::OWN,
        HolderKind::User => users::OWN,
        HolderKind::Team => &[teams::OWN, &["members_with_roles"]].concat(),
    };
    let (mut told, mut lost) = members::equivalent(row.said.clone(), own);
    let mut said = loop {
        let said = match kind {
            HolderKind::Key => key_said::said(sources, who, &told, None),
            HolderKind::User => users::said(&told, None),
            HolderKind::Team => teams::said(&told, None),
        };
        // What cannot be said here is lost, and the rest is tried without it.
        match said {
            Ok(said) => break said,
            Err(error) => {
                let member = error.member.as_deref().unwrap_or_default();
                let member = member.split('.').next().unwrap_or_default().to_owned();
                if told.remove(&member).is_none() {
                    return Err(error);
                }
                lost.push(error);
            }
        }
    };
    if let Some(ends) = row.expires {
        said["expires_at"] = json!(ends);
    }
    if let Some(reset_at) = row.reset_at {
        align(&mut said, reset_at);
    }
    Ok((said, lost))
}

/// The holder, where it is there already.
fn known(sources: &Sources, kind: HolderKind, row: &Row) -> Option<HolderRef> {
    let ledger = sources.registrar.ledger();
    let listed = match &row.presented {
        Some((hash, _)) => ledger.key(*hash),
        None => ledger.get(&named::name(kind, &row.name)),
    };
    listed.map(|listed| listed.account.holder.name())
}

/// Why a holder is not made, if so.
fn reason_against(sources: &Sources, row: &Row, lost: &[ApiError], lossy: bool) -> Option<String> {
    let now = sources.clock.now();
    if let Some(ended) = row.expires.filter(|ends| *ends <= now) {
        return Some(format!("it ended at {ended}"));
    }
    let first = lost.first().filter(|_| !lossy)?;
    Some(format!("{}; it is made without that when losses are accepted", first.detail))
}

async fn make(
    sources: &Sources,
    who: &Who,
    kind: HolderKind,
    row: &Row,
    said: Value,
    dry_run: bool,
) -> Result<HolderRef, ApiError> {
    let id = (kind != HolderKind::Key).then_some(row.name.as_str());
    if dry_run {
        sources.registrar.could_make(kind, id, said)?;
        return Ok(named::name(kind, &row.name));
    }
    if let Some(user) = said.get("user").and_then(Value::as_str) {
        users::make_if_missing(sources, who, user).await?;
    }
    let presented = match &row.presented {
        Some((hash, prefix)) => Presented::Known { hash: *hash, prefix: prefix.clone() },
        None => Presented::New,
    };
    let made = sources.registrar.create_with(&who.principal, kind, id, said, presented).await?;
    let name = made.shown.holder.name();
    if matches!(made.shown.holder, Holder::Team(_)) {
        for person in Person::read("members_with_roles", row.said.get("members_with_roles"))? {
            let member = person.member(sources, who).await?;
            join(sources, who, &name, &member).await?;
        }
    }
    Ok(name)
}

/// Whether the window in which a row's spend was counted has not ended: LiteLLM begins the next one late.
fn is_open(sources: &Sources, row: &Row) -> bool {
    row.reset_at.is_none_or(|ends| ends > sources.clock.now())
}

/// What was spent there counts here.
fn carry_over(sources: &Sources, who: &Who, row: &Row, name: &HolderRef) -> Result<(), ApiError> {
    if row.spent == 0 || !is_open(sources, row) {
        return Ok(());
    }
    let spent = super::rules::BUDGETS.map(|(budget, _)| (budget, row.spent));
    Ok(sources.registrar.carry_over(&who.principal, name, &spent)?)
}

//! `/spend/logs`, `/spend/keys`, `/spend/users` and `/spend/tags`: the sums that `/api/v1/spend` answers with, and the
//! calls of `/api/v1/calls`, in LiteLLM's shapes.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, HolderRef};
use tollgate_core::ledger::Usd;
use tollgate_core::query::{By, CallFilter, CallRow, Dimension, SpendFilter, SpendRow};

use super::named;
use super::shown::{self, dollars};
use crate::Sources;
use crate::error::ApiError;
use crate::spend::seen_by;
use crate::who::Who;

/// The most rows of an answer.
const MOST: u32 = 10_000;

/// Which spend is asked for. A filter that is not known would give more than was asked for, so it is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    api_key: Option<String>,
    user_id: Option<String>,
    request_id: Option<String>,
    start_date: Option<Date>,
    end_date: Option<Date>,
    summarize: Option<bool>,
    limit: Option<u32>,
}

type Question = Result<Query<Asked>, QueryRejection>;

impl Asked {
    /// Reads the question. A key may be named in any of their ways; one that is gone, by its name only.
    fn read(sources: &Sources, who: &Who, question: Question) -> Result<Self, ApiError> {
        let Query(mut asked) = question.map_err(|error| ApiError::invalid(error.body_text()))?;
        if let Some(named) = &asked.api_key
            && let Ok(listed) = named::key(sources, who, named)
        {
            asked.api_key = Some(listed.account.holder.name().id.to_string());
        }
        Ok(asked)
    }

    /// From the first instant of the first day to the last of the last, in UTC.
    fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let at = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
        let after = self.end_date.and_then(|date| date.checked_add(1.day()).ok());
        (self.start_date.and_then(at), after.and_then(at))
    }

    fn filter(&self, by: &[Dimension]) -> Result<SpendFilter, ApiError> {
        let by: Vec<&str> = by.iter().map(|dimension| dimension.name()).collect();
        let by: By = by.join(",").parse().map_err(ApiError::invalid)?;
        let (since, until) = self.times();
        let (key, user) = (self.api_key.clone(), self.user_id.clone());
        let limit = Some(self.limit.unwrap_or(MOST));
        Ok(SpendFilter { since, until, by, key, user, limit, ..SpendFilter::default() })
    }
}

/// `GET /spend/keys`: keys, the dearest first.
pub(super) async fn keys(
    State(sources): State<Sources>,
    who: Who,
    question: Question,
) -> Result<Json<Value>, ApiError> {
    of_holders(&sources, &who, &Asked::read(&sources, &who, question)?, Dimension::Key, HolderKind::Key).await
}

/// `GET /spend/users`: users, the dearest first.
pub(super) async fn users(
    State(sources): State<Sources>,
    who: Who,
    question: Question,
) -> Result<Json<Value>, ApiError> {
    of_holders(&sources, &who, &Asked::read(&sources, &who, question)?, Dimension::User, HolderKind::User)
        .await
}

async fn of_holders(
    sources: &Sources,
    who: &Who,
    asked: &Asked,
    by: Dimension,
    kind: HolderKind,
) -> Result<Json<Value>, ApiError> {
    let filter = seen_by(who, asked.filter(&[by])?)?;
    let spend = sources.records.spend(filter).await?;
    let ledger = sources.registrar.ledger();
    let rows = spend.rows.iter().filter_map(|row| Some((row, row.of(by).filter(|id| !id.is_empty())?)));
    let rows = rows.map(|(row, id)| {
        let listed = ledger.get(&HolderRef { kind, id: id.into() });
        let listed = listed.filter(|listed| who.sees(&listed.account.holder));
        // Whoever is gone, or is no holder, has spent all the same.
        let name = if kind == HolderKind::Key { "token" } else { "user_id" };
        let mut shown =
            listed.map_or_else(|| json!({ name: id }), |listed| shown::holder(sources, who, &listed.account));
        shown["spend"] = cost(row.cost_nano_usd);
        shown
    });
    Ok(Json(rows.collect()))
}

/// `GET /spend/tags`.
pub(super) async fn tags(
    State(sources): State<Sources>,
    who: Who,
    question: Question,
) -> Result<Json<Value>, ApiError> {
    let spend =
        sources.records.spend(Asked::read(&sources, &who, question)?.filter(&[Dimension::Tag])?).await?;
    let rows = spend.rows.iter().map(|row| {
        json!({
            "individual_request_tag": row.of(Dimension::Tag),
            "log_count": row.calls,
            "total_spend": cost(row.cost_nano_usd),
        })
    });
    Ok(Json(rows.collect()))
}

/// `GET /spend/logs`: days where dates are given, unless `summarize=false`; otherwise calls, the latest first.
pub(super) async fn logs(
    State(sources): State<Sources>,
    who: Who,
    question: Question,
) -> Result<Json<Value>, ApiError> {
    let asked = Asked::read(&sources, &who, question)?;
    if let Some(id) = &asked.request_id {
        let id = id.parse().map_err(|_| ApiError::of("request_id", "this is no call's id"))?;
        let Some(story) = sources.records.call(id).await? else { return Ok(Json(json!([]))) };
        let opened: Value = story
            .entries
            .first()
            .and_then(|entry| serde_json::from_str(entry.get()).ok())
            .unwrap_or_default();
        let trace = opened["trace"]["trace_id"].as_str().map(str::to_owned);
        let filter = CallFilter { trace, limit: Some(1_000), ..CallFilter::default() };
        let calls = sources.records.calls(filter).await?.calls;
        let own = calls.iter().filter(|call| call.call_id == id.to_string());
        return Ok(Json(own.map(log).collect()));
    }
    if asked.start_date.is_some() && asked.end_date.is_some() && asked.summarize != Some(false) {
        return by_day(&sources, &asked).await;
    }
    let (since, until) = asked.times();
    let key = asked.api_key.clone();
    let filter = CallFilter {
        since,
        until,
        key,
        user: asked.user_id.clone(),
        limit: Some(asked.limit.unwrap_or(1_000)),
        ..CallFilter::default()
    };
    let page = sources.records.calls(filter).await?;
    Ok(Json(page.calls.iter().map(log).collect()))
}

/// A day each, with what its users and models have spent.
async fn by_day(sources: &Sources, asked: &Asked) -> Result<Json<Value>, ApiError> {
    let mut days: BTreeMap<String, Value> = BTreeMap::new();
    let total = sources.records.spend(asked.filter(&[Dimension::Day])?).await?;
    for row in &total.rows {
        let day = row.of(Dimension::Day).unwrap_or_default();
        let shown = json!({ "startTime": day, "spend": cost(row.cost_nano_usd), "users": {}, "models": {} });
        days.insert(day.to_owned(), shown);
    }
    for (by, member) in [(Dimension::User, "users"), (Dimension::Model, "models")] {
        let each = sources.records.spend(asked.filter(&[Dimension::Day, by])?).await?;
        for row in &each.rows {
            let (day, of) = (row.of(Dimension::Day).unwrap_or_default(), name(row, by));
            if let Some(day) = days.get_mut(day).filter(|_| !of.is_empty()) {
                day[member][of] = cost(row.cost_nano_usd);
            }
        }
    }
    Ok(Json(days.into_values().collect()))
}

fn name(row: &SpendRow, by: Dimension) -> &str {
    row.of(by).unwrap_or_default()
}

/// A call as a row of their log.
fn log(call: &CallRow) -> Value {
    let begun: Option<Timestamp> = call.at.parse().ok();
    let ended = begun.and_then(|at| at.checked_add(call.duration_us.microseconds()).ok());
    json!({
        "request_id": call.call_id,
        "call_type": call.surface,
        "api_key": call.principal,
        "spend": call.cost_nano_usd.map(cost),
        "total_tokens": call.input_tokens.saturating_add(call.output_tokens),
        "prompt_tokens": call.input_tokens,
        "completion_tokens": call.output_tokens,
        "startTime": call.at,
        "endTime": ended,
        "model": call.deployment,
        "model_group": call.model,
        "user": call.user,
        "team_id": call.team,
        "status": if call.outcome == "ok" { "success" } else { "failure" },
    })
}

/// Nano-dollars as a number of dollars.
fn cost(nano: i64) -> Value {
    dollars(Usd::from_nano(u64::try_from(nano).unwrap_or(0)))
}

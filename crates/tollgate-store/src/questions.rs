//! What both backends make of a question before they ask their database.

use serde_json::value::RawValue;
use tollgate_core::query::{CallFilter, CallStory};

use crate::month::{Month, first_id};

/// A condition on a table of calls: a column, how it is compared, and with what.
pub(crate) type Condition = (&'static str, String);

/// The conditions of `filter`, each with the text that its place stands for.
pub(crate) fn conditions(filter: &CallFilter) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut add = |what, value: Option<String>| conditions.extend(value.map(|value| (what, value)));
    add("call_id >= ", filter.since.map(first_id));
    add("call_id < ", filter.until.map(first_id));
    add("call_id < ", filter.before.clone());
    add("principal = ", filter.key.clone());
    add("user_id = ", filter.user.clone());
    add("team = ", filter.team.clone());
    add("model = ", filter.model.clone());
    add("deployment = ", filter.deployment.clone());
    add("outcome = ", filter.outcome.clone());
    match filter.fault.as_deref() {
        Some("any") => add("fault <> ", Some(String::new())),
        fault => add("fault = ", fault.map(str::to_owned)),
    }
    add("trace_id = ", filter.trace.clone());
    conditions
}

/// Of `months`, those that `filter` can find something in, the latest first.
pub(crate) fn months_of(filter: &CallFilter, mut months: Vec<Month>) -> Vec<Month> {
    months.sort_unstable_by(|a, b| b.cmp(a));
    let first = filter.since.map(Month::of);
    let last = filter.before.as_deref().and_then(Month::of_call);
    let last = [last, filter.until.map(Month::of)].into_iter().flatten().min();
    months
        .retain(|month| first.is_none_or(|first| *month >= first) && last.is_none_or(|last| *month <= last));
    months
}

/// A call's entries in order.
pub(crate) fn story(
    call_id: String,
    instance: String,
    opened: &str,
    between: &str,
    closed: &str,
) -> CallStory {
    let lines = std::iter::once(opened).chain(between.lines()).chain(std::iter::once(closed));
    let raw = |line: &str| RawValue::from_string(line.to_owned()).ok();
    CallStory { call_id, instance, entries: lines.filter(|line| !line.is_empty()).filter_map(raw).collect() }
}

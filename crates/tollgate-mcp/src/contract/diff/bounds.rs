//! Types, allowed values, ranges and counts.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

use super::schema::{Change, Comparison, Sense};
use super::{Class, Classes};
use crate::place::Place;

/// Counts, the keyword's value without it, and whether more of it accepts more.
pub(super) const COUNTS: [(&str, Option<u64>, bool); 8] = [
    ("minLength", Some(0), false),
    ("minItems", Some(0), false),
    ("minProperties", Some(0), false),
    ("minContains", Some(1), false),
    ("maxLength", None, true),
    ("maxItems", None, true),
    ("maxProperties", None, true),
    ("maxContains", None, true),
];

pub(super) fn compare<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    old: &'a Value,
    new: &'a Value,
    sense: Sense,
) {
    types(to, place, old, new, sense);
    values(to, place, old, new, sense);
    range(to, place, old, new, ["minimum", "exclusiveMinimum"], Ordering::Less, sense);
    range(to, place, old, new, ["maximum", "exclusiveMaximum"], Ordering::Greater, sense);
    for (keyword, without, more_is_more) in COUNTS {
        count(to, place, keyword, (old.get(keyword), new.get(keyword)), without, more_is_more, sense);
    }
}

fn types<'a>(to: &mut Comparison<'a>, place: &Place, old: &'a Value, new: &'a Value, sense: Sense) {
    let (before, after) = (old.get("type"), new.get("type"));
    if before == after {
        return;
    }
    let change = match (accepted_types(before), accepted_types(after)) {
        (Some(old), Some(new)) => between_sets(&old, &new),
        _ => Change::BOTH,
    };
    to.record(place.member("type"), before, after, change, sense);
}

/// The types that `value` lets through; numbers are whole ones and others.
fn accepted_types(value: Option<&Value>) -> Option<BTreeSet<&str>> {
    let names: Vec<&str> = match value {
        None => vec!["null", "boolean", "number", "string", "array", "object"],
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().map(Value::as_str).collect::<Option<_>>()?,
        Some(_) => return None,
    };
    let mut set: BTreeSet<&str> = names.into_iter().collect();
    if set.remove("number") {
        set.extend(["integer", "fraction"]);
    }
    Some(set)
}

fn between_sets<T: Ord>(old: &BTreeSet<T>, new: &BTreeSet<T>) -> Change {
    Change { widened: !new.is_subset(old), narrowed: !old.is_subset(new) }
}

/// `enum` and `const`.
fn values<'a>(to: &mut Comparison<'a>, place: &Place, old: &'a Value, new: &'a Value, sense: Sense) {
    let change = match (allowed(old), allowed(new)) {
        (Ok(None), Ok(None)) => return,
        (Ok(Some(old)), Ok(Some(new))) => between_sets(&old, &new),
        (Ok(None), Ok(Some(_))) => Change::NARROWED,
        (Ok(Some(_)), Ok(None)) => Change::WIDENED,
        _ => Change::BOTH,
    };
    for keyword in ["enum", "const"] {
        let (before, after) = (old.get(keyword), new.get(keyword));
        if before == after {
            continue;
        }
        if change.is_any() {
            to.record(place.member(keyword), before, after, change, sense);
        } else {
            to.push(place.member(keyword), before, after, Classes::only(Class::Cosmetic));
        }
    }
}

/// The canonical texts of the values that are allowed; none where all are.
fn allowed(schema: &Value) -> Result<Option<BTreeSet<String>>, ()> {
    let listed = match schema.get("enum") {
        None => None,
        Some(Value::Array(values)) => Some(values.iter().map(Value::to_string).collect::<BTreeSet<_>>()),
        Some(_) => return Err(()),
    };
    let only = schema.get("const").map(|value| BTreeSet::from([value.to_string()]));
    Ok(match (listed, only) {
        (Some(listed), Some(only)) => Some(listed.intersection(&only).cloned().collect()),
        (listed, only) => listed.or(only),
    })
}

/// A lower or an upper end. `looser` is how an end that accepts more compares with one that accepts less.
fn range<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    old: &'a Value,
    new: &'a Value,
    keywords: [&str; 2],
    looser: Ordering,
    sense: Sense,
) {
    if keywords.iter().all(|keyword| old.get(keyword) == new.get(keyword)) {
        return;
    }
    let change = match (end(old, keywords, looser), end(new, keywords, looser)) {
        (Ok(old), Ok(new)) => between_ends(old, new, looser),
        _ => Change::BOTH,
    };
    for keyword in keywords {
        let (before, after) = (old.get(keyword), new.get(keyword));
        if before != after {
            // An end that another one makes idle: it says nothing, and so nothing is judged of it.
            let change = if change.is_any() { change } else { Change::BOTH };
            to.record(place.member(keyword), before, after, change, sense);
        }
    }
}

/// An end, and whether it is left out.
type End = (f64, bool);

/// The stricter of the two ends; `Err` where one is no number, or not exact as a double.
fn end(schema: &Value, [inclusive, exclusive]: [&str; 2], looser: Ordering) -> Result<Option<End>, ()> {
    let read = |keyword: &str| match schema.get(keyword) {
        None => Ok(None),
        Some(value) => exact(value).map(Some).ok_or(()),
    };
    let ends = (read(inclusive)?.map(|end| (end, false)), read(exclusive)?.map(|end| (end, true)));
    Ok(match ends {
        (Some(a), Some(b)) => Some(if between_ends(Some(a), Some(b), looser).narrowed { b } else { a }),
        (a, b) => a.or(b),
    })
}

/// `value` as a double, where that loses nothing.
fn exact(value: &Value) -> Option<f64> {
    const EXACT: u64 = 1 << 53;
    if value.is_f64() || value.as_i64().is_some_and(|whole| whole.unsigned_abs() <= EXACT) {
        value.as_f64()
    } else {
        None
    }
}

fn between_ends(old: Option<End>, new: Option<End>, looser: Ordering) -> Change {
    match (old, new) {
        (None, None) => Change::default(),
        (None, Some(_)) => Change::NARROWED,
        (Some(_), None) => Change::WIDENED,
        (Some((old, old_open)), Some((new, new_open))) => match new.partial_cmp(&old) {
            Some(Ordering::Equal) if old_open == new_open => Change::default(),
            Some(Ordering::Equal) if new_open => Change::NARROWED,
            Some(Ordering::Equal) => Change::WIDENED,
            Some(order) if order == looser => Change::WIDENED,
            Some(_) => Change::NARROWED,
            None => Change::BOTH,
        },
    }
}

fn count<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    keyword: &str,
    (old, new): (Option<&'a Value>, Option<&'a Value>),
    without: Option<u64>,
    more_is_more: bool,
    sense: Sense,
) {
    if old == new {
        return;
    }
    // No upper end is above every upper end.
    let read = |value: Option<&Value>| match value {
        None => Some(without.unwrap_or(u64::MAX)),
        Some(value) => value.as_u64(),
    };
    let change = match (read(old), read(new)) {
        // What is the case without the keyword, said or not said.
        (Some(before), Some(after)) if before == after => {
            return to.push(place.member(keyword), old, new, Classes::only(Class::Cosmetic));
        }
        (Some(old), Some(new)) if (old < new) == more_is_more => Change::WIDENED,
        (Some(_), Some(_)) => Change::NARROWED,
        _ => Change::BOTH,
    };
    to.record(place.member(keyword), old, new, change, sense);
}

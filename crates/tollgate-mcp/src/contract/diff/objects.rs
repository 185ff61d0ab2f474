//! Members of objects.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::schema::{Change, Comparison, Sense, union};
use crate::place::Place;

/// What becomes of members that are not listed.
#[derive(Clone, Copy, PartialEq)]
enum Others<'a> {
    /// They are refused.
    Refused,
    /// Some are listed, and nothing is said of others.
    Unsaid,
    /// They are of this schema.
    Like(&'a Value),
    /// Anything is accepted.
    Anything,
}

pub(super) fn compare<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    old: &'a Value,
    new: &'a Value,
    sense: Sense,
) {
    let others = (others(old), others(new));
    properties(to, place, (old, new), others, sense);
    patterns(to, place, old, new, sense);
    additional(to, place, (old, new), others, sense);
    required(to, place, old, new, sense);
    named(
        to,
        &place.member("dependentSchemas"),
        old.get("dependentSchemas"),
        new.get("dependentSchemas"),
        sense,
    );
    if let (Some(before), Some(after)) = (old.get("propertyNames"), new.get("propertyNames")) {
        to.schemas(&place.member("propertyNames"), before, after, sense);
    } else if old.get("propertyNames") != new.get("propertyNames") {
        to.added_or_removed(
            place.member("propertyNames"),
            old.get("propertyNames"),
            new.get("propertyNames"),
            sense,
        );
    }
}

fn others(schema: &Value) -> Others<'_> {
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => Others::Refused,
        Some(Value::Bool(true)) => Others::Anything,
        Some(like) => Others::Like(like),
        None if schema.get("properties").is_some() => Others::Unsaid,
        None => Others::Anything,
    }
}

fn members<'a>(schema: &'a Value, keyword: &str) -> Option<&'a Map<String, Value>> {
    schema.get(keyword).and_then(Value::as_object)
}

fn properties<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    (old, new): (&'a Value, &'a Value),
    others: (Others<'a>, Others<'a>),
    sense: Sense,
) {
    let place = place.member("properties");
    let (before, after) = (members(old, "properties"), members(new, "properties"));
    let find =
        |members: Option<&'a Map<String, Value>>, name: &str| members.and_then(|members| members.get(name));
    let patterns = members(old, "patternProperties").is_some() || members(new, "patternProperties").is_some();
    let added = after.into_iter().flat_map(Map::keys).filter(|name| find(before, name).is_none());
    for name in before.into_iter().flat_map(Map::keys).chain(added) {
        let here = place.member(name);
        match (find(before, name), find(after, name)) {
            (Some(old), Some(new)) => to.schemas(&here, old, new, sense),
            (None, added @ Some(_)) => {
                let change = if patterns { Change::BOTH } else { appears(others.0) };
                to.record(here, None, added, change, strict(sense));
            }
            (removed, _) => {
                let appears = if patterns { Change::BOTH } else { appears(others.1) };
                let change = Change { widened: appears.narrowed, narrowed: appears.widened };
                to.record(here, removed, None, change, strict(sense));
            }
        }
    }
}

/// What it means that a member is listed, where others were like this.
fn appears(others: Others<'_>) -> Change {
    match others {
        Others::Refused | Others::Unsaid => Change::WIDENED,
        Others::Like(_) | Others::Anything => Change::BOTH,
    }
}

/// The reading of what is unsaid holds where more means more.
const fn strict(sense: Sense) -> Sense {
    match sense {
        Sense::Same => Sense::Same,
        Sense::Opposite | Sense::Unknown => Sense::Unknown,
    }
}

fn patterns<'a>(to: &mut Comparison<'a>, place: &Place, old: &'a Value, new: &'a Value, sense: Sense) {
    let place = place.member("patternProperties");
    let (Some(before), Some(after)) = (members(old, "patternProperties"), members(new, "patternProperties"))
    else {
        return;
    };
    for pattern in union(before, after) {
        let here = place.member(pattern);
        match (before.get(pattern), after.get(pattern)) {
            (Some(old), Some(new)) => to.schemas(&here, old, new, sense),
            (old, new) => to.record(here, old, new, Change::BOTH, sense),
        }
    }
}

fn additional<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    (old, new): (&'a Value, &'a Value),
    others: (Others<'a>, Others<'a>),
    sense: Sense,
) {
    let here = place.member("additionalProperties");
    let (before, after) = (old.get("additionalProperties"), new.get("additionalProperties"));
    let change = match others {
        (Others::Like(old), Others::Like(new)) => return to.schemas(&here, old, new, sense),
        (old, new) if old == new => return,
        (Others::Refused, _) | (_, Others::Anything) => Change::WIDENED,
        (_, Others::Refused) | (Others::Anything, _) => Change::NARROWED,
        (_, Others::Unsaid | Others::Like(_)) => Change::BOTH,
    };
    // Where the keyword is the same, it is the list of properties that came or went.
    let here = if before == after { place.member("properties") } else { here };
    if before == after && to.has(&here) {
        return;
    }
    let shown =
        if before == after { (old.get("properties"), new.get("properties")) } else { (before, after) };
    to.record(here, shown.0, shown.1, change, strict(sense));
}

fn required<'a>(to: &mut Comparison<'a>, place: &Place, old: &'a Value, new: &'a Value, sense: Sense) {
    let place = place.member("required");
    let (before, after) = (old.get("required"), new.get("required"));
    if before == after {
        return;
    }
    let names = |value: Option<&'a Value>| -> Option<BTreeSet<&'a str>> {
        match value {
            None => Some(BTreeSet::new()),
            Some(value) => value.as_array()?.iter().map(Value::as_str).collect(),
        }
    };
    match (names(before), names(after)) {
        (Some(old), Some(new)) => {
            let change = Change { widened: !old.is_subset(&new), narrowed: !new.is_subset(&old) };
            to.record(place, before, after, change, sense);
        }
        _ => to.record(place, before, after, Change::BOTH, sense),
    }
}

/// Schemas by name, each of which only refuses.
fn named<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    sense: Sense,
) {
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (old, new) {
        for name in union(before, after) {
            match (before.get(name), after.get(name)) {
                (Some(old), Some(new)) => to.schemas(&place.member(name), old, new, sense),
                (old, new) => to.added_or_removed(place.member(name), old, new, sense),
            }
        }
    } else if old != new {
        to.added_or_removed(place.clone(), old, new, sense);
    }
}

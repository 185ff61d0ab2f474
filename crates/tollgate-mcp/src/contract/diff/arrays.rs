//! Items of arrays: `prefixItems` and `items` of draft 2020-12, `items` and `additionalItems` of draft-07.

use serde_json::Value;

use super::schema::{Change, Comparison, Sense};
use crate::place::Place;

/// The keywords that say what items are.
const KEYWORDS: [&str; 3] = ["prefixItems", "items", "additionalItems"];

pub(super) fn compare<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    old: &'a Value,
    new: &'a Value,
    sense: Sense,
) {
    contains(to, place, old, new, sense);
    if lengths(old) == lengths(new) {
        for keyword in KEYWORDS {
            one(to, &place.member(keyword), old.get(keyword), new.get(keyword), sense);
        }
        return;
    }
    // Where the list of first items grows or shrinks, what the rest means moves.
    for keyword in KEYWORDS {
        let (before, after) = (old.get(keyword), new.get(keyword));
        if before != after {
            to.record(place.member(keyword), before, after, Change::BOTH, Sense::Unknown);
        }
    }
}

/// How many items have a schema of their own, by either draft's keyword.
fn lengths(schema: &Value) -> [Option<usize>; 2] {
    ["prefixItems", "items"].map(|keyword| schema.get(keyword).and_then(Value::as_array).map(Vec::len))
}

fn one<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    sense: Sense,
) {
    match (old, new) {
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            let pairs = old.iter().zip(new).enumerate();
            pairs.for_each(|(index, (old, new))| to.schemas(&place.item(index), old, new, sense));
        }
        (Some(old), Some(new)) => to.schemas(place, old, new, sense),
        (old, new) if old != new => to.added_or_removed(place.clone(), old, new, sense),
        _ => {}
    }
}

fn contains<'a>(to: &mut Comparison<'a>, place: &Place, old: &'a Value, new: &'a Value, sense: Sense) {
    // With an upper end, a schema that fits more items accepts fewer arrays.
    let bounded = old.get("maxContains").is_some() || new.get("maxContains").is_some();
    let sense = if bounded { Sense::Unknown } else { sense };
    one(to, &place.member("contains"), old.get("contains"), new.get("contains"), sense);
}

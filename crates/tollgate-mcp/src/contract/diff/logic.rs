//! Keywords that put schemas together.

use std::collections::BTreeMap;

use serde_json::Value;

use super::schema::{Change, Comparison, Sense};
use super::{Class, Classes};
use crate::place::Place;

pub(super) fn compare<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    old: &'a Value,
    new: &'a Value,
    sense: Sense,
) {
    // Of each, the sense of a change inside it, and of its coming or going.
    for (keyword, inside, whole) in [
        ("not", sense.swapped(), sense),
        // Which branch a value takes has changed with it.
        ("if", Sense::Unknown, Sense::Unknown),
        ("then", sense, sense),
        ("else", sense, sense),
        ("unevaluatedProperties", Sense::Unknown, Sense::Unknown),
        ("unevaluatedItems", Sense::Unknown, Sense::Unknown),
    ] {
        match (old.get(keyword), new.get(keyword)) {
            (Some(old), Some(new)) => to.schemas(&place.member(keyword), old, new, inside),
            (old, new) if old != new => to.added_or_removed(place.member(keyword), old, new, whole),
            _ => {}
        }
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let here = place.member(keyword);
        match (old.get(keyword), new.get(keyword)) {
            (Some(Value::Array(old)), Some(Value::Array(new))) => list(to, &here, keyword, (old, new), sense),
            (old, new) if old != new => to.added_or_removed(here, old, new, sense),
            _ => {}
        }
    }
}

/// Compares the members of a list. Equal ones are found wherever they stand; the others are compared in order.
fn list<'a>(
    to: &mut Comparison<'a>,
    place: &Place,
    keyword: &str,
    (old, new): (&'a [Value], &'a [Value]),
    sense: Sense,
) {
    let below = if keyword == "oneOf" { Sense::Unknown } else { sense };
    let Paired { same, old: left, new: right } = pair(old, new);
    let moved = same.iter().any(|(before, after)| before != after);
    for (before, after) in same {
        to.schemas(&place.item(after), &old[before], &new[after], below);
    }
    for (before, after) in left.iter().zip(&right) {
        to.schemas(&place.item(*after), &old[*before], &new[*after], below);
    }
    let common = left.len().min(right.len());
    for index in &left[common..] {
        to.record(place.item(*index), Some(&old[*index]), None, without(keyword), below);
    }
    for index in &right[common..] {
        let change = without(keyword);
        let change = Change { widened: change.narrowed, narrowed: change.widened };
        to.record(place.item(*index), None, Some(&new[*index]), change, below);
    }
    if moved && !to.has(place) {
        let whole = |items: &[Value]| Value::Array(items.to_vec());
        to.push(place.clone(), Some(&whole(old)), Some(&whole(new)), Classes::only(Class::Cosmetic));
    }
}

/// What it means that a member of the list is gone.
fn without(keyword: &str) -> Change {
    match keyword {
        "allOf" => Change::WIDENED,
        "anyOf" => Change::NARROWED,
        _ => Change::BOTH,
    }
}

/// Which members of two lists are equal, by index, and which are left over.
struct Paired {
    same: Vec<(usize, usize)>,
    old: Vec<usize>,
    new: Vec<usize>,
}

fn pair(old: &[Value], new: &[Value]) -> Paired {
    let mut free: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, value) in new.iter().enumerate().rev() {
        free.entry(value.to_string()).or_default().push(index);
    }
    let mut paired = Paired { same: Vec::new(), old: Vec::new(), new: Vec::new() };
    for (index, value) in old.iter().enumerate() {
        match free.get_mut(&value.to_string()).and_then(Vec::pop) {
            Some(other) => paired.same.push((index, other)),
            None => paired.old.push(index),
        }
    }
    paired.new = free.into_values().flatten().collect();
    paired.new.sort_unstable();
    paired
}

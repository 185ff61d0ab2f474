//! Changes of a schema.
//!
//! A schema is a conjunction of its keywords, so each is judged by itself: a value that was valid and is not any more is
//! refused by some keyword, and the change of that keyword says `narrowed`. Keywords that read one another are judged
//! together. Under `not` the directions are swapped; where a keyword is neither of the two (`if`, `oneOf`, `unevaluated…`),
//! every change below it is both.
//!
//! One reading is not that of JSON Schema: where `properties` are listed and nothing is said of others, the others are taken
//! as not accepted, though a validator would let them pass. So an optional property that is added widens, as people mean it,
//! and one that is removed narrows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Class, Classes, Difference, arrays, bounds, logic, names, objects, texts};
use crate::keywords::{Holds, holds};
use crate::place::Place;

/// How a change of a part is one of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sense {
    /// The same.
    Same,
    /// The opposite.
    Opposite,
    /// Not known.
    Unknown,
}

impl Sense {
    pub(super) const fn swapped(self) -> Self {
        match self {
            Self::Same => Self::Opposite,
            Self::Opposite => Self::Same,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// What a change does to the values that are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) widened: bool,
    pub(super) narrowed: bool,
}

impl Change {
    pub(super) const WIDENED: Self = Self { widened: true, narrowed: false };
    pub(super) const NARROWED: Self = Self { widened: false, narrowed: true };
    pub(super) const BOTH: Self = Self { widened: true, narrowed: true };

    pub(super) const fn is_any(self) -> bool {
        self.widened || self.narrowed
    }

    fn classes(self, sense: Sense) -> Classes {
        let Self { widened, narrowed } = match sense {
            Sense::Same => self,
            Sense::Opposite => Self { widened: self.narrowed, narrowed: self.widened },
            Sense::Unknown => Self::BOTH,
        };
        let classes = if widened { Classes::only(Class::Widened) } else { Classes::NONE };
        if narrowed { classes.and(Class::Narrowed) } else { classes }
    }
}

/// Schemas are followed so deep, references included; what is deeper is not judged.
const DEEPEST: usize = 200;

/// A comparison of two whole schemas.
pub(super) struct Comparison<'a> {
    roots: (&'a Value, &'a Value),
    root: Place,
    found: Vec<Difference>,
    /// Places at or below which something was found, so that nothing is passed over in silence; and where it was found
    /// right there, which of `found` it is.
    touched: BTreeMap<String, Option<usize>>,
    /// Targets of references that were compared.
    followed: BTreeSet<(String, Sense)>,
    /// Definitions that may be referred to.
    definitions: Vec<(Place, &'a Value, &'a Value)>,
    depth: usize,
}

/// The changes from `old` to `new`, both in canonical form.
pub(super) fn compare(root: &Place, old: &Value, new: &Value) -> Vec<Difference> {
    let mut comparison = Comparison {
        roots: (old, new),
        root: root.clone(),
        found: Vec::new(),
        touched: BTreeMap::new(),
        followed: BTreeSet::new(),
        definitions: Vec::new(),
        depth: 0,
    };
    let sense = if is_opaque(old) || is_opaque(new) { Sense::Unknown } else { Sense::Same };
    comparison.followed.insert((root.as_str().to_owned(), sense));
    comparison.schemas(root, old, new, sense);
    comparison.remaining_definitions();
    comparison.found
}

/// Whether a schema refers to parts of itself by other means than a plain pointer, so that it cannot be known where a part
/// is used.
fn is_opaque(schema: &Value) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(is_opaque),
        Value::Object(members) => members.iter().any(|(name, value)| match name.as_str() {
            "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef" | "$recursiveAnchor" | "$id" => {
                true
            }
            "$ref" => value.as_str().is_none_or(|target| pointer(target).is_none()) || is_opaque(value),
            _ => is_opaque(value),
        }),
        _ => false,
    }
}

/// The pointer in a reference within the same document.
fn pointer(reference: &str) -> Option<&str> {
    let fragment = reference.strip_prefix('#')?;
    ((fragment.is_empty() || fragment.starts_with('/')) && !fragment.contains('%')).then_some(fragment)
}

impl<'a> Comparison<'a> {
    /// Compares two schemas at the same place.
    pub(super) fn schemas(&mut self, place: &Place, old: &'a Value, new: &'a Value, sense: Sense) {
        match (old, new) {
            (Value::Object(_), Value::Object(_)) if self.depth < DEEPEST => {
                self.depth += 1;
                self.keywords(place, old, new, sense);
                self.depth -= 1;
            }
            _ if old == new => self.unfollowed(place, old, new),
            (Value::Bool(false), Value::Object(_) | Value::Bool(_)) => {
                self.record(place.clone(), Some(old), Some(new), Change::WIDENED, sense);
            }
            (Value::Object(_) | Value::Bool(_), Value::Bool(false)) => {
                self.record(place.clone(), Some(old), Some(new), Change::NARROWED, sense);
            }
            (Value::Bool(true), Value::Object(_)) => {
                self.record(place.clone(), Some(old), Some(new), Change::NARROWED, sense);
            }
            (Value::Object(_), Value::Bool(true)) => {
                self.record(place.clone(), Some(old), Some(new), Change::WIDENED, sense);
            }
            _ => self.record(place.clone(), Some(old), Some(new), Change::BOTH, sense),
        }
    }

    /// What is too deep to be followed may refer to what has changed.
    fn unfollowed(&mut self, place: &Place, old: &'a Value, new: &'a Value) {
        if old.is_object() && self.roots.0 != self.roots.1 {
            self.record(place.clone(), Some(old), Some(new), Change::BOTH, Sense::Unknown);
        }
    }

    fn keywords(&mut self, place: &Place, old: &'a Value, new: &'a Value, sense: Sense) {
        // What `unevaluated…` lets through depends on everything beside and below it.
        let evaluated = |schema: &Value| {
            schema.get("unevaluatedProperties").or_else(|| schema.get("unevaluatedItems")).is_some()
        };
        let sense = if evaluated(old) || evaluated(new) { Sense::Unknown } else { sense };
        self.reference(old, new, sense);
        bounds::compare(self, place, old, new, sense);
        objects::compare(self, place, old, new, sense);
        arrays::compare(self, place, old, new, sense);
        logic::compare(self, place, old, new, sense);
        for keyword in names(old, new) {
            self.keyword(place, keyword, old.get(keyword), new.get(keyword), sense);
        }
    }

    /// Keywords that stand for themselves; and none is passed over.
    fn keyword(
        &mut self,
        place: &Place,
        name: &str,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
        sense: Sense,
    ) {
        let here = place.member(name);
        if matches!(name, "$defs" | "definitions") {
            return self.definitions_at(&here, old, new);
        }
        if old == new {
            return;
        }
        if is_grouped(name) {
            if !self.has(&here) {
                self.record(here, old, new, Change::BOTH, sense);
            }
            return;
        }
        match holds(name) {
            Holds::Text => self.push(here, old, new, texts::class(old, new)),
            Holds::TextData => self.push(here, old, new, Classes::only(Class::Description)),
            _ => match name {
                "deprecated" | "readOnly" | "writeOnly" => {
                    self.push(here, old, new, Classes::only(Class::Description))
                }
                "uniqueItems" => self.unique(here, old, new, sense),
                _ if is_assertion(name) => self.added_or_removed(here, old, new, sense),
                // `default` among them: what happens without the argument has changed.
                _ => self.record(here, old, new, Change::BOTH, sense),
            },
        }
    }

    /// `uniqueItems`: false is as nothing.
    fn unique(&mut self, here: Place, old: Option<&'a Value>, new: Option<&'a Value>, sense: Sense) {
        let read = |value: Option<&Value>| value.map_or(Some(false), Value::as_bool);
        match (read(old), read(new)) {
            (Some(false), Some(true)) => self.record(here, old, new, Change::NARROWED, sense),
            (Some(true), Some(false)) => self.record(here, old, new, Change::WIDENED, sense),
            (Some(_), Some(_)) => self.push(here, old, new, Classes::only(Class::Cosmetic)),
            _ => self.record(here, old, new, Change::BOTH, sense),
        }
    }

    /// A keyword that only ever refuses: with it less is accepted, without it more; a change of it is not judged.
    pub(super) fn added_or_removed(
        &mut self,
        place: Place,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
        sense: Sense,
    ) {
        let change = match (old, new) {
            (None, Some(_)) => Change::NARROWED,
            (Some(_), None) => Change::WIDENED,
            _ => Change::BOTH,
        };
        self.record(place, old, new, change, sense);
    }

    /// Compares what both refer to, where they refer to the same place.
    fn reference(&mut self, old: &'a Value, new: &'a Value, sense: Sense) {
        let target = |schema: &'a Value| schema.get("$ref").and_then(Value::as_str).and_then(pointer);
        let (Some(from), Some(to)) = (target(old), target(new)) else { return };
        let place = Place::at(format!("{}{from}", self.root.as_str()));
        if from != to || !self.followed.insert((place.as_str().to_owned(), sense)) {
            return;
        }
        match (self.roots.0.pointer(from), self.roots.1.pointer(to)) {
            (Some(old), Some(new)) => self.schemas(&place, old, new, sense),
            (None, None) => {}
            (old, new) => self.record(place, old, new, Change::BOTH, sense),
        }
    }

    fn definitions_at(&mut self, place: &Place, old: Option<&'a Value>, new: Option<&'a Value>) {
        let (Some(Value::Object(before)), Some(Value::Object(after))) = (old, new) else {
            if old != new {
                self.record(place.clone(), old, new, Change::BOTH, Sense::Unknown);
            }
            return;
        };
        for name in union(before, after) {
            let here = place.member(name);
            match (before.get(name), after.get(name)) {
                (Some(old), Some(new)) => self.definitions.push((here, old, new)),
                (old, new) => self.record(here, old, new, Change::BOTH, Sense::Unknown),
            }
        }
    }

    /// Definitions that no plain reference led to: nothing is known of their use.
    fn remaining_definitions(&mut self) {
        while let Some((place, old, new)) = self.definitions.pop() {
            let seen = [Sense::Same, Sense::Opposite, Sense::Unknown]
                .into_iter()
                .any(|sense| self.followed.contains(&(place.as_str().to_owned(), sense)));
            if !seen {
                self.followed.insert((place.as_str().to_owned(), Sense::Unknown));
                self.schemas(&place, old, new, Sense::Unknown);
            }
        }
    }

    /// Whether something was found at `place` or below.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.touched.contains_key(place.as_str())
    }

    /// Writes down a change of what is accepted, with the texts that come or go with it.
    pub(super) fn record(
        &mut self,
        place: Place,
        old: Option<&Value>,
        new: Option<&Value>,
        change: Change,
        sense: Sense,
    ) {
        // The same said in other words.
        let judged = if change.is_any() { change.classes(sense) } else { Classes::only(Class::Cosmetic) };
        let classes = judged.with(texts::inside(old)).with(texts::inside(new));
        self.push(place, old, new, classes);
    }

    /// Writes down a change of these classes. A place that is reached twice, over references, has one entry.
    pub(super) fn push(&mut self, place: Place, old: Option<&Value>, new: Option<&Value>, classes: Classes) {
        if let Some(Some(known)) = self.touched.get(place.as_str())
            && let Some(known) = self.found.get_mut(*known)
        {
            known.classes = known.classes.with(classes);
            return;
        }
        let mut above = place.as_str();
        while let Some(end) = above.rfind('/') {
            above = &above[..end];
            self.touched.entry(above.to_owned()).or_default();
        }
        self.touched.insert(place.as_str().to_owned(), Some(self.found.len()));
        self.found.push(Difference { place, before: old.cloned(), after: new.cloned(), classes });
    }
}

/// Whether a keyword of this name was judged together with others.
fn is_grouped(name: &str) -> bool {
    matches!(
        name,
        "type"
            | "enum"
            | "const"
            | "required"
            | "minimum"
            | "maximum"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
    ) || bounds::COUNTS.iter().any(|(keyword, ..)| *keyword == name)
        || matches!(holds(name), Holds::Schema | Holds::List | Holds::Named | Holds::SchemaOrList)
}

/// Whether a keyword of this name only refuses, and does so by itself.
fn is_assertion(name: &str) -> bool {
    matches!(
        name,
        "pattern"
            | "format"
            | "contentEncoding"
            | "contentMediaType"
            | "multipleOf"
            | "dependentRequired"
            | "dependencies"
    )
}

/// The names of members that either has, each once.
pub(super) fn union<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> Vec<&'a str> {
    let added = new.keys().filter(|name| !old.contains_key(name.as_str()));
    old.keys().chain(added).map(String::as_str).collect()
}

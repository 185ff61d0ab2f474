//! What has changed between a pinned definition and a listed one, and of which class each change is.
//!
//! The rules for schemas are in [`schema`]. What no rule judges is `narrowed` and `widened` at once, never cosmetic.

mod arrays;
mod bounds;
mod logic;
mod objects;
mod schema;
mod texts;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::canonical;
use crate::place::Place;
use crate::tool::Tool;

/// What sort of change it is, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// What no model reads and no call depends on: titles, icons, order, white space.
    Cosmetic,
    /// A text that a model reads.
    Description,
    /// More is accepted, or less is promised of results.
    Widened,
    /// Less is accepted, or more is promised of results.
    Narrowed,
    /// What the server says of the tool's effects.
    EffectChanged,
}

impl Class {
    /// Every class, the mildest first.
    pub const ALL: [Self; 5] =
        [Self::Cosmetic, Self::Description, Self::Widened, Self::Narrowed, Self::EffectChanged];

    /// Its name in configuration, API and CLI.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosmetic => "cosmetic",
            Self::Description => "description",
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
            Self::EffectChanged => "effect_changed",
        }
    }
}

/// Some classes. Written as the list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Classes(u8);

impl Classes {
    /// None.
    pub const NONE: Self = Self(0);
    /// What cannot be judged.
    pub const UNJUDGED: Self = Self::only(Class::Widened).and(Class::Narrowed);

    /// Just `class`.
    pub const fn only(class: Class) -> Self {
        Self(1 << class as u8)
    }

    /// These and `class`.
    #[must_use]
    pub const fn and(self, class: Class) -> Self {
        Self(self.0 | 1 << class as u8)
    }

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether `class` is among them.
    pub const fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u8) != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Them, the mildest first.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| self.has(*class))
    }

    /// The worst of them.
    pub fn worst(self) -> Option<Class> {
        self.iter().last()
    }
}

impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where, in the definition.
    pub place: Place,
    /// What was there, in canonical form; none where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// What sort of change it is.
    pub classes: Classes,
}

/// All changes of a tool, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Differences(Vec<Difference>);

impl Differences {
    /// One by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Difference> {
        self.0.iter()
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The classes of all.
    pub fn classes(&self) -> Classes {
        self.0.iter().fold(Classes::NONE, |all, one| all.with(one.classes))
    }

    /// The class of the whole: the worst.
    pub fn class(&self) -> Option<Class> {
        self.classes().worst()
    }
}

impl<'a> IntoIterator for &'a Differences {
    type Item = &'a Difference;
    type IntoIter = std::slice::Iter<'a, Difference>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// What has changed from `pinned` to `listed`. Empty exactly where their canonical forms are the same.
pub fn between(pinned: &Tool, listed: &Tool) -> Differences {
    let (old, new) = (canonical::form(pinned), canonical::form(listed));
    if old == new {
        return Differences::default();
    }
    let mut out = Vec::new();
    for name in names(&old, &new) {
        let place = Place::whole().member(name);
        match (old.get(name), new.get(name)) {
            (Some(before), Some(after)) if matches!(name, "inputSchema" | "outputSchema") => {
                out.extend(schema::compare(&place, before, after));
            }
            (before, after) if before != after => member(name, place, before, after, &mut out),
            _ => {}
        }
    }
    if out.is_empty() {
        out.push(Difference {
            place: Place::whole(),
            before: Some(old),
            after: Some(new),
            classes: Classes::UNJUDGED,
        });
    }
    out.sort_by(|a, b| a.place.cmp(&b.place));
    Differences(out)
}

/// A member of the tool that has changed.
fn member(
    name: &str,
    place: Place,
    before: Option<&Value>,
    after: Option<&Value>,
    out: &mut Vec<Difference>,
) {
    let classes = match name {
        "title" | "icons" => Classes::only(Class::Cosmetic),
        "description" => texts::class(before, after),
        // A promise about results that was not there, or is not there any more.
        "outputSchema" if before.is_none() => Classes::only(Class::Narrowed).with(texts::inside(after)),
        "outputSchema" if after.is_none() => Classes::only(Class::Widened).with(texts::inside(before)),
        "annotations" => return annotations(&place, before, after, out),
        _ => Classes::UNJUDGED.with(texts::inside(before)).with(texts::inside(after)),
    };
    out.push(Difference { place, before: before.cloned(), after: after.cloned(), classes });
}

fn annotations(place: &Place, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<Difference>) {
    let nothing = Value::Object(serde_json::Map::new());
    let (old, new) = (before.unwrap_or(&nothing), after.unwrap_or(&nothing));
    for name in names(old, new) {
        let (before, after) = (old.get(name), new.get(name));
        if before != after {
            let class = if name == "title" { Class::Cosmetic } else { Class::EffectChanged };
            out.push(Difference {
                place: place.member(name),
                before: before.cloned(),
                after: after.cloned(),
                classes: Classes::only(class),
            });
        }
    }
}

/// The names of members that either has, each once.
fn names<'a>(old: &'a Value, new: &'a Value) -> impl Iterator<Item = &'a str> {
    let of = |value: &'a Value| value.as_object().into_iter().flat_map(|members| members.keys());
    let added = of(new).filter(|name| old.get(name.as_str()).is_none());
    of(old).chain(added).map(String::as_str)
}

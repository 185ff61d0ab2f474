//! Reading JSON that strangers wrote, exactly: within limits, and no member twice, because two readers of the same text
//! must not see two different tools.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::hidden;

/// What a value may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its text.
    pub bytes: usize,
    /// Levels of nesting; at most 100 whatever is said here.
    pub depth: usize,
    /// Values in it: scalars, arrays and objects.
    pub values: usize,
}

/// The deepest that any limit allows: the reader below refuses at 128.
const DEEPEST: usize = 100;

/// Why a text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// More bytes than the limit.
    #[error("{bytes} bytes, and at most {most} are taken")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// Nested deeper than the limit.
    #[error("nested deeper than {most} levels")]
    TooDeep {
        /// The limit.
        most: usize,
    },
    /// More values than the limit.
    #[error("more than {most} values")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// A member twice in one object.
    #[error("the member `{}` twice", hidden::excerpt(member, 64))]
    Twice {
        /// Its name.
        member: String,
    },
    /// No JSON.
    #[error("no JSON: {why} at line {line}, column {column}")]
    NoJson {
        /// What is wrong.
        why: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
}

/// Reads `text`.
///
/// # Errors
/// It is no JSON, has a member twice, or is beyond `limits`.
pub fn read(text: &str, limits: Limits) -> Result<Value, Unreadable> {
    if text.len() > limits.bytes {
        return Err(Unreadable::TooLarge { bytes: text.len(), most: limits.bytes });
    }
    let most_depth = limits.depth.min(DEEPEST);
    let reading = Reading {
        values: Cell::new(limits.values),
        most: limits.values,
        most_depth,
        refusal: RefCell::default(),
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Seed { reading: &reading, room: most_depth }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| {
        reading.refusal.take().unwrap_or_else(|| Unreadable::NoJson {
            why: plain(&error),
            line: error.line(),
            column: error.column(),
        })
    })
}

/// What the reader says, without the place, which is told apart.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

struct Reading {
    values: Cell<usize>,
    most: usize,
    most_depth: usize,
    refusal: RefCell<Option<Unreadable>>,
}

impl Reading {
    fn refuse<E: serde::de::Error>(&self, refusal: Unreadable) -> E {
        self.refusal.replace(Some(refusal));
        E::custom("refused")
    }
}

/// One value, with room for so many levels below it.
#[derive(Clone, Copy)]
struct Seed<'a> {
    reading: &'a Reading,
    room: usize,
}

impl Seed<'_> {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.room.checked_sub(1) {
            Some(room) => Ok(Self { room, ..self }),
            None => Err(self.reading.refuse(Unreadable::TooDeep { most: self.reading.most_depth })),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Some(left) = self.reading.values.get().checked_sub(1) else {
            return Err(self.reading.refuse(Unreadable::TooMany { most: self.reading.most }));
        };
        self.reading.values.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if out.contains_key(&name) {
                return Err(self.reading.refuse(Unreadable::Twice { member: name }));
            }
            let value = members.next_value_seed(below)?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes: 1_000, depth: 4, values: 10 };

    #[test]
    fn what_is_within_limits_is_read_in_its_order() {
        let text = r#"{"z":[1,-2,1.5,null,true],"a":"\u0061"}"#;
        assert_eq!(read(text, LIMITS).unwrap().to_string(), r#"{"z":[1,-2,1.5,null,true],"a":"a"}"#);
    }

    #[test]
    fn what_is_beyond_them_is_refused_by_name() {
        let refusals = [
            (r#"{"a":1,"\u0061":2}"#.to_owned(), "the member `a` twice"),
            ("[[[[[1]]]]]".to_owned(), "nested deeper than 4 levels"),
            ("[1,2,3,4,5,6,7,8,9,10]".to_owned(), "more than 10 values"),
            (format!("\"{}\"", "x".repeat(1_000)), "1002 bytes, and at most 1000 are taken"),
            ("{\"a\":\n!}".to_owned(), "no JSON: expected value at line 2, column 1"),
            ("1 2".to_owned(), "no JSON: trailing characters at line 1, column 3"),
        ];
        for (text, why) in refusals {
            assert_eq!(read(&text, LIMITS).unwrap_err().to_string(), why, "{text}");
        }
    }

    #[test]
    fn no_limit_makes_the_reader_run_out_of_stack() {
        let deep = "[".repeat(100_000);
        let limits = Limits { bytes: 1 << 20, depth: usize::MAX, values: usize::MAX };
        assert_eq!(read(&deep, limits).unwrap_err(), Unreadable::TooDeep { most: 100 });
    }
}

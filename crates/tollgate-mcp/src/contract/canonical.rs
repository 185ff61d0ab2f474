//! The canonical form of a definition, and its digest.
//!
//! **Normalised**, because it means nothing:
//! - the order of members, everywhere (they are sorted by their UTF-8 bytes), white space between tokens, and how characters
//!   are escaped;
//! - how a number is written: `1.0`, `1e0` and `1` are one. Numbers beyond 64 bits are compared as IEEE 754 doubles;
//! - of the tool itself: known members that are `null`, and `annotations` without members;
//! - in schemas: the order of `required`, repetitions in it and an empty one; the order of the names in `type`, and one name
//!   in a list.
//!
//! **Not normalised**, because somebody might read it differently: all texts, to the byte (no Unicode normalisation: a
//! look-alike must show); the order of `enum`, `examples`, `allOf`, `anyOf`, `oneOf`; `const` against an `enum` of one;
//! `additionalProperties: true` against none; `$ref` against what it points to; `default` and every other datum; `$schema`;
//! `_meta`, icons, and all members that are not known.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};

use crate::keywords::{Holds, holds};
use crate::tool::{KNOWN, Tool};

/// The canonical form of `tool`.
pub fn form(tool: &Tool) -> Value {
    let members = tool.members().iter().filter(|(name, value)| !means_nothing(name, value));
    let forms = members.map(|(name, value)| {
        let form = if is_schema(name) { schema(value) } else { data(value) };
        (name.clone(), form)
    });
    sorted(forms)
}

/// The canonical text of `tool`: its form without white space.
pub fn text(tool: &Tool) -> String {
    form(tool).to_string()
}

fn is_schema(member: &str) -> bool {
    matches!(member, "inputSchema" | "outputSchema")
}

fn means_nothing(member: &str, value: &Value) -> bool {
    (value.is_null() && KNOWN.contains(&member))
        || (member == "annotations" && value.as_object().is_some_and(Map::is_empty))
}

fn sorted(members: impl Iterator<Item = (String, Value)>) -> Value {
    let mut members: Vec<_> = members.collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(members.into_iter().collect())
}

/// The canonical form of a datum.
pub(crate) fn data(value: &Value) -> Value {
    match value {
        Value::Object(members) => sorted(members.iter().map(|(name, value)| (name.clone(), data(value)))),
        Value::Array(items) => items.iter().map(data).collect(),
        Value::Number(number) => Value::Number(self::number(number)),
        other => other.clone(),
    }
}

/// The canonical form of a schema.
pub(crate) fn schema(value: &Value) -> Value {
    let Value::Object(members) = value else { return data(value) };
    let forms =
        members.iter().filter_map(|(keyword, value)| Some((keyword.clone(), keyword_form(keyword, value)?)));
    sorted(forms)
}

/// The canonical form of a keyword's value; none where the keyword means nothing.
fn keyword_form(keyword: &str, value: &Value) -> Option<Value> {
    let list = |items: &[Value]| items.iter().map(schema).collect();
    Some(match (holds(keyword), value) {
        (Holds::Schema | Holds::SchemaOrList, Value::Object(_)) => schema(value),
        (Holds::List | Holds::SchemaOrList, Value::Array(items)) => list(items),
        (Holds::Named | Holds::NamedOrNames, Value::Object(named)) => {
            sorted(named.iter().map(|(name, value)| (name.clone(), schema(value))))
        }
        (Holds::Other, Value::Array(names)) if keyword == "required" => match set(names) {
            Value::Array(names) if names.is_empty() => return None,
            names => names,
        },
        (Holds::Other, Value::Array(names)) if keyword == "type" => match set(names) {
            Value::Array(mut names) if names.len() == 1 => names.pop().unwrap_or_default(),
            names => names,
        },
        _ => data(value),
    })
}

/// `names` in order, each once. A list that holds something else is left as it is.
fn set(names: &[Value]) -> Value {
    let mut texts: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    if texts.len() < names.len() {
        return names.iter().map(data).collect();
    }
    texts.sort_unstable();
    texts.dedup();
    texts.into_iter().map(Value::from).collect()
}

/// `number`, as a whole number where it is one.
fn number(number: &Number) -> Number {
    /// Whole numbers up to here are exact as doubles.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 53 bits")]
            let whole = float as i64;
            // As the reader gives it: what is not negative is unsigned.
            u64::try_from(whole).map_or_else(|_| Number::from(whole), Number::from)
        }
        _ => number.clone(),
    }
}

/// SHA-256 of a canonical text. Written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of the canonical text of `tool`.
    pub fn of(tool: &Tool) -> Self {
        Self(Sha256::digest(text(tool).as_bytes()).into())
    }

    /// Its bytes.
    pub const fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is `sha256:` and 64 hexadecimal digits in lower case")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.strip_prefix("sha256:").ok_or(NoDigest)?.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return Err(NoDigest);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(digit);
            *byte = (high.ok_or(NoDigest)? << 4) | low.ok_or(NoDigest)?;
        }
        Ok(Self(bytes))
    }
}

const fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> String {
        text(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn what_means_nothing_is_normalised() {
        let same = [
            r#"{"name":"t","inputSchema":{"type":"object","properties":{"a":{"type":"integer","maximum":10}},"required":["a"]}}"#,
            r#"{"inputSchema":{"required":["a","a"],"properties":{"a":{"maximum":1e1,"type":["integer"]}},"type":"object"},"name":"t"}"#,
            r#"{ "name": "\u0074", "title": null, "annotations": {}, "inputSchema": {"type": "object", "properties": {"a": {"type": "integer", "maximum": 10.0, "required": []}}, "required": ["a"]}}"#,
        ];
        let first = canonical(same[0]);
        assert!(same.iter().all(|other| canonical(other) == first), "{first}");
    }

    #[test]
    fn what_may_mean_something_is_not() {
        let base = canonical(r#"{"name":"t","inputSchema":{"enum":[1,2]}}"#);
        let others = [
            r#"{"name":"t","inputSchema":{"enum":[2,1]}}"#,
            r#"{"name":"t","inputSchema":{"enum":[1,2],"additionalProperties":true}}"#,
            r#"{"name":"t","inputSchema":{"enum":[1,2]},"x":null}"#,
            r#"{"name":"t","inputSchema":{"enum":[1,2]},"description":""}"#,
            // Data that looks like a schema is data.
            r#"{"name":"t","inputSchema":{"enum":[1,2],"default":{"required":[]}}}"#,
        ];
        others.iter().for_each(|other| assert_ne!(canonical(other), base, "{other}"));
        assert_ne!(
            canonical(r#"{"name":"t","inputSchema":{"const":{"required":["b","a"]}}}"#),
            canonical(r#"{"name":"t","inputSchema":{"const":{"required":["a","b"]}}}"#)
        );
        // A property may have any name.
        let named =
            canonical(r#"{"name":"t","inputSchema":{"properties":{"required":{"type":"array"},"type":{}}}}"#);
        assert!(named.contains(r#""properties":{"required":{"type":"array"},"type":{}}"#), "{named}");
    }

    #[test]
    fn a_digest_is_sha_256_of_the_text_and_survives_being_written() {
        let tool: Tool = serde_json::from_str(r#"{"name":"t","inputSchema":{}}"#).unwrap();
        let digest = Digest::of(&tool);
        // `printf '{"inputSchema":{},"name":"t"}' | sha256sum`
        assert_eq!(
            digest.to_string(),
            "sha256:b36389c54a2da9b725519903a70ca5ef405b96bb0cf7b418b9b92acfa9711d0c"
        );
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for wrong in ["", "sha256:", "sha256:zz", &digest.to_string().to_uppercase(), &format!("{digest}0")] {
            assert_eq!(wrong.parse::<Digest>(), Err(NoDigest), "{wrong}");
        }
    }
}

//! Ids of requests and tokens of progress: strings or integers, kept exactly as they are written.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use crate::json::string;

/// An id or a token. Two are the same if they have the same value: `"a"` is `"\u0061"`, but `"1"` is not `1`.
#[derive(Clone, Debug)]
pub struct Id<'a> {
    raw: &'a str,
    /// The string without quotes and escapes; `None` of an integer.
    text: Option<Cow<'a, str>>,
}

impl<'a> Id<'a> {
    /// The id that the JSON text `raw` is. `None` where it is neither a string nor an integer: a fraction or an exponent
    /// is one number to some readers and another to others, and so is `-0`.
    pub fn read(raw: &'a str) -> Option<Self> {
        if raw.starts_with('"') {
            return Some(Self { raw, text: Some(string(raw)?) });
        }
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        let integer = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && raw != "-0";
        integer.then_some(Self { raw, text: None })
    }

    /// As it was written.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Its value, where it is a string.
    pub fn as_str(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Its value, where it is an integer of this size.
    pub fn as_u64(&self) -> Option<u64> {
        if self.text.is_some() { None } else { self.raw.parse().ok() }
    }

    fn key(&self) -> (bool, &str) {
        (self.text.is_some(), self.text.as_deref().unwrap_or(self.raw))
    }
}

impl PartialEq for Id<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Id<'_> {}

impl Hash for Id<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_value_and_stays_as_it_is_written() {
        assert_eq!(Id::read(r#""a""#), Id::read(r#""\u0061""#));
        assert_ne!(Id::read(r#""1""#), Id::read("1"));
        assert_eq!(Id::read(r#""\u0061""#).unwrap().raw(), r#""\u0061""#);
        // Beyond what a double holds: two of these must not become one.
        assert_ne!(Id::read("9007199254740993"), Id::read("9007199254740992"));
        assert_eq!(Id::read("7").unwrap().as_u64(), Some(7));
        assert_eq!(Id::read("\"7\"").unwrap().as_u64(), None);
        for no in ["null", "1.0", "1e3", "-0", "-", "", "true", "[]", "{}", r#""\ud800""#] {
            assert_eq!(Id::read(no), None, "{no}");
        }
    }
}

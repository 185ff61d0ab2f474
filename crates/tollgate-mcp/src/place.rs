//! Places in JSON, as JSON Pointers (RFC 6901).

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hidden;

/// A place in a JSON value. The whole is the empty pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(String);

impl Place {
    /// The whole.
    pub const fn whole() -> Self {
        Self(String::new())
    }

    /// The place that `pointer` names, as it is.
    pub fn at(pointer: impl Into<String>) -> Self {
        Self(pointer.into())
    }

    /// The member `name` of what is here.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        Self(format!("{}/{}", self.0, escaped(name)))
    }

    /// The item `index`, from 0, of what is here.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The pointer.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `name` as a step of a pointer (RFC 6901 §3).
fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        Cow::Owned(name.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(name)
    }
}

/// With hidden characters as escapes: a place goes to terminals.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the whole") } else { f.write_str(&hidden::shown(&self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_serde_json_finds_under_its_pointer() {
        let value = serde_json::json!({"a/b": [{"~": 7}]});
        let place = Place::whole().member("a/b").item(0).member("~");
        assert_eq!(place.as_str(), "/a~1b/0/~0");
        assert_eq!(value.pointer(place.as_str()), Some(&serde_json::json!(7)));
        assert_eq!(Place::whole().member("\u{202e}x").to_string(), "/\\u{202e}x");
    }
}

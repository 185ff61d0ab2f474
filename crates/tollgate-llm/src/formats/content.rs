//! Content that is a text or a list of parts, as several formats write it.
//!
//! Not an untagged enum: that would buffer the value, which raw JSON inside does not survive, and would hide why a
//! part is wrong.

use serde::de::{self, Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::chat::Text;
use crate::json::{BodyError, read_all};

/// A text, or a list of parts.
#[derive(Debug)]
pub(crate) enum Content<'a, T> {
    /// A text.
    Text(Text<'a>),
    /// Parts.
    Parts(Vec<T>),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Content<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        if let Some(text) = Text::from_raw(raw) {
            return Ok(Self::Text(text));
        }
        if !raw.get().starts_with('[') {
            return Err(de::Error::custom("expected a string or a list"));
        }
        read_all(raw.get()).map(Self::Parts).map_err(|error| match error {
            BodyError::Shape { param, message } if !param.is_empty() => {
                de::Error::custom(format_args!("{param}: {message}"))
            }
            other => de::Error::custom(other),
        })
    }
}

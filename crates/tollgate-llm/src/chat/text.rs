//! Texts of a request, kept as the JSON strings that they came as. Two JSON formats hand one on without decoding
//! it: a long prompt is copied once and never escaped again.

use std::borrow::Cow;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// Any JSON, as it stands in a body.
pub type Json<'a> = Cow<'a, RawValue>;

/// A JSON string, with its quotes and escapes.
#[derive(Clone, Debug)]
pub struct Text<'a>(Json<'a>);

impl<'a> Text<'a> {
    /// `text`, escaped.
    pub fn new(text: &str) -> Text<'static> {
        // A string is always JSON; were it not, an empty one would stand here.
        Text(to_raw_value(text).map_or(Cow::Owned(RawValue::NULL.to_owned()), Cow::Owned))
    }

    /// `raw`, when it is a JSON string.
    pub fn from_raw(raw: &'a RawValue) -> Option<Self> {
        raw.get().starts_with('"').then_some(Self(Cow::Borrowed(raw)))
    }

    /// What it says. Borrowed where nothing is escaped.
    pub fn decoded(&self) -> Cow<'_, str> {
        let raw = self.0.get();
        let bare = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        if !bare.contains('\\') {
            return Cow::Borrowed(bare);
        }
        // Half of a surrogate pair is no text: such a string is shown as it was written.
        serde_json::from_str(raw).map_or(Cow::Borrowed(bare), Cow::Owned)
    }

    /// The same, for as long as the body lives.
    pub fn into_decoded(self) -> Cow<'a, str> {
        match self.0 {
            Cow::Borrowed(raw) if !raw.get().contains('\\') => {
                let raw = raw.get();
                Cow::Borrowed(raw.get(1..raw.len() - 1).unwrap_or_default())
            }
            other => Cow::Owned(Text(other).decoded().into_owned()),
        }
    }

    /// Whether it says nothing but white space.
    pub fn is_blank(&self) -> bool {
        let raw = self.0.get();
        let bare = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        // Most texts begin with a letter: only one that begins otherwise is decoded.
        match bare.bytes().next() {
            None => true,
            Some(b' ' | b'\\') => self.decoded().trim().is_empty(),
            Some(_) => false,
        }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.get().len() <= 2
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Self::from_raw(raw).ok_or_else(|| de::Error::custom("expected a string"))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Several texts as one, with `between` between them. A lone one stays as it was written.
pub fn joined<'a>(texts: &[&Text<'a>], between: &str) -> Text<'a> {
    match texts {
        [one] => (*one).clone(),
        many => {
            let decoded: Vec<Cow<'_, str>> = many.iter().map(|text| text.decoded()).collect();
            Text::new(&decoded.join(between))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_handed_on_as_it_was_written() {
        let body = r#"["a\u00e4\n","plain","\ud800"]"#;
        let texts: Vec<Text<'_>> = serde_json::from_str(body).unwrap();
        assert_eq!(serde_json::to_string(&texts).unwrap(), body);
        assert_eq!(texts[0].decoded(), "aä\n");
        assert!(matches!(texts[1].decoded(), Cow::Borrowed("plain")));
        assert_eq!(texts[2].decoded(), "\\ud800");
        assert_eq!(joined(&[&texts[0], &texts[1]], "-").decoded(), "aä\n-plain");
        let blank = |text| Text::new(text).is_blank();
        assert!(blank("") && blank(" \n\t ") && !blank("\n x") && !blank("x"));
        assert!(serde_json::from_str::<Text<'_>>("5").is_err() && Text::new("").is_empty());
    }
}

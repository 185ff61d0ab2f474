//! Names of models, and patterns for them.

use serde::{Deserialize, Serialize};

use super::glob;

/// The name of a model, or a pattern with one `*` that stands for anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelPattern(String);

/// The longest pattern, in bytes.
const LONGEST: usize = 256;

impl ModelPattern {
    /// The pattern that fits every model.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether `model` is meant.
    pub fn fits(&self, model: &str) -> bool {
        glob(&self.0, model)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModelPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(format!("a model's name has 1 to {LONGEST} bytes and no control characters"));
        }
        if text.matches('*').count() > 1 {
            return Err(format!("{text:?} has more than one `*`"));
        }
        Ok(Self(text))
    }
}

impl From<ModelPattern> for String {
    fn from(pattern: ModelPattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        let fits =
            |pattern: &str, model: &str| ModelPattern::try_from(pattern.to_owned()).unwrap().fits(model);
        assert!(fits("*", "anything") && fits("*", ""));
        assert!(
            fits("gpt-*", "gpt-4o") && fits("*-mini", "gpt-4o-mini") && fits("gpt-*-mini", "gpt-4o-mini")
        );
        assert!(!fits("gpt-*", "xgpt-4o") && !fits("gpt-4o", "gpt-4o-mini") && !fits("gpt.4o", "gpt-4o"));
        assert!(!fits("ab*ba", "aba"), "what stands before and after must not overlap");
        assert!(ModelPattern::try_from("a*b*c".to_owned()).is_err());
        assert!(ModelPattern::try_from(String::new()).is_err());
    }
}

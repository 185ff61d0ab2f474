//! Texts that a model reads, and how much of a change in them is only white space.

use serde_json::Value;

use super::{Class, Classes};
use crate::keywords::{Holds, holds};

/// The class of a change of a text.
pub(super) fn class(before: Option<&Value>, after: Option<&Value>) -> Classes {
    let same = match (before, after) {
        (Some(Value::String(before)), Some(Value::String(after))) => words(before).eq(words(after)),
        _ => false,
    };
    Classes::only(if same { Class::Cosmetic } else { Class::Description })
}

/// The words of a text. Only what is plainly white space parts them: a no-break space or a zero-width one is a change.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty())
}

/// `description` where something that appears or goes brings texts with it.
pub(super) fn inside(value: Option<&Value>) -> Classes {
    if value.is_some_and(has_text) { Classes::only(Class::Description) } else { Classes::NONE }
}

fn has_text(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| matches!(holds(name), Holds::Text | Holds::TextData) || has_text(value)),
        Value::Array(items) => items.iter().any(has_text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn white_space_is_cosmetic_and_everything_else_is_not() {
        let class = |a: &str, b: &str| class(Some(&json!(a)), Some(&json!(b))).worst().unwrap();
        assert_eq!(class("Reads a\n file.", " Reads a file. "), Class::Cosmetic);
        assert_eq!(class("Reads a file.", "Reads a\u{a0}file."), Class::Description);
        assert_eq!(class("Reads a file.", "Reads a file.\u{200b}"), Class::Description);
        assert_eq!(class("a b", "ab"), Class::Description);
    }
}

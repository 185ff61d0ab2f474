//! A difference as lines for people. Hidden characters are shown as escapes: what a model reads, a person sees.

use serde_json::Value;

use super::diff::{Difference, Differences};
use crate::hidden;

/// The longest value that is shown of one side, in characters.
const LONGEST: usize = 2_000;

/// The differences, one after the other: a line with place and classes, then what was there and what is.
pub fn lines(differences: &Differences) -> Vec<String> {
    differences.iter().flat_map(one).collect()
}

fn one(difference: &Difference) -> Vec<String> {
    let classes: Vec<&str> = difference.classes.iter().map(super::diff::Class::name).collect();
    let mut lines = vec![format!("{} ({})", difference.place, classes.join(", "))];
    lines.extend(difference.before.as_ref().map(|value| format!("- {}", shown(value))));
    lines.extend(difference.after.as_ref().map(|value| format!("+ {}", shown(value))));
    lines
}

/// A value on one line: texts as they are, everything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => hidden::excerpt(text, LONGEST),
        other => hidden::excerpt(&other.to_string(), LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::super::diff::between;
    use super::*;

    #[test]
    fn what_is_hidden_is_seen() {
        let old = r#"{"name":"t","description":"Adds\nnumbers.","inputSchema":{"maximum":1}}"#;
        let new = "{\"name\":\"t\",\"description\":\"Adds \u{202e}numbers.\",\"inputSchema\":{\"enum\":[\"a\u{200b}\"]}}";
        let (old, new) = (serde_json::from_str(old).unwrap(), serde_json::from_str(new).unwrap());
        assert_eq!(
            lines(&between(&old, &new)),
            [
                "/description (description)",
                "- Adds\\nnumbers.",
                "+ Adds \\u{202e}numbers.",
                "/inputSchema/enum (narrowed)",
                "+ [\"a\\u{200b}\"]",
                "/inputSchema/maximum (widened)",
                "- 1",
            ]
        );
        assert!(lines(&between(&old, &old)).is_empty());
    }
}

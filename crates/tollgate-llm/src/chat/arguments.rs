//! The arguments of a tool call: text, as some formats write them, and an object, as the others do.

use std::borrow::Cow;

use serde_json::value::{RawValue, to_raw_value};

use crate::json::BodyError;

/// What stands for none.
pub const NO_ARGUMENTS: &str = "{}";

/// The text of a call's arguments, an empty object where there are none.
pub fn arguments_text(arguments: &str) -> &str {
    if arguments.is_empty() { NO_ARGUMENTS } else { arguments }
}

/// The arguments of a client's call for an upstream that takes only an object. None are an empty one.
///
/// # Errors
/// They are something else.
pub fn arguments_object(arguments: &str) -> Result<&RawValue, BodyError> {
    let text = if arguments.trim().is_empty() { NO_ARGUMENTS } else { arguments };
    let raw: Option<&RawValue> = serde_json::from_str(text).ok();
    raw.filter(|raw| raw.get().starts_with('{'))
        .ok_or_else(|| BodyError::shape("tool_calls.function.arguments", "must be a JSON object as text"))
}

/// The arguments of an answer's call. A text that is no object (an answer that was cut off) is kept whole in one.
pub fn arguments_kept(arguments: &str) -> Cow<'_, RawValue> {
    if let Ok(object) = arguments_object(arguments) {
        return Cow::Borrowed(object);
    }
    let kept = to_raw_value(&serde_json::json!({ "invalid_json": arguments }));
    kept.map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object() {
        let object = |arguments| arguments_object(arguments).ok().map(RawValue::get);
        assert_eq!(
            (object(""), object(" \n"), object(" {\"a\": 1} ")),
            (Some("{}"), Some("{}"), Some("{\"a\": 1}"))
        );
        assert_eq!((object("{\"a\":"), object("5"), object("[1]")), (None, None, None));
        assert_eq!(arguments_kept("[1]").get(), r#"{"invalid_json":"[1]"}"#);
        assert_eq!(arguments_kept(" ").get(), "{}");
    }
}

//! Tools whose input is free text. Elsewhere a function with one text stands in for such a tool, and the end of its
//! name tells its calls apart from those of other functions.

use serde::Deserialize;

use crate::chat::{Json, Text};

/// What the stand-in's name ends with.
const MARK: &str = "__free_text";

/// The schema of the stand-in's arguments.
const SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// The name of the function that stands in for the tool `name`.
pub(super) fn function_name(name: &str) -> String {
    format!("{name}{MARK}")
}

/// The tool that the function `name` stands in for.
pub(super) fn tool_name(name: &str) -> Option<&str> {
    name.strip_suffix(MARK).filter(|tool| !tool.is_empty())
}

/// The schema of the stand-in's arguments.
pub(super) fn schema() -> Option<Json<'static>> {
    serde_json::from_str(SCHEMA).ok().map(Json::Borrowed)
}

/// What the stand-in does: what the tool does, and the grammar of its input where it has one.
pub(super) fn description(said: Option<&Text<'_>>, grammar: Option<(&str, &str)>) -> Text<'static> {
    let mut all = said.map(|text| text.decoded().into_owned()).unwrap_or_default();
    if let Some((syntax, definition)) = grammar {
        let gap = if all.is_empty() { "" } else { "\n\n" };
        all.push_str(&format!("{gap}`input` must follow this grammar ({syntax}):\n{definition}"));
    }
    Text::new(&all)
}

/// The stand-in's arguments for `input`.
pub(super) fn arguments(input: &Text<'_>) -> String {
    format!(r#"{{"input":{}}}"#, serde_json::to_string(input).unwrap_or_else(|_| "\"\"".to_owned()))
}

/// The tool's input, from the stand-in's arguments. Those that were cut off stay as they are.
pub(super) fn input(arguments: &str) -> String {
    #[derive(Deserialize)]
    struct Arguments {
        input: String,
    }
    serde_json::from_str::<Arguments>(arguments).map_or_else(|_| arguments.to_owned(), |read| read.input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_text_goes_through_a_function_and_comes_back() {
        let name = function_name("apply_patch");
        assert_eq!(tool_name(&name), Some("apply_patch"));
        assert_eq!(tool_name("apply_patch"), None);
        assert_eq!(input(&arguments(&Text::new("a \"b\"\n"))), "a \"b\"\n");
        assert_eq!(input("{\"inp"), "{\"inp");
        let said = description(Some(&Text::new("Patches.")), Some(("lark", "start: x")));
        assert_eq!(said.decoded(), "Patches.\n\n`input` must follow this grammar (lark):\nstart: x");
    }
}

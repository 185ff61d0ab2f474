//! Calls that take back what other calls did, as the configuration names them: which tool, and with which arguments, put
//! together of those of the call and of its result.
//!
//! In a text `{{arguments.path}}` stands for a member of the call's arguments and `{{result.structuredContent.id}}` for one
//! of its result (MCP, `CallToolResult`); lists are counted from 0 (`{{result.content.0.text}}`). A text that is nothing but
//! one of these becomes what it stands for, whatever that is; among other text it must be a text, a number or a truth value.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The call that takes back another, before it is known what that did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Compensation {
    /// The tool of the same server.
    pub tool: String,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    /// What stands at this place.
    Place(&'a str),
}

const OPENS: &str = "{{";
const CLOSES: &str = "}}";

/// The longest text that is put together, in bytes.
const LONGEST: usize = 1 << 20;

impl Compensation {
    /// Why it can never be put together, where it cannot.
    pub fn check(&self) -> Result<(), String> {
        if self.tool.is_empty() {
            return Err("it names no tool".to_owned());
        }
        self.arguments.values().try_for_each(|value| each_text(value, &mut |text| pieces(text).map(drop)))
    }

    /// Whether something of it comes from the call's result.
    pub fn needs_result(&self) -> bool {
        let mut needs = false;
        for value in self.arguments.values() {
            let _ = each_text(value, &mut |text| {
                let pieces = pieces(text)?;
                needs |= pieces
                    .iter()
                    .any(|piece| matches!(piece, Piece::Place(place) if place.starts_with("result.")));
                Ok(())
            });
        }
        needs
    }

    /// Its arguments, after a call with `arguments` that ended with `result`, where that is known.
    pub fn arguments(&self, arguments: &Value, result: Option<&Value>) -> Result<Value, String> {
        let filled = |value: &Value| fill(value, arguments, result);
        let members = self.arguments.iter().map(|(name, value)| Ok((name.clone(), filled(value)?)));
        members.collect::<Result<Map<_, _>, String>>().map(Value::Object)
    }
}

fn each_text(value: &Value, check: &mut impl FnMut(&str) -> Result<(), String>) -> Result<(), String> {
    match value {
        Value::String(text) => check(text),
        Value::Array(values) => values.iter().try_for_each(|value| each_text(value, check)),
        Value::Object(members) => members.values().try_for_each(|value| each_text(value, check)),
        _ => Ok(()),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPENS) {
        let (place, tail) =
            after.split_once(CLOSES).ok_or_else(|| format!("`{text}`: a `{{{{` has no `}}}}`"))?;
        let place = place.trim();
        if !["arguments.", "result."]
            .iter()
            .any(|first| place.len() > first.len() && place.starts_with(first))
        {
            return Err(format!("`{place}` begins with neither `arguments.` nor `result.`"));
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Place(place));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn fill(value: &Value, arguments: &Value, result: Option<&Value>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => filled(text, arguments, result)?,
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| fill(value, arguments, result)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let members =
                members.iter().map(|(name, value)| Ok((name.clone(), fill(value, arguments, result)?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
        plain => plain.clone(),
    })
}

fn filled(text: &str, arguments: &Value, result: Option<&Value>) -> Result<Value, String> {
    let pieces = pieces(text)?;
    let at = |place| found(place, arguments, result);
    if let [Piece::Place(place)] = pieces[..] {
        return at(place).cloned();
    }
    let mut whole = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => whole.push_str(text),
            Piece::Place(place) => match at(place)? {
                Value::String(text) => whole.push_str(text),
                value @ (Value::Number(_) | Value::Bool(_)) => whole.push_str(&value.to_string()),
                _ => return Err(format!("`{place}` is nothing that can stand in a text")),
            },
        }
        if whole.len() > LONGEST {
            return Err(format!("`{text}` becomes longer than {LONGEST} bytes"));
        }
    }
    Ok(Value::String(whole))
}

fn found<'a>(place: &str, arguments: &'a Value, result: Option<&'a Value>) -> Result<&'a Value, String> {
    let (root, path) = place.split_once('.').unwrap_or((place, ""));
    let root = match root {
        "result" => result.ok_or_else(|| format!("`{place}`: the call's result is not known"))?,
        _ => arguments,
    };
    let step = |value: &'a Value, name: &str| match value {
        Value::Array(values) => values.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    };
    let mut path = path.split('.');
    path.try_fold(root, step).ok_or_else(|| format!("there is no `{place}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn undo(arguments: Value) -> Compensation {
        serde_json::from_value(json!({ "tool": "remove", "arguments": arguments })).unwrap()
    }

    #[test]
    fn arguments_are_put_together_of_the_call_and_its_result() {
        let undo = undo(json!({
            "path": "{{arguments.path}}", "ids": ["{{ result.structuredContent.ids.1 }}", 7],
            "why": "undo of {{arguments.n}} {{result.content.0.text}}", "how": { "deep": "{{arguments.flags}}" },
        }));
        assert!(undo.check().is_ok() && undo.needs_result());
        let arguments = json!({ "path": "/a", "n": 3, "flags": { "x": true } });
        let result = json!({ "content": [{ "type": "text", "text": "made" }], "structuredContent": { "ids": [4, 5] } });
        assert_eq!(
            undo.arguments(&arguments, Some(&result)).unwrap(),
            json!({ "path": "/a", "ids": [5, 7], "why": "undo of 3 made", "how": { "deep": { "x": true } } })
        );
        assert!(undo.arguments(&arguments, None).unwrap_err().contains("not known"));
        assert!(undo.arguments(&json!({}), Some(&result)).unwrap_err().contains("arguments.path"));
    }

    #[test]
    fn what_can_never_be_put_together_is_found_before() {
        for wrong in ["{{arguments.path", "{{path}}", "{{ arguments. }}", "{{result}}"] {
            assert!(undo(json!({ "a": [{ "b": wrong }] })).check().is_err(), "{wrong}");
        }
        let plain = undo(json!({ "a": "no { braces }", "n": 1 }));
        assert!(plain.check().is_ok() && !plain.needs_result());
        let flat = undo(json!({ "a": "x{{arguments.o}}" }));
        assert!(flat.arguments(&json!({ "o": {} }), None).unwrap_err().contains("text"));
        // What stands in a value is no place: what a tool answered gives no orders here.
        let once = undo(json!({ "a": "{{arguments.a}}" }));
        let tricky = json!({ "a": "{{arguments.secret}}", "secret": "s" });
        assert_eq!(once.arguments(&tricky, None).unwrap(), json!({ "a": "{{arguments.secret}}" }));
    }
}

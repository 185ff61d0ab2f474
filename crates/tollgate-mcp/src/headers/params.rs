//! Arguments of tools that headers repeat, where a tool's schema says so with `x-mcp-header` (2026-07-28, streamable HTTP,
//! custom headers from tool parameters).

use std::borrow::Cow;

use serde_json::Value;

use super::{Mismatch, decode, encode};

/// What a schema marks an argument with.
const MARK: &str = "x-mcp-header";

/// What the names of such headers begin with.
const PREFIX: &str = "Mcp-Param-";

/// The most arguments of a tool that headers repeat: more belong into a body.
const MOST: usize = 64;

/// How deep in a schema they are looked for.
const DEEPEST: usize = 16;

/// The arguments of a tool that headers repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors(Vec<Mirror>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    /// The header's name.
    header: String,
    /// Where the argument stands.
    path: Vec<String>,
}

impl Mirrors {
    /// What `schema` marks. A mark that cannot be followed is none: on what is no text, number or truth value, with a name
    /// that is no token (RFC 9110 §5.6.2) or that another has, or anywhere but below `properties`.
    pub fn of(schema: &Value) -> Self {
        let mut found = Vec::new();
        collect(schema, &mut Vec::new(), &mut found);
        let names: Vec<String> = found.iter().map(|mirror| mirror.header.to_ascii_lowercase()).collect();
        let alone = |name: &String| names.iter().filter(|other| *other == name).count() == 1;
        let kept = found.into_iter().zip(&names).filter(|(_, name)| alone(name));
        Self(kept.map(|(mirror, _)| mirror).take(MOST).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers that go with `arguments`: names, and values that are safe to send.
    pub fn headers(&self, arguments: &Value) -> Vec<(&str, String)> {
        let mut headers = Vec::new();
        for mirror in &self.0 {
            if let Some(text) = mirror.text(arguments) {
                headers.push((mirror.header.as_str(), encode(&text).into_owned()));
            }
        }
        headers
    }

    /// Checks what headers say against `arguments`; `said` has the value of a header, and an empty one where it stands
    /// there twice.
    pub fn check<'a>(
        &self,
        arguments: &Value,
        said: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), Mismatch> {
        for mirror in &self.0 {
            let header = || Cow::Owned(mirror.header.clone());
            match (mirror.text(arguments), said(&mirror.header)) {
                (None, None) => {}
                (Some(_), None) => return Err(Mismatch::Missing(header())),
                (None, Some(_)) => return Err(Mismatch::Differs(header())),
                (Some(text), Some(encoded)) => {
                    let decoded = decode(encoded).ok_or_else(|| Mismatch::Unreadable(header()))?;
                    if !same(&text, &decoded, mirror.value(arguments)) {
                        return Err(Mismatch::Differs(header()));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Mirror {
    fn value<'a>(&self, arguments: &'a Value) -> Option<&'a Value> {
        self.path.iter().try_fold(arguments, |value, name| value.get(name))
    }

    /// The argument as a header says it; `None` where it is absent or null.
    fn text(&self, arguments: &Value) -> Option<String> {
        match self.value(arguments)? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Number(number) => Some(match number.as_f64() {
                // `42.0` is the integer 42.
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                    format!("{float:.0}")
                }
                _ => number.to_string(),
            }),
            _ => None,
        }
    }
}

/// Whether a header says what the argument is: numbers may be written in several ways.
fn same(text: &str, said: &str, value: Option<&Value>) -> bool {
    let number = || value?.as_f64().zip(said.parse::<f64>().ok());
    text == said || number().is_some_and(|(value, said)| value == said)
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirror>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    if path.len() >= DEEPEST {
        return;
    }
    for (name, property) in properties {
        path.push(name.clone());
        let plain = matches!(
            property.get("type").and_then(Value::as_str),
            Some("string" | "integer" | "number" | "boolean")
        );
        match property.get(MARK).and_then(Value::as_str) {
            Some(suffix) if plain && is_token(suffix) => {
                found.push(Mirror { header: format!("{PREFIX}{suffix}"), path: path.clone() });
            }
            _ => collect(property, path, found),
        }
        path.pop();
    }
}

fn is_token(text: &str) -> bool {
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(may)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mirrors() -> Mirrors {
        Mirrors::of(&json!({ "type": "object", "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "count": { "type": "integer", "x-mcp-header": "Count" },
            "dry": { "type": "boolean", "x-mcp-header": "Dry" },
            "where": { "type": "object", "properties": { "zone": { "type": "string", "x-mcp-header": "Zone" } } },
            "list": { "type": "array", "x-mcp-header": "List", "items": { "type": "string", "x-mcp-header": "Item" } },
            "bad": { "type": "string", "x-mcp-header": "Bad Name" },
            "twice": { "type": "string", "x-mcp-header": "Same" },
            "again": { "type": "string", "x-mcp-header": "same" },
        } }))
    }

    #[test]
    fn arguments_go_into_headers_where_the_schema_says_so_and_can() {
        let arguments = json!({
            "region": "Hello, 世界", "count": 42.0, "dry": true, "where": { "zone": " a" }, "list": ["x"], "bad": "b",
            "twice": "t",
        });
        let mirrors = mirrors();
        let headers = mirrors.headers(&arguments);
        assert_eq!(
            headers,
            [
                ("Mcp-Param-Region", "=?base64?SGVsbG8sIOS4lueVjA==?=".to_owned()),
                ("Mcp-Param-Count", "42".to_owned()),
                ("Mcp-Param-Dry", "true".to_owned()),
                ("Mcp-Param-Zone", "=?base64?IGE=?=".to_owned()),
            ]
        );
        let said =
            |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(mirrors.check(&arguments, said), Ok(()));
        assert_eq!(mirrors.headers(&json!({ "region": null })), []);
        assert!(Mirrors::of(&json!({ "x-mcp-header": "Root", "type": "string" })).is_empty());
    }

    #[test]
    fn a_header_that_says_something_else_is_found() {
        let checked = |arguments: Value, value: Option<&str>| {
            mirrors().check(&arguments, |name| if name == "Mcp-Param-Region" { value } else { None })
        };
        let header = || Cow::Borrowed("Mcp-Param-Region");
        assert_eq!(checked(json!({ "region": "eu" }), None), Err(Mismatch::Missing(header())));
        assert_eq!(checked(json!({ "region": "eu" }), Some("us")), Err(Mismatch::Differs(header())));
        assert_eq!(checked(json!({}), Some("us")), Err(Mismatch::Differs(header())));
        assert_eq!(
            checked(json!({ "region": "eu" }), Some("=?base64?!?=")),
            Err(Mismatch::Unreadable(header()))
        );
        assert_eq!(checked(json!({ "region": "eu" }), Some("eu")), Ok(()));
        let count = |said| {
            mirrors().check(&json!({ "count": 42 }), |name| (name == "Mcp-Param-Count").then_some(said))
        };
        assert_eq!((count("42.0"), count("42"), count("43").is_err()), (Ok(()), Ok(()), true));
    }
}

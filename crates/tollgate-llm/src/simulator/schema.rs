//! An instance of a JSON schema: the smallest that the keywords people use allow.

use std::cell::Cell;

use serde_json::{Map, Value, json};

/// An instance of `schema`. Texts are taken from `prompt` where they are free.
pub(super) fn instance(schema: &Value, prompt: &str) -> Value {
    // A schema of a few lines can describe more values than fit into memory.
    const MOST_VALUES: usize = 500;
    Maker { root: schema, prompt, left: Cell::new(MOST_VALUES) }.make(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    prompt: &'a str,
    /// Values that may still be made.
    left: Cell<usize>,
}

impl Maker<'_> {
    fn make(&self, schema: &Value, depth: usize) -> Value {
        // A schema may refer to itself; an instance must end.
        const DEEPEST: usize = 8;
        if depth > DEEPEST || self.left.get() == 0 {
            return Value::Null;
        }
        self.left.set(self.left.get() - 1);
        for keyword in ["const", "default"] {
            if let Some(value) = schema.get(keyword) {
                return value.clone();
            }
        }
        if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|all| all.first()) {
            return first.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return found.map_or(Value::Null, |found| self.make(found, depth + 1));
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema.get(keyword).and_then(Value::as_array).and_then(|all| all.first()) {
                return self.make(first, depth + 1);
            }
        }
        match type_of(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" => json!(bound(schema).ceil_to_integer()),
            "number" => json!(bound(schema).0),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => self.text(schema),
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let made = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), self.make(schema, depth + 1)));
        Value::Object(made.collect::<Map<_, _>>())
    }

    fn array(&self, schema: &Value, depth: usize) -> Value {
        // Bounded: the schema is the client's.
        let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 16);
        let item = schema.get("items").cloned().unwrap_or_else(|| json!({ "type": "string" }));
        (0..count).map(|_| self.make(&item, depth + 1)).collect()
    }

    fn text(&self, schema: &Value) -> Value {
        match schema.get("format").and_then(Value::as_str) {
            Some("date") => return json!("2026-01-02"),
            Some("date-time") => return json!("2026-01-02T03:04:05Z"),
            Some("email") => return json!("someone@example.com"),
            Some("uri") => return json!("https://example.com"),
            _ => {}
        }
        // The last word that begins with a capital is often the name that the prompt is about.
        let name = |word: &&str| word.starts_with(char::is_uppercase) && word.len() > 1;
        let words = self.prompt.split(|c: char| !c.is_alphanumeric()).collect::<Vec<_>>();
        let word = words.iter().rev().copied().find(name).unwrap_or("example");
        let longest = schema
            .get("maxLength")
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(64);
        let shortest = schema
            .get("minLength")
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0)
            .min(4096);
        let mut text: String = word.chars().take(longest).collect();
        while text.chars().count() < shortest {
            text.push('x');
        }
        json!(text)
    }
}

fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|n| *n != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

/// The number to use: the lower bound, or the upper one if there is no lower, or 42 between them.
struct Bound(f64);

impl Bound {
    #[expect(clippy::cast_possible_truncation, reason = "a schema's bound; out of range saturates")]
    fn ceil_to_integer(&self) -> i64 {
        self.0.ceil() as i64
    }
}

fn bound(schema: &Value) -> Bound {
    let read = |name: &str| schema.get(name).and_then(Value::as_f64);
    let low = read("minimum").or_else(|| read("exclusiveMinimum").map(|n| n + 1.0));
    let high = read("maximum").or_else(|| read("exclusiveMaximum").map(|n| n - 1.0));
    Bound(42.0_f64.max(low.unwrap_or(f64::MIN)).min(high.unwrap_or(f64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_fit_their_schemas() {
        let schemas = [
            json!({ "type": "object", "properties": { "city": { "type": "string" }, "days": { "type": "integer", "maximum": 7 }, "unit": { "enum": ["c", "f"] } }, "required": ["city", "days"] }),
            json!({ "type": "array", "items": { "$ref": "#/$defs/x" }, "minItems": 2, "$defs": { "x": { "type": ["number", "null"], "exclusiveMinimum": 100 } } }),
            json!({ "anyOf": [{ "type": "boolean" }, { "type": "null" }] }),
            json!({ "type": "string", "minLength": 20, "maxLength": 20 }),
        ];
        for schema in schemas {
            let made = instance(&schema, "How is the weather in Paris?");
            assert!(jsonschema::is_valid(&schema, &made), "{schema} → {made}");
        }
    }

    #[test]
    fn a_small_schema_cannot_ask_for_a_large_answer() {
        let nested = (0..9).fold(
            json!({ "type": "string" }),
            |inner, _| json!({ "type": "array", "minItems": 16, "items": inner }),
        );
        assert!(instance(&nested, "").to_string().len() < 100_000);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "type": "object", "properties": { "next": { "$ref": "#" }, "all": { "type": "array", "items": { "$ref": "#" } } } });
        assert!(instance(&schema, "").to_string().len() < 10_000);
    }
}

//! Google's own schemas (a subset of OpenAPI's, with types in upper case) as JSON schemas. The other direction is
//! not needed: Gemini takes JSON schemas, too.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::chat::Json;

/// `schema` as a JSON schema. One that is none is handed on for the upstream to refuse.
pub(super) fn to_json_schema(schema: &RawValue) -> Json<'_> {
    let converted = serde_json::from_str(schema.get()).map(converted).and_then(|value| to_raw_value(&value));
    converted.map_or(Json::Borrowed(schema), Json::Owned)
}

fn converted(schema: Value) -> Value {
    let Value::Object(members) = schema else { return schema };
    let mut out = Map::new();
    let mut nullable = false;
    for (name, value) in members {
        match (name.as_str(), value) {
            ("type", Value::String(kind)) => {
                if kind != "TYPE_UNSPECIFIED" {
                    out.insert(name, kind.to_ascii_lowercase().into());
                }
            }
            ("nullable", value) => nullable = value == true,
            // Says only how the answer is to be ordered, or what the members beside it say.
            ("propertyOrdering" | "property_ordering", _) => {}
            ("format", Value::String(format)) if format == "enum" => {}
            ("example", example) => drop(out.insert("examples".to_owned(), json!([example]))),
            ("properties" | "$defs", Value::Object(all)) => drop(out.insert(name, each(all))),
            ("defs", Value::Object(all)) => drop(out.insert("$defs".to_owned(), each(all))),
            ("ref", target) => drop(out.insert("$ref".to_owned(), target)),
            ("items" | "additionalProperties", schema) => drop(out.insert(name, converted(schema))),
            ("additional_properties", schema) => {
                drop(out.insert("additionalProperties".to_owned(), converted(schema)));
            }
            ("anyOf" | "any_of", Value::Array(all)) => {
                drop(out.insert("anyOf".to_owned(), all.into_iter().map(converted).collect()));
            }
            (_, value) => drop(out.insert(camel(&name), number(&name, value))),
        }
    }
    if nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

fn each(all: Map<String, Value>) -> Value {
    all.into_iter().map(|(name, schema)| (name, converted(schema))).collect()
}

/// Counts are 64-bit numbers, which protobuf's JSON writes as texts.
fn number(name: &str, value: Value) -> Value {
    let bound = name.starts_with("min") || name.starts_with("max");
    match value.as_str().and_then(|text| text.parse::<u64>().ok()) {
        Some(number) if bound => number.into(),
        _ => value,
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut rest = part.chars();
        out.extend(rest.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(rest.as_str());
    }
    out
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(kind) = schema.get("type").cloned() {
        schema.insert("type".to_owned(), json!([kind, "null"]));
    } else if let Some(Value::Array(all)) = schema.get_mut("anyOf") {
        all.push(json!({ "type": "null" }));
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(schema: &Value) -> Value {
        converted(schema.clone())
    }

    #[test]
    fn types_become_lower_case_and_names_stay() {
        let google = json!({ "type": "OBJECT", "properties": {
            "type": { "type": "STRING", "format": "enum", "enum": ["A", "NULL"] },
            "nullable": { "type": "ARRAY", "items": { "type": "INTEGER", "format": "int32" }, "max_items": "3" },
            "any_of": { "any_of": [{ "type": "STRING" }, { "type": "NUMBER" }], "nullable": true },
        }, "property_ordering": ["type"], "required": ["type"], "example": { "type": "A" } });
        assert_eq!(
            convert(&google),
            json!({ "type": "object", "properties": {
                "type": { "type": "string", "enum": ["A", "NULL"] },
                "nullable": { "type": "array", "items": { "type": "integer", "format": "int32" }, "maxItems": 3 },
                "any_of": { "anyOf": [{ "type": "string" }, { "type": "number" }, { "type": "null" }] },
            }, "required": ["type"], "examples": [{ "type": "A" }] })
        );
    }

    #[test]
    fn what_may_be_null_says_so_in_its_type() {
        assert_eq!(
            convert(&json!({ "nullable": true, "type": "STRING", "enum": ["a"] })),
            json!({ "type": ["string", "null"], "enum": ["a", null] })
        );
        assert_eq!(convert(&json!({ "type": "STRING", "nullable": false })), json!({ "type": "string" }));
        assert_eq!(convert(&json!(true)), json!(true));
    }

    #[test]
    fn a_json_schema_stays_one() {
        let schema = json!({ "type": "object", "$defs": { "x": { "type": ["string", "null"] } },
            "properties": { "a": { "$ref": "#/$defs/x" } }, "additionalProperties": false });
        assert_eq!(convert(&schema), schema);
    }
}

//! The keywords of JSON Schema, draft 2020-12 and draft-07: which of them hold further schemas, which are texts.

use serde_json::Value;

use crate::place::Place;

/// What the value of a keyword is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A schema.
    Schema,
    /// A list of schemas.
    List,
    /// Schemas by name.
    Named,
    /// A schema, or a list of them (`items` of draft-07).
    SchemaOrList,
    /// Schemas or lists of names, by name (`dependencies` of draft-07).
    NamedOrNames,
    /// A text that says what something is for.
    Text,
    /// Values that are examples of something, or texts by value.
    TextData,
    /// Anything else.
    Other,
}

/// What the value of `keyword` is.
pub fn holds(keyword: &str) -> Holds {
    match keyword {
        "additionalProperties"
        | "additionalItems"
        | "contains"
        | "propertyNames"
        | "not"
        | "if"
        | "then"
        | "else"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::List,
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => Holds::Named,
        "items" => Holds::SchemaOrList,
        "dependencies" => Holds::NamedOrNames,
        "title" | "description" | "$comment" | "markdownDescription" => Holds::Text,
        "examples"
        | "example"
        | "enumDescriptions"
        | "enumNames"
        | "x-enum-descriptions"
        | "x-enum-varnames"
        | "markdownEnumDescriptions" => Holds::TextData,
        _ => Holds::Other,
    }
}

/// Calls `each` with every schema directly inside `schema`, and its place.
pub fn inside<'a>(schema: &'a Value, place: &Place, each: &mut dyn FnMut(Place, &'a Value)) {
    let Value::Object(members) = schema else { return };
    for (keyword, value) in members {
        let here = || place.member(keyword);
        match (holds(keyword), value) {
            (Holds::Schema | Holds::SchemaOrList, Value::Object(_) | Value::Bool(_)) => each(here(), value),
            (Holds::List | Holds::SchemaOrList, Value::Array(list)) => {
                let here = here();
                list.iter().enumerate().for_each(|(index, item)| each(here.item(index), item));
            }
            (Holds::Named | Holds::NamedOrNames, Value::Object(named)) => {
                let here = here();
                let schemas = named.iter().filter(|(_, value)| value.is_object() || value.is_boolean());
                schemas.for_each(|(name, value)| each(here.member(name), value));
            }
            _ => {}
        }
    }
}

/// Calls `each` with `schema` and every schema in it, outer ones first.
pub fn walk<'a>(schema: &'a Value, place: &Place, each: &mut dyn FnMut(&Place, &'a Value)) {
    each(place, schema);
    let mut found = Vec::new();
    inside(schema, place, &mut |place, schema| found.push((place, schema)));
    for (place, schema) in found {
        walk(schema, &place, each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_found_and_data_is_left_alone() {
        let schema = serde_json::json!({
            "properties": {"properties": {"type": "string", "default": {"not": {}}}},
            "items": [{"const": 1}, true],
            "dependencies": {"a": ["b"], "c": {"minProperties": 1}},
            "enum": [{"properties": {"x": {}}}],
        });
        let mut places = Vec::new();
        walk(&schema, &Place::whole(), &mut |place, _| places.push(place.as_str().to_owned()));
        assert_eq!(places, ["", "/properties/properties", "/items/0", "/items/1", "/dependencies/c"]);
    }
}

//! Schemas that let anything through, and what is not described.

use serde_json::Value;

use super::{Finding, Kind, Offered, words};
use crate::keywords;
use crate::place::Place;

/// The most findings of one tool.
const MOST: usize = 50;

/// Last words of names of texts that are run.
const RUN: [&str; 10] =
    ["sql", "command", "cmd", "script", "code", "query", "expression", "shell", "javascript", "eval"];

/// Last words of names of texts that name something.
const NAMING: [&str; 9] = ["id", "uuid", "path", "file", "filename", "directory", "dir", "folder", "url"];

/// Keywords that bound a text.
const BOUNDS: [&str; 6] = ["pattern", "enum", "const", "maxLength", "$ref", "not"];

pub(super) fn lint(offered: &Offered<'_>, findings: &mut Vec<Finding>) {
    let mut found = Vec::new();
    let mut add = |kind, place: Place, why: String, advice: &str| {
        let tools = vec![offered.source()];
        found.push(Finding { kind, tools, place, why, advice: advice.to_owned() });
    };
    if offered.tool.description().is_none_or(|text| text.trim().is_empty()) {
        let why = "a model chooses by the description, and there is none".to_owned();
        add(
            Kind::NoDescription,
            Place::whole().member("description"),
            why,
            "describe what it does, and when to use it",
        );
    }
    let root = Place::whole().member("inputSchema");
    whole(offered.tool.input_schema(), &root, &mut add);
    keywords::walk(offered.tool.input_schema(), &root, &mut |place, schema| {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        for (name, inner) in properties {
            argument(name, inner, place.member("properties").member(name), &mut add);
        }
    });
    found.truncate(MOST);
    findings.append(&mut found);
}

/// Takes a finding.
type Add<'a> = dyn FnMut(Kind, Place, String, &str) + 'a;

/// The input schema as a whole. One that says that there are no arguments is fine.
fn whole(schema: &Value, root: &Place, add: &mut Add<'_>) {
    if schema.get("type") != Some(&"object".into()) {
        let why = "`type` is not `object`, which every revision asks for".to_owned();
        add(Kind::LooseSchema, root.clone(), why, "write `\"type\": \"object\"`");
    }
    let says = ["properties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf", "additionalProperties"];
    if !says.iter().any(|keyword| schema.get(keyword).is_some()) {
        let why = "nothing is said of its arguments: any are taken".to_owned();
        add(
            Kind::LooseSchema,
            root.clone(),
            why,
            "list its properties; where there are none, close it with `additionalProperties: false`",
        );
    } else if schema.get("additionalProperties") == Some(&true.into()) && lists_nothing(schema) {
        let why = "no properties are listed, and any are taken".to_owned();
        add(Kind::LooseSchema, root.clone(), why, "list its properties");
    }
}

fn lists_nothing(schema: &Value) -> bool {
    schema.get("properties").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
}

fn argument(name: &str, schema: &Value, place: Place, add: &mut Add<'_>) {
    let Value::Object(keywords) = schema else { return };
    let refers = ["$ref", "allOf", "anyOf", "oneOf", "enum", "const"]
        .iter()
        .any(|keyword| keywords.contains_key(*keyword));
    if !keywords.contains_key("type") && !refers {
        let why = format!("`{name}` has no type: anything is taken");
        add(Kind::LooseSchema, place.clone(), why, "give it a type");
    }
    if !["description", "title", "$ref"].iter().any(|keyword| keywords.contains_key(*keyword)) {
        add(Kind::NoDescription, place.clone(), format!("`{name}` is not described"), "describe it");
    }
    let is_text = keywords.get("type") == Some(&"string".into());
    if !is_text || BOUNDS.iter().any(|keyword| keywords.contains_key(*keyword)) {
        return;
    }
    let last = words::split(name).pop().unwrap_or_default();
    if RUN.contains(&last.as_str()) {
        let why = format!("`{name}` may be run or asked of something, and may be any text");
        add(
            Kind::FreeText,
            place,
            why,
            "bound it with `enum`, `pattern` or `maxLength`, or hold the tool for approval",
        );
    } else if NAMING.contains(&last.as_str()) {
        let why = format!("`{name}` names something, and may be any text");
        add(Kind::FreeText, place, why, "bound it with `pattern`, `enum` or `maxLength`");
    }
}

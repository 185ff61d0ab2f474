//! How much work a check is, before it is done: a short schema whose parts refer to one another can ask for more steps than
//! there is time (the "billion laughs" of schemas).

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{SchemaLimits, refusal};
use crate::keywords;
use crate::place::Place;

/// A schema, and how many steps and levels a check may take.
#[derive(Debug)]
pub(super) struct Cost {
    schema: Value,
    /// Where anchors are.
    anchors: HashMap<String, String>,
    steps: usize,
    depth: usize,
}

impl Cost {
    pub(super) fn new(schema: Value, limits: SchemaLimits) -> Self {
        let mut anchors = HashMap::new();
        keywords::walk(&schema, &Place::whole(), &mut |place, inner| {
            if let Some(anchor) = inner.get("$anchor").and_then(Value::as_str) {
                anchors.insert(anchor.to_owned(), place.as_str().to_owned());
            }
        });
        Self { schema, anchors, steps: limits.steps, depth: limits.depth }
    }

    /// Whether `value` can be checked within the limits. Counts all that a validator could look at, whatever it skips.
    pub(super) fn allows(&self, value: &Value) -> bool {
        Walk { cost: self, left: self.steps }.schema(&self.schema, value, self.depth).is_some()
    }

    fn target(&self, reference: &str) -> Option<&Value> {
        match reference.strip_prefix('#').and_then(|fragment| self.anchors.get(fragment)) {
            Some(place) => self.schema.pointer(place),
            None => refusal::target_of(&self.schema, reference),
        }
    }
}

struct Walk<'a> {
    cost: &'a Cost,
    left: usize,
}

impl Walk<'_> {
    /// One schema and one value, with so many levels left; nothing where there are no steps or levels left.
    fn schema(&mut self, schema: &Value, value: &Value, levels: usize) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        let levels = levels.checked_sub(1)?;
        let Value::Object(keywords) = schema else { return Some(()) };
        for (keyword, inner) in keywords {
            self.keyword(keywords, keyword, inner, value, levels)?;
        }
        Some(())
    }

    fn keyword(
        &mut self,
        all: &Map<String, Value>,
        keyword: &str,
        inner: &Value,
        value: &Value,
        levels: usize,
    ) -> Option<()> {
        match (keyword, inner, value) {
            ("$ref", Value::String(reference), _) => {
                let target = self.cost.target(reference)?;
                self.schema(target, value, levels)
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(list), _) => {
                list.iter().try_for_each(|inner| self.schema(inner, value, levels))
            }
            ("not" | "if" | "then" | "else", _, _) => self.schema(inner, value, levels),
            ("dependentSchemas" | "dependencies", Value::Object(named), Value::Object(_)) => {
                named.values().try_for_each(|inner| self.schema(inner, value, levels))
            }
            ("properties", Value::Object(named), Value::Object(members)) => {
                let mut pairs = members.iter().filter_map(|(name, value)| Some((named.get(name)?, value)));
                pairs.try_for_each(|(inner, value)| self.schema(inner, value, levels))
            }
            ("patternProperties", Value::Object(named), Value::Object(members)) => members
                .values()
                .try_for_each(|value| named.values().try_for_each(|inner| self.schema(inner, value, levels))),
            ("additionalProperties" | "unevaluatedProperties", _, Value::Object(members)) => {
                let listed = all.get("properties").and_then(Value::as_object);
                let mut others = members
                    .iter()
                    .filter(|(name, _)| listed.is_none_or(|listed| !listed.contains_key(name.as_str())));
                others.try_for_each(|(_, value)| self.schema(inner, value, levels))
            }
            ("propertyNames", _, Value::Object(members)) => {
                members.values().try_for_each(|_| self.schema(inner, &Value::Null, levels))
            }
            ("prefixItems" | "items", Value::Array(list), Value::Array(values)) => {
                list.iter().zip(values).try_for_each(|(inner, value)| self.schema(inner, value, levels))
            }
            ("items" | "additionalItems" | "contains" | "unevaluatedItems", _, Value::Array(values)) => {
                values.iter().try_for_each(|value| self.schema(inner, value, levels))
            }
            ("enum", Value::Array(allowed), _) => {
                self.left = self.left.checked_sub(allowed.len() / 16)?;
                Some(())
            }
            _ => Some(()),
        }
    }
}

//! Why a schema cannot be used, found before anything is compiled where that can be.

use std::collections::BTreeSet;
use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::{SchemaLimits, explain};
use crate::hidden;
use crate::keywords;
use crate::place::Place;

/// Which of a tool's schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `inputSchema`.
    Input,
    /// `outputSchema`.
    Output,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "inputSchema",
            Self::Output => "outputSchema",
        })
    }
}

/// A schema that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{side}: {why}")]
pub struct SchemaRefusal {
    /// Which.
    pub side: Side,
    /// Why.
    pub why: Why,
}

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// `$schema` names no draft that is known here.
    #[error("`$schema` is `{0}`, which is no draft that is known")]
    Draft(String),
    /// A reference to something that is not in the schema, or by means that are not followed (`$dynamicRef`,
    /// `$recursiveRef`, a resource with an `$id` of its own).
    #[error("{place}: `{target}` is not within the schema; nothing is fetched")]
    Reference {
        /// Where it stands.
        place: Place,
        /// What it refers to.
        target: String,
    },
    /// More references than the limit.
    #[error("{count} references, and at most {most} are followed")]
    References {
        /// How many there are.
        count: usize,
        /// The limit.
        most: usize,
    },
    /// More levels than the limit.
    #[error("{levels} levels with what is referred to, and at most {most} are followed")]
    Levels {
        /// How many there are.
        levels: usize,
        /// The limit.
        most: usize,
    },
    /// No valid schema: a keyword of a wrong type, or a pattern that does not compile or is too large.
    #[error("{place}: no valid schema: {why}")]
    Invalid {
        /// Where.
        place: Place,
        /// What is wrong.
        why: String,
    },
}

/// The drafts that are known, without scheme and `#`.
const DRAFTS: [&str; 5] = [
    "json-schema.org/draft/2020-12/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft-06/schema",
    "json-schema.org/draft-04/schema",
];

/// Looks for what is refused without compiling.
pub(super) fn examine(schema: &Value, limits: SchemaLimits) -> Result<(), Why> {
    known_draft(schema)?;
    let mut references = Vec::new();
    let mut odd = None;
    keywords::walk(schema, &Place::whole(), &mut |place, inner| {
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef", "$id", "id"] {
            let Some(target) = inner.get(keyword).and_then(Value::as_str) else { continue };
            let is_root_id = matches!(keyword, "$id" | "id") && place.as_str().is_empty();
            if keyword == "$ref" {
                references.push((place.member("$ref"), target));
            } else if !is_root_id && odd.is_none() {
                odd = Some((place.member(keyword), target));
            }
        }
    });
    if references.len() > limits.references {
        return Err(Why::References { count: references.len(), most: limits.references });
    }
    let lost = references.iter().find(|(_, target)| target_of(schema, target).is_none()).cloned();
    // Parts with an identity of their own are only in the way of references.
    let odd = odd.filter(|(place, _)| !references.is_empty() || place.as_str().ends_with("Ref"));
    if let Some((place, target)) = lost.or(odd) {
        return Err(Why::Reference { place, target: hidden::excerpt(target, 200) });
    }
    let targets: BTreeSet<&str> = references.iter().map(|(_, target)| *target).collect();
    let behind = targets.iter().filter_map(|target| target_of(schema, target)).map(depth);
    let levels = depth(schema).saturating_add(behind.sum());
    if levels > limits.levels { Err(Why::Levels { levels, most: limits.levels }) } else { Ok(()) }
}

fn known_draft(schema: &Value) -> Result<(), Why> {
    let Some(named) = schema.get("$schema") else { return Ok(()) };
    let text = named.as_str().unwrap_or_default();
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    if DRAFTS.contains(&bare.trim_end_matches('#')) {
        Ok(())
    } else {
        Err(Why::Draft(hidden::excerpt(text, 200)))
    }
}

/// What `reference` leads to within `root`: by pointer, or by `$anchor`.
pub(super) fn target_of<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = reference.strip_prefix('#')?;
    if fragment.is_empty() || fragment.starts_with('/') {
        return root.pointer(fragment);
    }
    let mut found = None;
    keywords::walk(root, &Place::whole(), &mut |_, schema| {
        if schema.get("$anchor").and_then(Value::as_str) == Some(fragment) {
            found = Some(schema);
        }
    });
    found
}

/// How many levels of schemas `schema` has.
fn depth(schema: &Value) -> usize {
    let mut deepest = 0;
    keywords::inside(schema, &Place::whole(), &mut |_, inner| deepest = deepest.max(depth(inner)));
    deepest + 1
}

/// What the compiler refuses.
pub(super) fn not_built(error: &ValidationError<'_>) -> Why {
    let place = Place::at(error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::Referencing(why) => {
            Why::Reference { place, target: hidden::excerpt(&why.to_string(), 200) }
        }
        ValidationErrorKind::Format { format } if format == "regex" => {
            Why::Invalid { place, why: "the pattern does not compile, or is too large".to_owned() }
        }
        _ => {
            let problem = explain::problem(error);
            Why::Invalid { place, why: format!("expected {}, got {}", problem.expected, problem.got) }
        }
    }
}

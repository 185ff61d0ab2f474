//! What is wrong with a value, for who sent it: where, what was expected, and what sort of thing came. Of texts only how
//! long they are: they may be secrets.

use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use crate::hidden;
use crate::place::Place;

/// The longest piece of a schema that is quoted, in characters.
const LONGEST: usize = 200;

/// The longest name of a member that is quoted, and the most of them.
const LONGEST_NAME: usize = 64;
const MOST_NAMES: usize = 5;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, in the arguments or the result.
    pub place: Place,
    /// What was expected there.
    pub expected: String,
    /// What sort of thing came.
    pub got: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.place, self.expected, self.got)
    }
}

/// `error` in these words.
pub(super) fn problem(error: &ValidationError<'_>) -> Problem {
    let got = match error.kind() {
        ValidationErrorKind::Required { .. } => "nothing".to_owned(),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => names(unexpected),
        _ => kind(error.instance()),
    };
    Problem { place: Place::at(error.instance_path().as_str()), expected: expected(error.kind()), got }
}

/// What sort of value `value` is. Numbers and truth values are shown, texts are not.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("a text of {} characters", text.chars().count()),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) => format!("an object with {} members", members.len()),
    }
}

fn expected(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind } => types(kind),
        Kind::Required { property } => format!("the member {}", quoted(property)),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "no other members".to_owned()
        }
        Kind::AdditionalItems { limit } => format!("at most {limit} items"),
        Kind::UnevaluatedItems { .. } => "no other items".to_owned(),
        Kind::Enum { options } => format!("one of {}", quoted(options)),
        Kind::Constant { expected_value } => quoted(expected_value),
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("at least {limit} characters"),
        Kind::MaxLength { limit } => format!("at most {limit} characters"),
        Kind::MinItems { limit } => format!("at least {limit} items"),
        Kind::MaxItems { limit } => format!("at most {limit} items"),
        Kind::MinProperties { limit } => format!("at least {limit} members"),
        Kind::MaxProperties { limit } => format!("at most {limit} members"),
        Kind::UniqueItems => "no item twice".to_owned(),
        Kind::Contains => "an item that fits `contains`".to_owned(),
        Kind::Pattern { pattern } => format!("a text like `{}`", hidden::excerpt(pattern, LONGEST)),
        Kind::Format { format } => format!("the format `{}`", hidden::excerpt(format, LONGEST)),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "a text that the pattern can be tried on within the limit".to_owned()
        }
        Kind::AnyOf { .. } => "what one of `anyOf` allows".to_owned(),
        Kind::OneOfNotValid { .. } => "what one of `oneOf` allows".to_owned(),
        Kind::OneOfMultipleValid { .. } => "what just one of `oneOf` allows".to_owned(),
        Kind::Not { .. } => "not what `not` says".to_owned(),
        Kind::FalseSchema => "nothing".to_owned(),
        Kind::PropertyNames { .. } => "members with names that `propertyNames` allows".to_owned(),
        other => format!("what `{}` says", hidden::excerpt(other.keyword(), LONGEST_NAME)),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(many) => many.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or "),
    }
}

fn quoted(value: &Value) -> String {
    hidden::excerpt(&value.to_string(), LONGEST)
}

fn names(names: &[String]) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| format!("`{}`", hidden::excerpt(name, LONGEST_NAME)))
        .collect();
    if names.len() > MOST_NAMES {
        shown.push(format!("and {} more", names.len() - MOST_NAMES));
    }
    shown.join(", ")
}

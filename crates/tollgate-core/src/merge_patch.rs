//! JSON merge patches (RFC 7396), and from what somebody wrote to what a document is said to be. What is not a member of
//! it is refused: nobody sets by accident, or on purpose, what is not theirs to set.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::access::SpecError;

/// What `spec` is after `patch`, of which only `members` may be patched: what is null goes back to what it is when nobody
/// says anything.
pub fn merged<S: Serialize>(spec: &S, patch: Value, members: &[&str]) -> Result<Value, SpecError> {
    let Value::Object(patch) = patch else {
        return Err(wrong("", "a JSON object is expected".to_owned()));
    };
    if let Some(unknown) = patch.keys().find(|member| !members.contains(&member.as_str())) {
        let why = format!("there is no such member, or it cannot be set: {}", members.join(", "));
        return Err(wrong(unknown, why));
    }
    let mut whole = serde_json::to_value(spec).map_err(|error| wrong("", error.to_string()))?;
    merge(&mut whole, Value::Object(patch));
    Ok(whole)
}

/// Reads what was merged; a mistake is told with the member that it is in.
pub fn read<S: DeserializeOwned>(whole: Value) -> Result<S, SpecError> {
    serde_path_to_error::deserialize(whole)
        .map_err(|error| wrong(&error.path().to_string(), error.inner().to_string()))
}

fn wrong(member: &str, why: String) -> SpecError {
    SpecError { member: member.to_owned(), why }
}

/// Changes `target` as `patch` says (RFC 7396 §2): what is null is taken away.
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (member, value) in patch {
        if value.is_null() {
            target.remove(&member);
        } else {
            merge(target.entry(member).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Examples of the specification's appendix A.
    #[test]
    fn what_the_specification_says() {
        for (mut target, patch, result) in [
            (json!({ "a": "b" }), json!({ "a": "c", "b": 1 }), json!({ "a": "c", "b": 1 })),
            (json!({ "a": "b", "b": "c" }), json!({ "a": null }), json!({ "b": "c" })),
            (json!({ "a": [{ "b": "c" }] }), json!({ "a": [1] }), json!({ "a": [1] })),
            (
                json!({ "a": { "b": "c" } }),
                json!({ "a": { "b": "d", "c": null } }),
                json!({ "a": { "b": "d" } }),
            ),
            (json!([1, 2]), json!({ "a": "b", "c": null }), json!({ "a": "b" })),
        ] {
            merge(&mut target, patch);
            assert_eq!(target, result);
        }
    }
}

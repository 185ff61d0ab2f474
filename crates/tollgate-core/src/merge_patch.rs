//! JSON merge patches (RFC 7396).

use serde_json::{Map, Value};

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

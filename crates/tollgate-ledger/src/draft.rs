//! From what somebody wrote to what a holder is said to be. What is not a member of it is refused: nobody sets by
//! accident, or on purpose, what is not theirs to set.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tollgate_core::access::{KeySpec, SpecError, TeamSpec, UserSpec};
use tollgate_core::ledger::{Budget, Window};
use tollgate_core::merge_patch::{merged, read};

/// What can be said of a kind of holder.
pub(crate) trait Spec: Serialize + DeserializeOwned + Default {
    const MEMBERS: &'static [&'static str];
    fn check(&self) -> Result<(), SpecError>;
    fn budgets(&mut self) -> &mut [Budget];
}

macro_rules! spec {
    ($($name:ident)+) => {$(
        impl Spec for $name {
            const MEMBERS: &'static [&'static str] = $name::MEMBERS;
            fn check(&self) -> Result<(), SpecError> {
                $name::check(self)
            }
            fn budgets(&mut self) -> &mut [Budget] {
                &mut self.budgets
            }
        }
    )+};
}

spec!(KeySpec UserSpec TeamSpec);

/// What `spec` is after `patch`, a JSON merge patch (RFC 7396): what is null goes back to what it is when nobody says
/// anything.
pub(crate) fn patched<S: Spec>(spec: &S, patch: Value, now: Timestamp) -> Result<S, SpecError> {
    let mut whole = merged(spec, patch, S::MEMBERS)?;
    name_rules(&mut whole);
    let mut spec: S = read(whole)?;
    for budget in spec.budgets() {
        if matches!(budget.window, Window::Every(_)) {
            budget.since.get_or_insert(now);
        }
    }
    spec.check()?;
    Ok(spec)
}

/// A rule without a name is called by what it is: `month`, `requests-minute`.
fn name_rules(whole: &mut Value) {
    for (list, parts) in [("budgets", &["window"][..]), ("limits", &["measure", "effects", "per"][..])] {
        for rule in whole
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            if !rule.contains_key("id") {
                let of = |part: &&str| match rule.get(*part) {
                    Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
                    Some(Value::String(word)) => vec![word.as_str()],
                    _ => Vec::new(),
                };
                let words: Vec<&str> = parts.iter().flat_map(of).collect();
                let id = words.join("-");
                rule.insert("id".to_owned(), Value::String(id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_core::access::Role;

    use super::*;

    fn patch(spec: &KeySpec, patch: Value) -> Result<KeySpec, String> {
        patched(spec, patch, Timestamp::UNIX_EPOCH).map_err(|error| error.to_string())
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_takes_back() {
        let spec = patch(
            &KeySpec::default(),
            json!({ "alias": "a", "role": "auditor", "metadata": { "x": 1, "y": 2 } }),
        );
        let spec = spec.unwrap();
        let spec = patch(&spec, json!({ "alias": null, "metadata": { "x": null, "z": [] } })).unwrap();
        assert_eq!((spec.alias, spec.role), (None, Role::Auditor));
        assert_eq!(Value::Object(spec.metadata), json!({ "y": 2, "z": [] }));
    }

    #[test]
    fn nobody_sets_what_is_not_theirs_to_set() {
        for member in ["id", "hash", "prefix", "rotation", "created_at", "kind", "spent", "Role", "role "] {
            let error = patch(&KeySpec::default(), json!({ member: "x" })).unwrap_err();
            assert!(error.starts_with(&format!("{member}: there is no such member")), "{error}");
        }
        let error = patch(
            &KeySpec::default(),
            json!({ "budgets": [{ "amount_usd": 1, "window": "day", "spent": 0 }] }),
        );
        assert!(error.unwrap_err().starts_with("budgets[0]"), "also inside of it");
        assert!(
            patch(&KeySpec::default(), json!({ "role": "god" }))
                .unwrap_err()
                .starts_with("role: unknown variant")
        );
        assert!(patch(&KeySpec::default(), json!([1])).is_err());
    }

    #[test]
    fn a_rule_without_a_name_is_called_by_what_it_is() {
        let spec = patch(&KeySpec::default(), json!({
            "budgets": [{ "amount_usd": 5, "window": "30d" }],
            "limits": [{ "measure": "requests", "max": 3, "per": "minute" }, { "measure": "concurrent_calls", "max": 2 }],
        }))
        .unwrap();
        assert_eq!(spec.budgets[0].id, "30d");
        assert_eq!(spec.budgets[0].since, Some(Timestamp::UNIX_EPOCH), "counted from its making");
        assert_eq!((&*spec.limits[0].id, &*spec.limits[1].id), ("requests-minute", "concurrent_calls"));
    }
}

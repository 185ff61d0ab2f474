//! LiteLLM's budgets and limits, which are members of a holder, to rules of ours, and back.
//!
//! A rule that was made here is called by their member. Where a holder's rule was made by another name, the first of the
//! same shape is meant by the member: what is shown and what is changed is one rule.

use serde_json::{Value, json};
use tollgate_core::access::ModelPattern;
use tollgate_core::ledger::{Budget, Limit, Measure, Usd, Window};

use super::{Body, duration};
use crate::error::ApiError;

/// Their members for a whole budget, and whether it only warns.
pub(super) const BUDGETS: [(&str, bool); 2] = [("max_budget", false), ("soft_budget", true)];

/// Their members for limits, and what each counts.
pub(super) const LIMITS: [(&str, Measure); 3] = [
    ("tpm_limit", Measure::Tokens),
    ("rpm_limit", Measure::Requests),
    ("max_parallel_requests", Measure::ConcurrentCalls),
];

/// Their member for budgets by model.
pub(super) const MODEL_BUDGETS: &str = "model_max_budget";

/// Their members for limits by model, and what each counts.
pub(super) const MODEL_LIMITS: [(&str, Measure); 2] =
    [("model_tpm_limit", Measure::Tokens), ("model_rpm_limit", Measure::Requests)];

/// The budget that `member` means.
pub(super) fn budget<'a>(all: &'a [Budget], member: &str, soft: bool) -> Option<&'a Budget> {
    let at = budget_at(all, member, soft)?;
    all.get(at)
}

fn budget_at(all: &[Budget], member: &str, soft: bool) -> Option<usize> {
    let by_name = all.iter().position(|budget| budget.id == member);
    by_name.or_else(|| all.iter().position(|budget| budget.soft == soft && budget.models.is_none()))
}

/// The limit that `member` means.
pub(super) fn limit<'a>(all: &'a [Limit], member: &str, measure: Measure) -> Option<&'a Limit> {
    let at = limit_at(all, member, measure)?;
    all.get(at)
}

fn limit_at(all: &[Limit], member: &str, measure: Measure) -> Option<usize> {
    let same =
        |limit: &Limit| limit.measure == measure && limit.per == per(measure) && limit.models.is_none();
    let by_name = all.iter().position(|limit| limit.id == member);
    by_name.or_else(|| all.iter().position(same))
}

fn per(measure: Measure) -> Option<Window> {
    (measure != Measure::ConcurrentCalls).then_some(Window::Minute)
}

/// Whether a rule's name is that of `member` for one model.
pub(super) fn is_of_model(id: &str, member: &str) -> bool {
    id.strip_prefix(member).is_some_and(|rest| rest.starts_with('.'))
}

/// The budgets of a holder that has those `before`, after a request says `body`.
pub(super) fn budgets(body: &Body, before: &[Budget]) -> Result<Vec<Budget>, ApiError> {
    let mut all = before.to_vec();
    let window = match body.get("budget_duration") {
        None => None,
        Some(Value::Null) => Some(Window::Total),
        Some(text) => Some(duration::window("budget_duration", text)?),
    };
    for (member, soft) in BUDGETS {
        let at = budget_at(&all, member, soft);
        match (body.get(member), at) {
            (Some(value), Some(at)) if is_nothing(value) => drop(all.remove(at)),
            (Some(value), _) if is_nothing(value) => {}
            (Some(said), None) => {
                let amount = amount(member, said)?;
                let same = budget(&all, "max_budget", false).map(|budget| budget.window);
                let window = window.or(same).unwrap_or(Window::Total);
                all.push(made(member, json!({ "amount_usd": amount, "window": window, "soft": soft }))?);
            }
            (Some(said), Some(at)) => all[at].amount_usd = amount(member, said)?,
            (None, _) => {}
        }
        if let (Some(window), Some(at)) = (window, budget_at(&all, member, soft))
            && all[at].window != window
        {
            all[at].window = window;
            all[at].since = None;
        }
    }
    if window.is_some_and(|window| window != Window::Total) && all.is_empty() && !has(body, MODEL_BUDGETS) {
        return Err(ApiError::of(
            "budget_duration",
            "there is no budget that it could be the window of: say `max_budget`",
        ));
    }
    strict(body, &mut all)?;
    increase(body, &mut all)?;
    of_models(body, &mut all)?;
    Ok(all)
}

/// `metadata: {"strict": true}` makes of `max_budget` one that is never passed.
fn strict(body: &Body, all: &mut [Budget]) -> Result<(), ApiError> {
    let said = body.get("metadata").and_then(|metadata| metadata.get("strict"));
    let Some(strict) = said.filter(|said| !said.is_null()) else { return Ok(()) };
    let strict = strict.as_bool().ok_or_else(|| ApiError::of("metadata.strict", "true or false"))?;
    match budget_at(all, "max_budget", false) {
        Some(at) => all[at].strict = strict,
        None if strict => {
            return Err(ApiError::of("metadata.strict", "there is no `max_budget` that could be strict"));
        }
        None => {}
    }
    Ok(())
}

/// More than `max_budget`, for a while.
fn increase(body: &Body, all: &mut [Budget]) -> Result<(), ApiError> {
    let (more, until) = (body.get("temp_budget_increase"), body.get("temp_budget_expiry"));
    let said = |value: &Option<&Value>| value.is_some_and(|value| !value.is_null());
    match (said(&more), said(&until)) {
        (false, false) => Ok(()),
        (true, true) => {
            let Some(at) = budget_at(all, "max_budget", false) else {
                return Err(ApiError::of("temp_budget_increase", "there is no `max_budget` to be increased"));
            };
            all[at].increase =
                Some(read("temp_budget_increase", &json!({ "amount_usd": more, "until": until }))?);
            Ok(())
        }
        _ => Err(ApiError::of(
            "temp_budget_increase",
            "`temp_budget_increase` and `temp_budget_expiry` go together",
        )),
    }
}

/// `{"gpt-4o": 5.0}`, or `{"gpt-4o": {"budget_limit": 5.0, "time_period": "30d"}}`.
fn of_models(body: &Body, all: &mut Vec<Budget>) -> Result<(), ApiError> {
    let Some(said) = by_model(body, MODEL_BUDGETS)? else { return Ok(()) };
    let before = take(all, |budget| is_of_model(&budget.id, MODEL_BUDGETS));
    for (model, value) in said {
        let (amount, window) = match value {
            Value::Object(more) => {
                let amount = more.get("budget_limit").or_else(|| more.get("max_budget"));
                let period = more.get("time_period").or_else(|| more.get("budget_duration"));
                let window = period.filter(|period| !period.is_null());
                (amount, window.map(|period| duration::window(MODEL_BUDGETS, period)).transpose()?)
            }
            amount => (Some(amount), None),
        };
        let id = id_of(MODEL_BUDGETS, model);
        let window = window.unwrap_or(Window::Total);
        let amount = self::amount(&id, amount.unwrap_or(&Value::Null))?;
        let mut budget = made(&id, json!({ "amount_usd": amount, "window": window, "models": [model] }))?;
        budget.since = before.iter().find(|b| b.id == id && b.window == window).and_then(|b| b.since);
        all.push(budget);
    }
    Ok(())
}

/// The limits of a holder that has those `before`, after a request says `body`.
pub(super) fn limits(body: &Body, before: &[Limit]) -> Result<Vec<Limit>, ApiError> {
    let mut all = before.to_vec();
    for (member, measure) in LIMITS {
        let Some(value) = body.get(member) else { continue };
        let at = limit_at(&all, member, measure);
        match (is_nothing(value), at) {
            (true, Some(at)) => drop(all.remove(at)),
            (true, None) => {}
            (false, Some(at)) => all[at].max = read(member, value)?,
            (false, None) => all.push(limit_of(member, measure, None, read(member, value)?)),
        }
    }
    for (member, measure) in MODEL_LIMITS {
        let Some(said) = by_model(body, member)? else { continue };
        take(&mut all, |limit| is_of_model(&limit.id, member));
        for (model, max) in said {
            let pattern = read(member, &json!(model))?;
            all.push(limit_of(&id_of(member, model), measure, Some(vec![pattern]), read(member, max)?));
        }
    }
    Ok(all)
}

fn limit_of(id: &str, measure: Measure, models: Option<Vec<ModelPattern>>, max: u64) -> Limit {
    Limit { id: id.to_owned(), measure, max, per: per(measure), models, effects: None }
}

/// A rule's name for one model: readable where the model's is plain, and one to one in any case.
fn id_of(member: &str, model: &str) -> String {
    // So many bytes are left of a rule's name.
    const LONGEST: usize = 30;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if model.len() <= LONGEST && model.chars().all(plain) {
        return format!("{member}.{model}");
    }
    let like: String = model.chars().take(LONGEST).map(|c| if plain(c) { c } else { '_' }).collect();
    // FNV-1a, which is the same in every version.
    let sum =
        model.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{member}.{like}_{sum:08x}")
}

/// The members of an object of models; `None` where nothing is said.
fn by_model<'a>(body: &'a Body, member: &str) -> Result<Option<Vec<(&'a String, &'a Value)>>, ApiError> {
    match body.get(member) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(Vec::new())),
        Some(Value::Object(models)) => Ok(Some(models.iter().collect())),
        Some(_) => Err(ApiError::of(member, format!("`{member}` is an object of models"))),
    }
}

fn take<T>(all: &mut Vec<T>, which: impl Fn(&T) -> bool) -> Vec<T> {
    let (taken, left) = std::mem::take(all).into_iter().partition(which);
    *all = left;
    taken
}

/// An amount of money. A number that somebody's program has reckoned (`0.1 + 0.2`) is finer than anybody means.
pub(super) fn amount(member: &str, value: &Value) -> Result<Usd, ApiError> {
    let rounded = value.as_f64().filter(|_| value.is_f64()).map(|number| json!(format!("{number:.9}")));
    read(member, rounded.as_ref().unwrap_or(value))
}

fn made(id: &str, mut said: Value) -> Result<Budget, ApiError> {
    said["id"] = json!(id);
    read(id, &said)
}

fn read<T: serde::de::DeserializeOwned>(member: &str, value: &Value) -> Result<T, ApiError> {
    serde_json::from_value(value.clone()).map_err(|error| ApiError::of(member, error.to_string()))
}

/// What takes a rule away. Some clients send an empty text for no number.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn has(body: &Body, member: &str) -> bool {
    body.get(member).and_then(Value::as_object).is_some_and(|members| !members.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: Value, before: Value) -> Result<Value, (Option<String>, String)> {
        let before: Vec<Budget> = serde_json::from_value(before).unwrap();
        let after = budgets(body.as_object().unwrap(), &before);
        after.map(|after| json!(after)).map_err(|error| (error.member, error.detail))
    }

    #[test]
    fn a_budget_is_theirs_over_its_window() {
        let made = said(json!({ "max_budget": 10, "budget_duration": "30d", "soft_budget": 8 }), json!([]));
        assert_eq!(
            made,
            Ok(json!([
                { "id": "max_budget", "amount_usd": "10", "window": "30d" },
                { "id": "soft_budget", "amount_usd": "8", "window": "30d", "soft": true },
            ]))
        );
        let reckoned = said(json!({ "max_budget": 0.1 + 0.2 }), json!([])).unwrap();
        assert_eq!(reckoned[0]["amount_usd"], "0.3");
        let total = said(json!({ "max_budget": "0.5", "metadata": { "strict": true } }), json!([]));
        assert_eq!(
            total,
            Ok(json!([{ "id": "max_budget", "amount_usd": "0.5", "window": "total", "strict": true }]))
        );
        assert_eq!(said(json!({ "max_budget": null }), json!([])), Ok(json!([])));
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let before = json!([{
            "id": "monthly", "amount_usd": "10", "window": "30d", "strict": true, "since": "2026-01-01T00:00:00Z",
        }]);
        let after = said(json!({ "max_budget": 20 }), before.clone()).unwrap();
        assert_eq!((&after[0]["amount_usd"], &after[0]["since"]), (&json!("20"), &before[0]["since"]));
        assert_eq!((after.as_array().unwrap().len(), &after[0]["strict"]), (1, &json!(true)));
        let after = said(json!({ "budget_duration": "1mo" }), before.clone()).unwrap();
        assert_eq!((&after[0]["window"], after[0].get("since")), (&json!("month"), None));
        assert_eq!(said(json!({ "max_budget": null }), before.clone()), Ok(json!([])));
        let more = json!({ "temp_budget_increase": 5, "temp_budget_expiry": "2026-02-01T00:00:00Z" });
        assert_eq!(said(more, before).unwrap()[0]["increase"]["amount_usd"], "5");
    }

    /// Promise 5.
    #[test]
    fn what_cannot_hold_is_refused_with_its_member() {
        for (body, member) in [
            (json!({ "max_budget": -1 }), "max_budget"),
            (json!({ "max_budget": "many" }), "max_budget"),
            (json!({ "budget_duration": "30d" }), "budget_duration"),
            (json!({ "max_budget": 1, "budget_duration": "30s" }), "budget_duration"),
            (json!({ "metadata": { "strict": true } }), "metadata.strict"),
            (json!({ "max_budget": 1, "temp_budget_increase": 1 }), "temp_budget_increase"),
            (json!({ "model_max_budget": { "a": { "limit": 1 } } }), "model_max_budget.a"),
            (json!({ "model_max_budget": [1] }), "model_max_budget"),
        ] {
            assert_eq!(said(body.clone(), json!([])).unwrap_err().0.as_deref(), Some(member), "{body}");
        }
    }

    #[test]
    fn models_have_rules_of_their_own() {
        let body = json!({ "model_max_budget": { "gpt-4o": 1.5, "a/b": { "budget_limit": 2, "time_period": "1d" } } });
        let after = said(body, json!([])).unwrap();
        assert_eq!(
            (&after[0]["id"], &after[0]["models"]),
            (&json!("model_max_budget.gpt-4o"), &json!(["gpt-4o"]))
        );
        assert_eq!((&after[1]["window"], &after[1]["models"]), (&json!("1d"), &json!(["a/b"])));
        assert_ne!(id_of("x", "a/b"), id_of("x", "a_b"));
        assert!(id_of("model_max_budget", &"é".repeat(200)).len() <= 64);
        let body =
            json!({ "rpm_limit": 5, "max_parallel_requests": 2, "model_tpm_limit": { "gpt-4o": 100 } });
        let limits = limits(body.as_object().unwrap(), &[]).unwrap();
        assert_eq!(
            json!(limits),
            json!([
                { "id": "rpm_limit", "measure": "requests", "max": 5, "per": "minute" },
                { "id": "max_parallel_requests", "measure": "concurrent_calls", "max": 2 },
                { "id": "model_tpm_limit.gpt-4o", "measure": "tokens", "max": 100, "per": "minute", "models": ["gpt-4o"] },
            ])
        );
    }
}

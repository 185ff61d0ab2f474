//! Holders as LiteLLM shows them.

use serde_json::{Value, json};
use tollgate_core::access::{Account, Holder, Key, Team, TeamRole, User};
use tollgate_core::ledger::{Meter, Standing, Usd};

use super::rules::{self, BUDGETS, LIMITS, MODEL_BUDGETS, MODEL_LIMITS};
use super::{Body, duration, models, roles};
use crate::Sources;
use crate::who::Who;

/// A holder of any kind.
pub(super) fn holder(sources: &Sources, who: &Who, account: &Account) -> Value {
    let own = match &account.holder {
        Holder::Key(key) => of_key(who, &account.holder, key),
        Holder::User(user) => of_user(&account.holder, user),
        Holder::Team(team) => of_team(team),
    };
    let mut shown = of_all(&account.holder);
    if let (Some(shown), Value::Object(own)) = (shown.as_object_mut(), own) {
        shown.extend(own);
        shown.extend(of_rules(sources, account));
    }
    shown
}

fn of_all(holder: &Holder) -> Value {
    json!({ "blocked": holder.blocked(), "models": models::written(holder.models()), "created_at": holder.created_at() })
}

/// A key. Its hash is for those only who may change it: one that somebody chose can be guessed from it.
fn of_key(who: &Who, holder: &Holder, key: &Key) -> Value {
    let token = if who.changes(holder) { key.hash.to_string() } else { key.id.to_string() };
    json!({
        "token": token,
        "key_id": key.id,
        "key_name": if key.prefix.contains("...") { key.prefix.clone() } else { format!("{}...", key.prefix) },
        "key_alias": key.spec.alias,
        "user_id": key.spec.user,
        "team_id": key.spec.team,
        "expires": key.spec.expires_at,
        "metadata": key.spec.metadata,
        "updated_at": key.updated_at,
        "aliases": {}, "config": {}, "permissions": {},
    })
}

fn of_user(holder: &Holder, user: &User) -> Value {
    let mut metadata = user.spec.metadata.clone();
    metadata.remove(roles::MEMBER);
    json!({
        "user_id": user.id,
        "user_alias": user.spec.alias,
        "user_email": user.spec.email,
        "user_role": roles::written(holder),
        "metadata": metadata,
        "updated_at": user.updated_at,
    })
}

fn of_team(team: &Team) -> Value {
    let members = team.spec.members.iter().map(|member| {
        let role = if member.role == TeamRole::Admin { "admin" } else { "user" };
        json!({ "user_id": member.user, "user_email": null, "role": role })
    });
    let members: Vec<Value> = members.collect();
    json!({
        "team_id": team.id,
        "team_alias": team.spec.alias,
        "members_with_roles": members,
        "admins": [], "members": [],
        "metadata": team.spec.metadata,
        "updated_at": team.updated_at,
    })
}

/// Budgets, what is spent of them, and limits.
fn of_rules(sources: &Sources, account: &Account) -> Body {
    let standings = sources.registrar.ledger().standings(account, sources.clock.now());
    let of = |id: &str| standings.iter().find(|(meter, _)| meter.id() == id);
    let (budgets, limits) = (account.holder.budgets(), account.holder.limits());
    let mut shown = Body::new();
    let mut say = |member: &str, value: Value| shown.insert(member.to_owned(), value);
    let [hard, soft] = BUDGETS.map(|(member, soft)| rules::budget(budgets, member, soft));
    say("max_budget", json!(hard.map(|budget| dollars(budget.amount_usd))));
    say("soft_budget", json!(soft.map(|budget| dollars(budget.amount_usd))));
    let counting = hard.or(soft);
    say("budget_duration", json!(counting.and_then(|budget| duration::written(budget.window))));
    let standing = counting.and_then(|budget| of(&budget.id)).map(|(_, standing)| standing);
    say("budget_reset_at", json!(standing.and_then(|standing| standing.window.end)));
    // What nothing counts is not known, which is not the same as nothing.
    say("spend", json!(standing.map(|standing| dollars(Usd::from_nano(standing.spent)))));
    for (member, measure) in LIMITS {
        say(member, json!(rules::limit(limits, member, measure).map(|limit| limit.max)));
    }
    let of_models = |member: &str, value: &dyn Fn(&Meter, &Standing) -> Value| -> Value {
        let named = standings.iter().filter(|(meter, _)| rules::is_of_model(meter.id(), member));
        let each = named.filter_map(|(meter, standing)| Some((model_of(meter)?, value(meter, standing))));
        Value::Object(each.collect())
    };
    say(
        MODEL_BUDGETS,
        of_models(MODEL_BUDGETS, &|meter, standing| {
            let period = meter.window().and_then(duration::written);
            json!({ "budget_limit": dollars(Usd::from_nano(standing.ceiling)), "time_period": period })
        }),
    );
    let spent = of_models(MODEL_BUDGETS, &|_, standing| json!(dollars(Usd::from_nano(standing.spent))));
    say("model_spend", spent);
    for (member, _) in MODEL_LIMITS {
        say(member, of_models(member, &|_, standing| json!(standing.ceiling)));
    }
    shown
}

fn model_of(meter: &Meter) -> Option<String> {
    let models = match &meter.rule {
        tollgate_core::ledger::Rule::Budget(budget) => budget.models.as_ref(),
        tollgate_core::ledger::Rule::Limit(limit) => limit.models.as_ref(),
    };
    models?.first().map(|model| model.as_str().to_owned())
}

/// An amount as a number, which is what their clients read. Ours write it exactly.
pub(super) fn dollars(amount: Usd) -> Value {
    serde_json::from_str(&amount.to_string()).unwrap_or_default()
}

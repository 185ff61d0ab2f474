//! Calls of keys that the gate has given out, through the whole gate: who is let in, what may be called, what is held and
//! counted, what the records say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;

use http::Request;
use serde_json::{Value, json};
use tollgate_core::access::{HolderKind, HolderRef};
use tollgate_core::record::Counts;
use tollgate_ledger::RegistrarError;
use tollgate_testkit::{MemoryRegistry, Reply};

use support::{CONFIG, Governed, budget, root, why};

#[tokio::test]
async fn a_key_calls_in_its_own_name_and_belongs_to_a_user_and_a_team() {
    let governed = Governed::new().await;
    governed.made(HolderKind::User, "ann", json!({})).await;
    governed.made(HolderKind::Team, "search", json!({ "members": [{ "user": "ann" }] })).await;
    let made = governed.made(HolderKind::Key, "k1", json!({ "user": "ann", "team": "search" })).await;
    let secret = made.secret.unwrap().expose().to_owned();
    let answer = governed.ask(&secret, "sim", "hi").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let closed = governed.closed();
    assert_eq!(
        closed["principal"],
        json!({ "sub": { "kind": "key", "id": "k1" }, "user": "ann", "team": "search" })
    );
    let written = format!("{:?}", governed.gate.journal.of_kind("event")) + &closed.to_string();
    assert!(!written.contains(&secret), "a key stands in no record");
    assert!(
        !written.contains("\"hash\"") && !made.shown.visible().to_string().contains("hash"),
        "nor does its hash"
    );
    assert_eq!(governed.ask("sk-tg-nobody", "sim", "hi").await.status, 401);
    assert_eq!(governed.ask("sk-master-key", "sim", "hi").await.status, 200);
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let governed = Governed::new().await;
    governed.made(HolderKind::Team, "search", json!({})).await;
    let made = governed.made(HolderKind::Key, "k1", json!({ "team": "search" })).await;
    let secret = made.secret.unwrap().expose().to_owned();
    let ask = || governed.ask(&secret, "sim", "hi");
    let told = |patch: Value| {
        let governed = &governed;
        async move {
            governed.change(HolderKind::Key, "k1", patch).await;
            let answer = ask().await;
            (answer.status, why(&answer))
        }
    };
    assert_eq!(ask().await.status, 200);
    let (status, why_blocked) = told(json!({ "blocked": true })).await;
    assert_eq!(status, 403);
    assert!(why_blocked.contains("the key `k1` is blocked"), "{why_blocked}");
    let (status, ended) = told(json!({ "blocked": null, "expires_at": "2020-01-01T00:00:00Z" })).await;
    assert!(status == 401 && ended.contains("the key ended at 2020-01-01T00:00:00Z"), "{ended}");
    // The test's requests come from no address.
    let (status, address) = told(json!({ "expires_at": null, "addresses": ["10.0.0.0/8"] })).await;
    assert!(status == 403 && address.contains("may not be used from this address"), "{address}");
    assert_eq!(told(json!({ "addresses": null })).await.0, 200);
    governed.change(HolderKind::Team, "search", json!({ "blocked": true })).await;
    let answer = ask().await;
    assert!(
        answer.status == 403 && why(&answer).contains("the team `search` is blocked"),
        "{}",
        why(&answer)
    );
}

#[tokio::test]
async fn a_model_must_be_allowed_by_everybody_and_is_not_listed_otherwise() {
    let governed = Governed::new().await;
    governed.made(HolderKind::Team, "search", json!({ "models": ["s*", "other"] })).await;
    let key = governed.key(json!({ "team": "search", "models": ["sim", "free"] })).await;
    assert_eq!(governed.ask(&key, "sim", "hi").await.status, 200);
    let other = governed.ask(&key, "other", "hi").await;
    assert_eq!(other.status, 403);
    assert!(why(&other).contains("may not call the model `other`"), "{}", why(&other));
    assert!(why(&governed.ask(&key, "free", "hi").await).contains("the team `search` may not call"));
    assert_eq!(governed.closed()["outcome"], "refused", "it is on the record");
    let list = |path: &str| {
        let request = Request::get(path).header("x-api-key", &key).body(bytes()).unwrap();
        governed.gate.send(request)
    };
    let models = list("/v1/models").await.json();
    let names: Vec<&str> =
        models["data"].as_array().unwrap().iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!(names, ["sim"]);
    assert_eq!(list("/v1/models/sim").await.status, 200);
    assert_eq!(list("/v1/models/other").await.status, 404);
    let none = governed.key(json!({ "models": [] })).await;
    assert_eq!(governed.ask(&none, "sim", "hi").await.status, 403, "an empty list allows nothing");
}

fn bytes() -> bytes::Bytes {
    bytes::Bytes::new()
}

#[tokio::test]
async fn a_budget_refuses_before_anything_is_sent() {
    let governed = Governed::new().await;
    governed.made(HolderKind::Team, "search", json!({ "budgets": budget("0.002") })).await;
    let key = governed.key(json!({ "team": "search", "budgets": budget("1") })).await;
    let mut spent = 0;
    let refused = loop {
        let answer = governed.ask(&key, "sim", "hi").await;
        if answer.status != 200 {
            break answer;
        }
        spent += governed.closed()["cost_nano_usd"].as_u64().unwrap();
        assert_eq!(governed.standing(HolderKind::Team, "search"), [(spent, 0)], "what it really cost");
    };
    assert!(spent > 0 && spent <= 2_000_000, "{spent}");
    assert_eq!((refused.status, refused.header("x-should-retry")), (429, "false"));
    let error = refused.json()["error"].clone();
    assert_eq!(
        (&error["code"], &error["tollgate"]["fault"]),
        (&json!("budget_exceeded"), &json!("budget_exceeded"))
    );
    assert!(
        why(&refused)
            .contains("the budget `day` of team `search` has no room for this call: of 0.002 USD today")
    );
    let closed = governed.closed();
    assert_eq!((&closed["outcome"], closed.get("cost_nano_usd")), (&json!("refused"), None));
    assert_eq!(governed.standing(HolderKind::Team, "search"), [(spent, 0)], "a refused call holds nothing");
    governed.change(HolderKind::Team, "search", json!({ "budgets": budget("1") })).await;
    assert_eq!(governed.ask(&key, "sim", "hi").await.status, 200, "more is given at once");
}

#[tokio::test]
async fn a_budget_for_some_models_counts_those() {
    let governed = Governed::new().await;
    let budgets = json!([{ "amount_usd": "0.000000001", "window": "total", "models": ["oth*"] }]);
    let key = governed.key(json!({ "budgets": budgets })).await;
    assert_eq!(governed.ask(&key, "sim", "hi").await.status, 200);
    assert_eq!(governed.ask(&key, "other", "hi").await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_limit_says_when_to_come_back() {
    let governed = Governed::new().await;
    let key = governed.key(json!({ "limits": [{ "measure": "requests", "max": 2, "per": "minute" }] })).await;
    assert_eq!(governed.ask(&key, "sim", "hi").await.status, 200);
    let second = governed.ask(&key, "sim", "hi").await;
    assert_eq!(second.status, 200);
    let told =
        ["limit", "remaining"].map(|what| second.header(&format!("x-ratelimit-{what}-requests")).to_owned());
    assert_eq!(told, ["2", "0"]);
    let reset: u64 = second.header("x-ratelimit-reset-requests").trim_end_matches('s').parse().unwrap();
    assert!((1..=60).contains(&reset) && second.header("x-ratelimit-limit-tokens").is_empty());
    let refused = governed.ask(&key, "sim", "hi").await;
    assert_eq!((refused.status, refused.json()["error"]["type"].as_str()), (429, Some("rate_limit_error")));
    assert_eq!(governed.ask(&key, "sim", "hi").await.header("x-ratelimit-remaining-requests"), "0");
    let name = HolderRef {
        kind: HolderKind::Key,
        id: governed.closed()["principal"]["sub"]["id"].as_str().unwrap().into(),
    };
    assert_eq!(
        governed.standing(HolderKind::Key, &name.id),
        [(2, 0)],
        "a call that is refused does not count"
    );
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait) && refused.header("x-should-retry").is_empty());
    tokio::time::advance(std::time::Duration::from_secs(wait)).await;
    assert_eq!(governed.ask(&key, "sim", "hi").await.status, 200);
}

#[tokio::test]
async fn a_dearer_fallback_needs_more_room_or_is_not_asked() {
    let governed = Governed::new().await;
    // Enough for the model that was asked for, and not for what it falls back to.
    let made = governed.made(HolderKind::Key, "k", json!({ "budgets": budget("0.001") })).await;
    for _ in 0..2 {
        governed.gate.upstream.on("openai/gpt-4o", Reply::json(500, &json!({})));
    }
    let secret = made.secret.unwrap().expose().to_owned();
    let answer = governed.ask(&secret, "falls", "hi").await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(why(&answer).starts_with("budget_exceeded"), "{}", why(&answer));
    let closed = governed.closed();
    assert_eq!(closed["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(closed["outcome"], "failed");
    let (spent, held) = governed.standing(HolderKind::Key, "k")[0];
    assert_eq!((spent, held), (closed["cost_nano_usd"].as_u64().unwrap_or(0), 0));
}

/// What was counted is known after a restart, from the records alone.
#[tokio::test]
async fn counting_goes_on_after_a_restart() {
    let before = Governed::new().await;
    let made = before.made(HolderKind::Key, "k", json!({ "budgets": budget("1") })).await;
    let secret = made.secret.unwrap().expose().to_owned();
    assert_eq!(before.ask(&secret, "sim", "hi").await.status, 200);
    let closed = before.closed();
    assert_eq!(closed["counted"][0]["under"], json!({ "key/k/day/day": closed["cost_nano_usd"] }));
    let opened = before.gate.journal.of_kind("opened").remove(0);
    assert_eq!(opened["held"][0]["under"]["key/k/day/day"], opened["reservation"]["cost_nano_usd"]);
    let Counts(counted) = serde_json::from_value(closed["counted"].clone()).unwrap();
    let spent = counted[0].amount;
    let after = Governed::with(CONFIG, before.registry, counted).await;
    assert_eq!(after.standing(HolderKind::Key, "k"), [(spent, 0)]);
    assert_eq!(after.ask(&secret, "sim", "hi").await.status, 200, "the key is known");
}

/// What was spent elsewhere leaves less, is counted once however often it is said, and stands in the journal.
#[tokio::test]
async fn what_was_spent_elsewhere_counts_once() {
    let before = Governed::new().await;
    let made = before.made(HolderKind::Key, "k", json!({ "budgets": budget("1") })).await;
    let name = made.shown.holder.name();
    for _ in 0..2 {
        before.registrar.carry_over(&root(), &name, &[("day", 999_999_999), ("other", 5)]).unwrap();
        assert_eq!(before.standing(HolderKind::Key, "k"), [(999_999_999, 0)]);
    }
    let events = before.gate.journal.of_kind("event");
    let counted: Vec<&Value> = events.iter().filter(|event| event["event"] == "spent_elsewhere").collect();
    assert_eq!(
        (counted.len(), &counted[0]["detail"]["counted"][0]["under"]["key/k/day/day"]),
        (1, &json!(999_999_999))
    );
    let secret = made.secret.unwrap().expose().to_owned();
    assert_eq!(before.ask(&secret, "sim", "hi").await.status, 429);
}

#[tokio::test]
async fn a_budget_comes_to_its_end_with_a_warning() {
    let governed = Governed::new().await;
    let budgets = json!([{ "amount_usd": "0.000001", "window": "month", "soft": true, "warn_percent": 50 }]);
    let key = governed.key(json!({ "budgets": budgets })).await;
    assert_eq!(governed.ask(&key, "sim", "hi").await.status, 200, "a soft budget refuses nothing");
    let events = governed.gate.journal.of_kind("event");
    let warned: Vec<&Value> = events.iter().filter(|event| event["event"] == "budget").collect();
    assert_eq!(warned.len(), 1);
    assert_eq!(warned[0]["detail"]["budget"], "month");
}

#[tokio::test]
async fn while_keys_cannot_be_read_none_is_said_to_be_unknown() {
    let registry = Arc::new(MemoryRegistry::default());
    registry.away(true);
    let governed = Governed::with(CONFIG, Arc::clone(&registry), Vec::new()).await;
    assert_eq!(governed.ask("sk-tg-any", "sim", "hi").await.status, 503);
    assert_eq!(governed.ask("sk-master-key", "sim", "hi").await.status, 200);
    let refused = governed.registrar.create(&root(), HolderKind::Key, None, json!({})).await;
    assert!(matches!(refused, Err(RegistrarError::Away(_))));
    registry.away(false);
    governed.registrar.ledger().follow(&*registry, governed.clock.now()).await.unwrap();
    assert_eq!(governed.ask("sk-tg-any", "sim", "hi").await.status, 401);
    let key = governed.key(json!({})).await;
    registry.away(true);
    assert_eq!(governed.ask(&key, "sim", "hi").await.status, 200, "a key that is known goes on");
    assert_eq!(governed.ask("sk-tg-any", "sim", "hi").await.status, 401);
}

#[tokio::test]
async fn a_change_is_on_the_record_before_it_is_made_and_only_over_what_was_read() {
    let governed = Governed::new().await;
    let made = governed.made(HolderKind::Key, "k", json!({ "alias": "one" })).await;
    let name = HolderRef { kind: HolderKind::Key, id: "k".into() };
    let (by, first) = (root(), made.shown.change);
    let patch = json!({ "alias": "two" });
    let second = governed.registrar.change(&by, &name, Some(first), patch.clone()).await.unwrap().change;
    let stale = governed.registrar.change(&by, &name, Some(first), patch).await;
    assert!(matches!(stale, Err(RegistrarError::Stale(_))));
    let events = governed.gate.journal.of_kind("event");
    let changes: Vec<&Value> = events.iter().filter(|event| event["event"] == "change").collect();
    let said: Vec<_> = changes
        .iter()
        .map(|e| (&e["detail"]["action"], &e["detail"]["before"]["alias"], &e["detail"]["after"]["alias"]))
        .collect();
    assert_eq!(json!(said), json!([["create", null, "one"], ["change", "one", "two"]]));
    assert_eq!(changes[1]["detail"]["by"]["sub"]["kind"], "master");
    governed.registry.away(true);
    assert!(matches!(
        governed.registrar.remove(&by, &name, Some(second)).await,
        Err(RegistrarError::Away(_))
    ));
    let events = governed.gate.journal.of_kind("event");
    assert_eq!(events.last().unwrap()["event"], "change_failed", "what was not made is said so");
    governed.registry.away(false);
    governed.registrar.remove(&by, &name, Some(second)).await.unwrap();
    assert!(governed.registrar.ledger().get(&name).is_none());
}

#[tokio::test]
async fn a_rotated_key_is_taken_for_as_long_as_was_said() {
    let governed = Governed::new().await;
    let made = governed.made(HolderKind::Key, "k", json!({})).await;
    let old = made.secret.unwrap().expose().to_owned();
    let name = HolderRef { kind: HolderKind::Key, id: "k".into() };
    let by = root();
    let rotate =
        |seconds| governed.registrar.rotate(&by, &name, None, jiff::SignedDuration::from_secs(seconds));
    let new = rotate(3_600).await.unwrap().secret.unwrap().expose().to_owned();
    assert_eq!(
        (governed.ask(&old, "sim", "hi").await.status, governed.ask(&new, "sim", "hi").await.status),
        (200, 200)
    );
    let newest = rotate(0).await.unwrap().secret.unwrap().expose().to_owned();
    assert_eq!(governed.ask(&old, "sim", "hi").await.status, 401);
    assert_eq!(governed.ask(&new, "sim", "hi").await.status, 401);
    assert_eq!(governed.ask(&newest, "sim", "hi").await.status, 200);
}

#[tokio::test]
async fn nobody_is_removed_whom_a_key_belongs_to() {
    let governed = Governed::new().await;
    governed.made(HolderKind::Team, "search", json!({})).await;
    governed.made(HolderKind::Key, "k", json!({ "team": "search" })).await;
    let name = HolderRef { kind: HolderKind::Team, id: "search".into() };
    let refused = governed.registrar.remove(&root(), &name, None).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the team `search` cannot be removed: 1 keys belong to it; remove them first, or block it"
    );
    let orphan = governed.registrar.create(&root(), HolderKind::Key, None, json!({ "user": "nobody" })).await;
    assert_eq!(orphan.unwrap_err().to_string(), "user: there is no user \"nobody\"");
    let twice = governed.registrar.create(&root(), HolderKind::Team, Some("search"), json!({})).await;
    assert!(matches!(twice, Err(RegistrarError::Exists(_))));
    for id in ["", "a/b", "a b", "..", "é", "a\n"] {
        let wrong = governed.registrar.create(&root(), HolderKind::Team, Some(id), json!({})).await;
        assert!(matches!(wrong, Err(RegistrarError::Spec(_))), "{id:?}");
    }
}

//! LiteLLM's routes: what they make of a request is what `/api/v1` shows, and what they cannot do they refuse.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_admin::{Sources, router};
use tollgate_core::access::{Caller, KeyHash};
use tollgate_core::ports::Access;
use tower::ServiceExt;

use crate::Nothing;
use crate::support::{read, request, sources};

struct World(Sources);

impl World {
    async fn new() -> Self {
        let sources = sources(Arc::new(Nothing), Arc::new(Nothing));
        let empty = tollgate_testkit::MemoryRegistry::default();
        sources.registrar.ledger().follow(&empty, sources.clock.now()).await.unwrap();
        Self(sources)
    }

    async fn ask(&self, caller: Option<&Caller>, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = if body.is_some() { "POST" } else { "GET" };
        let request = request(method, path, caller.cloned(), body.as_ref());
        let Ok(response) = router(self.0.clone()).oneshot(request).await;
        let (status, body) = read(response).await;
        (status.as_u16(), body)
    }

    /// Sends what must be done.
    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(None, path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(None, path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The status, and the member that is to blame.
    async fn refused(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, answer) = self.ask(None, path, Some(body)).await;
        assert!(answer["error"]["message"].is_string(), "{path}: {status} {answer}");
        (status, answer["error"]["param"].clone())
    }

    /// Whoever presents a key.
    fn caller(&self, key: &Value) -> Caller {
        let ledger = self.0.registrar.ledger();
        ledger.identify(key["key"].as_str().unwrap(), None, self.0.clock.now()).unwrap()
    }
}

#[tokio::test]
async fn a_key_is_what_it_was_said_to_be() {
    let world = World::new().await;
    world.post("/team/new", json!({ "team_id": "t", "models": ["gpt-*"] })).await;
    let made = world
        .post(
            "/key/generate",
            json!({
                "key_alias": "ci", "team_id": "t", "user_id": "ann", "models": ["all-team-models"], "duration": "1d",
                "max_budget": 10.5, "budget_duration": "30d", "soft_budget": 8, "rpm_limit": 5, "tpm_limit": 1000,
                "max_parallel_requests": 2, "model_max_budget": { "gpt-4o": 1 }, "tags": ["a"],
                "metadata": { "strict": true, "app": "x" }, "guardrails": [], "permissions": {},
            }),
        )
        .await;
    assert!(made["key"].as_str().unwrap().starts_with("sk-tg-"));
    assert_eq!(
        (&made["max_budget"], &made["budget_duration"], &made["spend"]),
        (&json!(10.5), &json!("30d"), &json!(0))
    );
    assert_eq!((&made["expires"], &made["models"]), (&json!("1970-01-02T00:00:00Z"), &json!([])));
    assert_eq!(made["model_max_budget"], json!({ "gpt-4o": { "budget_limit": 1, "time_period": null } }));
    let ours = world.get(&format!("/api/v1/keys/{}", made["key_id"].as_str().unwrap())).await;
    assert_eq!((&ours["alias"], &ours["team"], &ours["user"]), (&json!("ci"), &json!("t"), &json!("ann")));
    assert_eq!(ours["metadata"], json!({ "strict": true, "app": "x", "tags": ["a"] }));
    let budget =
        |id: &str| ours["budgets"].as_array().unwrap().iter().find(|b| b["id"] == id).unwrap().clone();
    assert_eq!(
        (&budget("max_budget")["strict"], &budget("max_budget")["amount_usd"]),
        (&json!(true), &json!("10.5"))
    );
    assert_eq!(budget("soft_budget")["soft"], json!(true));
    let limits: Vec<&str> =
        ours["limits"].as_array().unwrap().iter().map(|l| l["id"].as_str().unwrap()).collect();
    assert_eq!(limits, ["tpm_limit", "rpm_limit", "max_parallel_requests"]);
    assert!(ours.get("models").is_none(), "all that the team may call");
}

#[tokio::test]
async fn a_change_leaves_what_it_does_not_name() {
    let world = World::new().await;
    let said = json!({ "id": "native", "budgets": [{ "amount_usd": 5, "window": "month" }], "metadata": { "a": 1 } });
    assert_eq!(world.ask(None, "/api/v1/keys", Some(said)).await.0, 201);
    let after =
        world.post("/key/update", json!({ "key": "native", "max_budget": 7, "metadata": { "b": 2 } })).await;
    assert_eq!(
        (&after["max_budget"], &after["budget_duration"]),
        (&json!(7), &json!("1mo")),
        "the budget that was there"
    );
    assert_eq!(after["metadata"], json!({ "b": 2 }), "their metadata is replaced");
    let after =
        world.post("/key/update", json!({ "key": "native", "max_budget": null, "duration": "-1" })).await;
    assert_eq!(
        (&after["max_budget"], &after["spend"]),
        (&Value::Null, &Value::Null),
        "nothing counts it any more"
    );
    let body = json!({ "key": "native", "key_alias": "x", "models": ["no-default-models"] });
    assert_eq!(world.post("/key/update", body).await["models"], json!(["no-default-models"]));
    assert_eq!(world.refused("/key/generate", json!({ "key_alias": "x" })).await, (409, json!("key_alias")));
}

#[tokio::test]
async fn a_key_is_named_by_itself_its_hash_or_its_name() {
    let world = World::new().await;
    let made = world.post("/key/generate", json!({ "key": "sk-0123456789abcdef", "key_alias": "old" })).await;
    let hash = KeyHash::of("sk-0123456789abcdef").to_string();
    assert_eq!((&made["key"], &made["token"]), (&json!("sk-0123456789abcdef"), &json!(hash)));
    for name in ["sk-0123456789abcdef", &hash, made["key_id"].as_str().unwrap()] {
        let info = world.get(&format!("/key/info?key={name}")).await;
        assert_eq!(
            (&info["key"], &info["info"]["key_alias"]),
            (&json!(hash), &json!("old")),
            "no secret again"
        );
    }
    assert_eq!(world.get("/key/list?key_alias=old").await["keys"], json!([hash]));
    let auditor = world.ask(None, "/api/v1/keys", Some(json!({ "role": "auditor" }))).await.1;
    let auditor = world.caller(&auditor);
    let (_, seen) = world.ask(Some(&auditor), "/key/list?key_alias=old", None).await;
    assert_eq!(seen["keys"], json!([made["key_id"]]), "a hash is for those who may change the key");
    assert_eq!(world.refused("/key/generate", json!({ "key": "sk-0123456789abcdef" })).await.0, 409);
    assert_eq!(world.refused("/key/generate", json!({ "key": "sk-short" })).await, (422, json!("key")));
    assert_eq!(
        world.refused("/key/update", json!({ "key": "sk-unknown-1234567" })).await,
        (404, json!("key"))
    );
    let renewed = world
        .post("/key/sk-0123456789abcdef/regenerate", json!({ "rpm_limit": 3, "grace_period": "1h" }))
        .await;
    assert_eq!((&renewed["key_id"], &renewed["rpm_limit"]), (&made["key_id"], &json!(3)));
    assert_eq!(
        world.caller(&renewed).principal(),
        world.caller(&made).principal(),
        "both are taken for an hour"
    );
    world.post("/key/delete", json!({ "key_aliases": ["old"] })).await;
    assert_eq!(world.get("/key/list?key_alias=old").await["total_count"], 0);
}

/// Promise 5.
#[tokio::test]
async fn what_would_be_dropped_is_refused_by_name() {
    let world = World::new().await;
    for (path, body, member) in [
        ("/key/generate", json!({ "guardrails": ["pii"] }), "guardrails"),
        ("/key/generate", json!({ "permissions": { "x": true } }), "permissions"),
        ("/key/generate", json!({ "organization_id": "o" }), "organization_id"),
        ("/key/generate", json!({ "max_budgett": 1 }), "max_budgett"),
        ("/key/generate", json!({ "budget_duration": "30d" }), "budget_duration"),
        ("/key/generate", json!({ "team_id": "nowhere" }), "team_id"),
        ("/user/new", json!({ "organizations": ["o"] }), "organizations"),
        ("/user/new", json!({ "user_role": "customer" }), "user_role"),
        ("/team/new", json!({ "team_member_budget": 5 }), "team_member_budget"),
        (
            "/team/new",
            json!({ "members_with_roles": [{ "role": "owner", "user_id": "a" }] }),
            "members_with_roles",
        ),
    ] {
        assert_eq!(world.refused(path, body.clone()).await, (422, json!(member)), "{path} {body}");
    }
    let (status, answer) = world.ask(None, "/key/nothing", None).await;
    assert_eq!(
        (status, &answer["error"]["type"], &answer["error"]["code"]),
        (404, &json!("not_found_error"), &json!("404"))
    );
    let (status, answer) = world.ask(None, "/key/list?colour=red", None).await;
    assert_eq!((status, &answer["error"]["type"]), (400, &json!("bad_request_error")));
    assert_eq!(world.ask(None, "/key/generate", None).await.0, 405);
    let (status, answer) = world.ask(None, "/api/v1/nothing", None).await;
    assert_eq!((status, &answer["status"]), (404, &json!(404)), "ours stays a problem");
}

/// LiteLLM's roles are those of users: they are given to the users' keys, and taken back.
#[tokio::test]
async fn a_users_role_is_that_of_its_keys() {
    let world = World::new().await;
    let role = async |key: &Value| {
        world.get(&format!("/api/v1/keys/{}", key["key_id"].as_str().unwrap())).await["role"].clone()
    };
    let viewer =
        world.post("/user/new", json!({ "user_id": "eve", "user_role": "proxy_admin_viewer" })).await;
    assert_eq!((role(&viewer).await, &viewer["user_role"]), (json!("auditor"), &json!("proxy_admin_viewer")));
    assert_eq!(viewer["metadata"], json!({}), "what is kept of the role is not shown twice");
    let updated = world
        .post("/user/update", json!({ "user_id": "eve", "user_role": "internal_user", "metadata": {} }))
        .await;
    assert_eq!(
        (role(&viewer).await, &updated["data"]["user_role"]),
        (json!("member"), &json!("internal_user"))
    );
    world
        .post(
            "/team/new",
            json!({ "team_id": "t", "members_with_roles": [{ "user_id": "eve", "role": "admin" }] }),
        )
        .await;
    let of_team = world.post("/key/generate", json!({ "user_id": "eve", "team_id": "t" })).await;
    assert_eq!((role(&of_team).await, role(&viewer).await), (json!("team_admin"), json!("member")));
    world
        .post("/team/member_add", json!({ "team_id": "t", "member": { "user_id": "eve", "role": "user" } }))
        .await;
    assert_eq!(role(&of_team).await, json!("member"));
    world.post("/team/member_delete", json!({ "team_id": "t", "user_id": "eve" })).await;
    assert_eq!(
        world.get("/key/list?team_id=t").await["total_count"],
        0,
        "with the member go the member's keys"
    );
    assert_eq!(world.post("/user/delete", json!({ "user_ids": ["eve"] })).await, json!(1));
    assert_eq!(world.get("/user/list").await["total"], 0);
}

#[tokio::test]
async fn a_teams_admin_raises_nobody() {
    let world = World::new().await;
    world
        .post(
            "/team/new",
            json!({ "team_id": "t", "members_with_roles": [{ "user_id": "ann", "role": "admin" }] }),
        )
        .await;
    world
        .post("/user/new", json!({ "user_id": "root", "user_role": "proxy_admin", "auto_create_key": false }))
        .await;
    let admin = world.caller(&world.post("/key/generate", json!({ "user_id": "ann", "team_id": "t" })).await);
    let ask = async |path: &str, body: Value| world.ask(Some(&admin), path, Some(body)).await;
    let (status, made) = ask("/key/generate", json!({ "key_alias": "m" })).await;
    assert_eq!((status, &made["team_id"]), (200, &json!("t")));
    for body in [json!({ "user_id": "root" }), json!({ "user_id": "ann" }), json!({ "team_id": null })] {
        let (status, answer) = ask("/key/generate", body.clone()).await;
        assert_eq!((status, &answer["error"]["type"]), (403, &json!("auth_error")), "{body}");
        let mut update = body.clone();
        update["key"] = made["token"].clone();
        assert_eq!(ask("/key/update", update).await.0, 403, "{body}");
    }
}

/// Rows of LiteLLM's tables become holders whose keys clients have already, once, and nothing is lost unsaid.
#[tokio::test]
async fn what_stands_in_their_tables_is_taken_over() {
    let world = World::new().await;
    let import = async |kind: &str, rows: Value, more: Value| {
        let mut body = json!({ "kind": kind, "rows": rows });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        world.post("/api/v1/import/litellm", body).await["items"].clone()
    };
    let user = json!([{
        "user_id": "ann", "user_role": "proxy_admin", "models": [], "spend": 1, "metadata": {}, "teams": ["t"],
    }]);
    let team = json!([{
        "team_id": "t", "max_budget": 10, "budget_duration": "30d", "spend": 2.5, "models": ["gpt-*"],
        "budget_reset_at": "1970-01-11T00:00:00", "members_with_roles": [{ "user_id": "bob", "role": "admin" }],
    }]);
    let hash = KeyHash::of("sk-of-long-ago").to_string();
    let key = json!([{
        "token": hash, "key_name": "sk-...-ago", "team_id": "t", "user_id": "ann", "spend": 0.1, "budget_id": "b",
        "models": ["all-team-models"], "metadata": {}, "permissions": {}, "rotation_count": 0,
    }]);
    let budgets = json!({ "budgets": { "b": { "budget_id": "b", "max_budget": 1 } } });
    let mut dry = budgets.clone();
    dry["dry_run"] = json!(true);
    assert_eq!(import("user", user.clone(), dry).await[0]["outcome"], "made");
    assert_eq!(world.get("/user/list").await["total"], 0, "nothing was made");
    assert_eq!(import("user", user.clone(), json!({})).await[0]["counts"], false, "no budget counts it");
    let made = import("team", team.clone(), json!({})).await;
    assert_eq!(
        (&made[0]["outcome"], &made[0]["spent_usd"], &made[0]["counts"]),
        (&json!("made"), &json!("2.5"), &json!(true))
    );
    assert_eq!(import("key", key.clone(), budgets.clone()).await[0]["outcome"], "made");
    let found = world.get(&format!("/key/info?key={hash}")).await["info"].clone();
    assert_eq!(
        (&found["spend"], &found["max_budget"], &found["key_name"]),
        (&json!(0.1), &json!(1), &json!("sk-...-ago"))
    );
    assert_eq!(world.caller(&json!({ "key": "sk-of-long-ago" })).role().name(), "admin");
    let team_now = world.get("/team/info?team_id=t").await["team_info"].clone();
    assert_eq!(
        (&team_now["spend"], &team_now["budget_reset_at"]),
        (&json!(2.5), &json!("1970-01-11T00:00:00Z"))
    );
    assert_eq!(team_now["members_with_roles"][0]["user_id"], "bob");
    assert_eq!(import("team", team, json!({})).await[0]["outcome"], "there");
    assert_eq!(import("key", key, budgets).await[0]["outcome"], "there");
    assert_eq!(world.get(&format!("/key/info?key={hash}")).await["info"]["spend"], 0.1, "it is counted once");
}

/// Promise 5.
#[tokio::test]
async fn whoever_would_lose_a_protection_is_left_out_unless_that_is_asked_for() {
    let world = World::new().await;
    let hash = |key: &str| json!(KeyHash::of(key).to_string());
    let rows = json!([
        { "token": hash("a"), "key_alias": "a", "metadata": { "guardrails": ["pii"] } },
        { "token": hash("b"), "key_alias": "b", "expires": "1969-12-31T00:00:00" },
        { "token": hash("c"), "key_alias": "c", "budget_duration": "30s", "max_budget": 5 },
        { "token": hash("d"), "key_alias": "d", "team_id": "nowhere" },
        { "token": "no hash", "key_alias": "e" },
        { "token": hash("f"), "key_alias": "f", "a_column_of_a_later_version": ["x"] },
        { "token": hash("g"), "key_alias": "g", "a_column_of_a_later_version": [] },
    ]);
    let outcomes = async |lossy: bool| -> Vec<String> {
        let body = json!({ "kind": "key", "rows": rows, "lossy": lossy });
        let items = world.post("/api/v1/import/litellm", body).await["items"].clone();
        items.as_array().unwrap().iter().map(|item| item["outcome"].as_str().unwrap().to_owned()).collect()
    };
    let out = "left_out";
    assert_eq!(outcomes(false).await, [out, out, out, out, out, out, "made"]);
    assert_eq!(outcomes(true).await, ["made", out, "made", out, out, "made", "there"]);
    assert_eq!(
        world.get("/key/list?key_alias=c&return_full_object=true").await["keys"][0]["budget_duration"],
        Value::Null
    );
}

//! Who may do what: every route, by every role. A route without a row here fails the test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/additions.rs"]
mod additions;
#[path = "support/contracts.rs"]
mod contracts;
#[path = "support/litellm.rs"]
mod litellm;
#[path = "support/openapi.rs"]
mod openapi;
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tollgate_admin::{Sources, needs, router};
use tollgate_core::access::{Caller, HolderKind, Role};
use tollgate_core::call::CallId;
use tollgate_core::ports::Access;
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_core::query::{
    Answering, CallFilter, CallPage, CallStory, Following, Live, QueryError, Records, Spend, SpendFilter,
    SpendRow, TraceStory,
};
use tower::ServiceExt;

use support::{read, request, sources};

struct Nothing;

impl Records for Nothing {
    fn calls(&self, _: CallFilter) -> Answering<'_, CallPage> {
        Box::pin(async { Ok(CallPage::default()) })
    }

    fn call(&self, _: CallId) -> Answering<'_, Option<CallStory>> {
        Box::pin(async { Ok(None) })
    }

    fn trace(&self, _: String) -> Answering<'_, Option<TraceStory>> {
        Box::pin(async { Ok(None) })
    }

    /// Of whom it was asked for.
    fn spend(&self, filter: SpendFilter) -> Answering<'_, Spend> {
        let total = SpendRow { key: filter.key, team: filter.team, ..SpendRow::default() };
        Box::pin(async { Ok(Spend { total, ..Spend::default() }) })
    }
}

impl Following for Nothing {
    fn read(&mut self) -> std::io::Result<Vec<(u64, Vec<u8>)>> {
        Ok(Vec::new())
    }
}

impl Live for Nothing {
    fn follow(&self) -> Box<dyn Following> {
        Box::new(Nothing)
    }

    fn aside(&self, _: &str, _: &str) -> Result<Vec<u8>, QueryError> {
        Err(QueryError("it is not there".to_owned()))
    }
}

/// What becomes of a request: `Y` it is done, `F` it is forbidden, `N` what is asked for is not there for them, `I` what
/// is said of it cannot be.
/// By admin, auditor, admin of the team `red`, member of the team `red`.
const MATRIX: &[(&str, &str, &str, &str)] = &[
    ("GET", "/api/v1/calls", "/api/v1/calls", "YYFF"),
    ("GET", "/api/v1/calls/{id}", "/api/v1/calls/0192f0c1-2345-7000-8000-000000000000", "NNFF"),
    ("GET", "/api/v1/traces/{id}", "/api/v1/traces/0192f0c1-2345-7000-8000-000000000000", "NNFF"),
    ("GET", "/api/v1/content/{instance}/{name}", "/api/v1/content/i/n", "NNFF"),
    ("GET", "/api/v1/tail", "/api/v1/tail", "YYFF"),
    ("GET", "/api/openapi.json", "/api/openapi.json", "YYYY"),
    ("GET", "/api/docs", "/api/docs", "YYYY"),
    ("GET", "/api/v1/instances", "/api/v1/instances", "YYFF"),
    ("POST", "/api/v1/instances/{id}/release", "/api/v1/instances/i/release", "NFFF"),
    ("POST", "/api/v1/alerts/test", "/api/v1/alerts/test", "YFFF"),
    ("GET", "/api/v1/spend", "/api/v1/spend?by=model,key", "YYYY"),
    ("GET", "/api/v1/spend", "/api/v1/spend?team=red", "YYYF"),
    ("GET", "/api/v1/spend", "/api/v1/spend?team=blue", "YYFF"),
    ("GET", "/api/v1/spend", "/api/v1/spend?key=red-member", "YYYY"),
    ("GET", "/api/v1/spend", "/api/v1/spend?key=blue", "YYYF"),
    ("GET", "/api/v1/keys", "/api/v1/keys", "YYYY"),
    ("POST", "/api/v1/keys", "/api/v1/keys", "YFYF"),
    ("GET", "/api/v1/keys/{id}", "/api/v1/keys/red-member", "YYYY"),
    ("GET", "/api/v1/keys/{id}", "/api/v1/keys/red-admin", "YYYN"),
    ("GET", "/api/v1/keys/{id}", "/api/v1/keys/blue", "YYNN"),
    ("PATCH", "/api/v1/keys/{id}", "/api/v1/keys/red-member", "YFYF"),
    ("PATCH", "/api/v1/keys/{id}", "/api/v1/keys/red-admin", "YFFF"),
    ("PATCH", "/api/v1/keys/{id}", "/api/v1/keys/blue", "YFNF"),
    ("POST", "/api/v1/keys/{id}/rotate", "/api/v1/keys/red-member/rotate", "YFYF"),
    ("POST", "/api/v1/keys/{id}/rotate", "/api/v1/keys/blue/rotate", "YFNF"),
    ("DELETE", "/api/v1/keys/{id}", "/api/v1/keys/red-member", "YFYF"),
    ("DELETE", "/api/v1/keys/{id}", "/api/v1/keys/blue", "YFNF"),
    ("GET", "/api/v1/users", "/api/v1/users", "YYYY"),
    ("POST", "/api/v1/users", "/api/v1/users", "YFFF"),
    ("GET", "/api/v1/users/{id}", "/api/v1/users/ann", "YYNN"),
    ("PATCH", "/api/v1/users/{id}", "/api/v1/users/ann", "YFFF"),
    ("DELETE", "/api/v1/users/{id}", "/api/v1/users/ann", "YFFF"),
    ("POST", "/api/v1/users/{id}/invitation", "/api/v1/users/ann/invitation", "YFFF"),
    ("POST", "/api/v1/users/{id}/invitation", "/api/v1/users/new@example.com/invitation", "YFFF"),
    ("GET", "/api/v1/users/{id}/login", "/api/v1/users/ann/login", "YYFF"),
    ("GET", "/api/v1/users/{id}/login", "/api/v1/users/none/login", "NNFF"),
    ("PATCH", "/api/v1/users/{id}/login", "/api/v1/users/ann/login", "YFFF"),
    ("DELETE", "/api/v1/users/{id}/login", "/api/v1/users/ann/login", "YFFF"),
    ("POST", "/api/v1/users/{id}/login/end", "/api/v1/users/ann/login/end", "YFFF"),
    ("GET", "/api/v1/signing-keys", "/api/v1/signing-keys", "YYFF"),
    ("DELETE", "/api/v1/signing-keys/{id}", "/api/v1/signing-keys/none", "NFFF"),
    ("GET", "/api/v1/clients/{id}/rehearsal", "/api/v1/clients/app/rehearsal?user=ann", "YYFF"),
    ("GET", "/api/v1/clients/{id}/rehearsal", "/api/v1/clients/none/rehearsal?user=ann", "NNFF"),
    ("GET", "/api/v1/models", "/api/v1/models", "YYFF"),
    ("GET", "/api/v1/models/{name}", "/api/v1/models/mine%2F*", "YYFF"),
    ("GET", "/api/v1/models/{name}", "/api/v1/models/sim", "YYFF"),
    ("GET", "/api/v1/models/{name}", "/api/v1/models/none", "NNFF"),
    // What is said is not enough for any, and forbidden before it is looked at.
    ("POST", "/api/v1/models", "/api/v1/models", "IFFF"),
    ("PATCH", "/api/v1/models/{name}", "/api/v1/models/mine%2F*", "YFFF"),
    ("DELETE", "/api/v1/models/{name}", "/api/v1/models/mine%2F*", "YFFF"),
    ("GET", "/api/v1/credentials", "/api/v1/credentials", "YYFF"),
    ("GET", "/api/v1/credentials/{id}", "/api/v1/credentials/main", "YYFF"),
    ("POST", "/api/v1/credentials", "/api/v1/credentials", "IFFF"),
    ("PATCH", "/api/v1/credentials/{id}", "/api/v1/credentials/main", "YFFF"),
    ("DELETE", "/api/v1/credentials/{id}", "/api/v1/credentials/main", "YFFF"),
    ("GET", "/api/v1/tools/contracts", "/api/v1/tools/contracts?state=pending", "YYFF"),
    ("GET", "/api/v1/tools/lock", "/api/v1/tools/lock", "YYFF"),
    ("GET", "/api/v1/tools/contracts/{server}/{tool}", "/api/v1/tools/contracts/files/a%2Fb", "YYFF"),
    ("GET", "/api/v1/tools/contracts/{server}/{tool}", "/api/v1/tools/contracts/files/none", "NNFF"),
    // Whoever decides says which definition was looked at.
    (
        "POST",
        "/api/v1/tools/contracts/{server}/{tool}/approve",
        "/api/v1/tools/contracts/files/a%2Fb/approve",
        "IFFF",
    ),
    (
        "POST",
        "/api/v1/tools/contracts/{server}/{tool}/reject",
        "/api/v1/tools/contracts/files/a%2Fb/reject",
        "IFFF",
    ),
    ("DELETE", "/api/v1/tools/contracts/{server}/{tool}", "/api/v1/tools/contracts/files/a%2Fb", "YFFF"),
    ("GET", "/api/v1/approvals", "/api/v1/approvals?pending=true", "YYFF"),
    ("GET", "/api/v1/approvals/{id}", "/api/v1/approvals/none", "NNFF"),
    ("POST", "/api/v1/approvals/{id}/approve", "/api/v1/approvals/none/approve", "NFFF"),
    ("POST", "/api/v1/approvals/{id}/deny", "/api/v1/approvals/none/deny", "NFFF"),
    ("GET", "/api/v1/teams", "/api/v1/teams", "YYYY"),
    ("POST", "/api/v1/teams", "/api/v1/teams", "YFFF"),
    ("GET", "/api/v1/teams/{id}", "/api/v1/teams/red", "YYYN"),
    ("GET", "/api/v1/teams/{id}", "/api/v1/teams/green", "YYNN"),
    ("PATCH", "/api/v1/teams/{id}", "/api/v1/teams/red", "YFFF"),
    ("DELETE", "/api/v1/teams/{id}", "/api/v1/teams/green", "YFFF"),
];

/// The same for LiteLLM's routes, with what is sent.
const LITELLM: &[(&str, &str, &str, &str, &str)] = &[
    ("POST", "/key/generate", "/key/generate", "{}", "YFYF"),
    ("POST", "/key/generate", "/key/generate", r#"{"team_id":"blue"}"#, "YFFF"),
    ("POST", "/key/generate", "/key/generate", r#"{"key":"sk-0123456789abcdef"}"#, "YFFF"),
    // A user that is not there is made for administrators, and refused for whoever may not make users.
    ("POST", "/key/generate", "/key/generate", r#"{"user_id":"bob"}"#, "YFFF"),
    ("POST", "/key/update", "/key/update", r#"{"key":"red-member","rpm_limit":5}"#, "YFYF"),
    ("POST", "/key/update", "/key/update", r#"{"key":"red-admin","rpm_limit":null}"#, "YFFF"),
    ("POST", "/key/update", "/key/update", r#"{"key":"blue","rpm_limit":null}"#, "YFNF"),
    ("POST", "/key/delete", "/key/delete", r#"{"keys":["red-member"]}"#, "YFYF"),
    ("POST", "/key/delete", "/key/delete", r#"{"keys":["red-member","blue"]}"#, "YFNF"),
    ("POST", "/key/regenerate", "/key/regenerate", r#"{"key":"red-member"}"#, "YFYF"),
    ("POST", "/key/{key}/regenerate", "/key/blue/regenerate", "", "YFNF"),
    ("POST", "/key/block", "/key/block", r#"{"key":"red-member"}"#, "YFYF"),
    ("POST", "/key/block", "/key/block", r#"{"key":"blue"}"#, "YFNF"),
    ("POST", "/key/unblock", "/key/unblock", r#"{"key":"red-admin"}"#, "YFFF"),
    ("GET", "/key/info", "/key/info", "", "YYYY"),
    ("GET", "/key/info", "/key/info?key=red-admin", "", "YYYN"),
    ("GET", "/key/info", "/key/info?key=blue", "", "YYNN"),
    ("GET", "/key/list", "/key/list", "", "YYYY"),
    ("POST", "/user/new", "/user/new", "{}", "YFFF"),
    ("POST", "/user/update", "/user/update", r#"{"user_id":"ann","user_role":"proxy_admin"}"#, "YFFF"),
    ("POST", "/user/delete", "/user/delete", r#"{"user_ids":["ann"]}"#, "YFFF"),
    ("GET", "/user/info", "/user/info?user_id=ann", "", "YYNN"),
    ("GET", "/user/list", "/user/list", "", "YYYY"),
    ("POST", "/team/new", "/team/new", "{}", "YFFF"),
    ("POST", "/team/update", "/team/update", r#"{"team_id":"red","max_budget":1000}"#, "YFFF"),
    ("POST", "/team/delete", "/team/delete", r#"{"team_ids":["green"]}"#, "YFFF"),
    ("POST", "/team/block", "/team/block", r#"{"team_id":"red"}"#, "YFFF"),
    ("POST", "/team/unblock", "/team/unblock", r#"{"team_id":"red"}"#, "YFFF"),
    (
        "POST",
        "/team/member_add",
        "/team/member_add",
        r#"{"team_id":"red","member":{"user_id":"ann","role":"admin"}}"#,
        "YFFF",
    ),
    ("POST", "/team/member_delete", "/team/member_delete", r#"{"team_id":"green","user_id":"ann"}"#, "YFFF"),
    ("GET", "/team/info", "/team/info?team_id=red", "", "YYYN"),
    ("GET", "/team/info", "/team/info?team_id=green", "", "YYNN"),
    ("GET", "/team/list", "/team/list", "", "YYYY"),
    ("GET", "/spend/keys", "/spend/keys", "", "YYYY"),
    ("GET", "/spend/keys", "/spend/keys?api_key=blue", "", "YYYF"),
    ("GET", "/spend/users", "/spend/users", "", "YYFF"),
    ("GET", "/spend/tags", "/spend/tags?start_date=2026-01-01&end_date=2026-01-31", "", "YYFF"),
    ("GET", "/spend/logs", "/spend/logs?start_date=2026-01-01&end_date=2026-01-31", "", "YYFF"),
    (
        "POST",
        "/api/v1/import/litellm",
        "/api/v1/import/litellm",
        r#"{"kind":"user","rows":[{"user_id":"x"}]}"#,
        "YFFF",
    ),
];

/// A secret that nobody sees again.
const SECRET: &str = "sk-live-0123456789abcdefghijklmnop";

/// A gate with two teams, and a key of each role.
struct World {
    sources: Sources,
    callers: [Caller; Role::ALL.len()],
}

async fn world() -> World {
    let sources = sources(Arc::new(Nothing), Arc::new(Nothing));
    let by = Principal::direct(ActorKind::Master, "master");
    let registrar = Arc::clone(&sources.registrar);
    registrar
        .ledger()
        .follow(&tollgate_testkit::MemoryRegistry::default(), sources.clock.now())
        .await
        .unwrap();
    let additions = Arc::clone(&sources.additions);
    additions.follow(&tollgate_testkit::MemoryRegistry::default()).await.unwrap();
    let main = json!({ "secret": SECRET, "hosts": ["api.openai.com"] });
    additions.create_credential(&by, Some("main"), main).await.unwrap();
    let mine = json!({ "deployments": [{ "provider": "simulator" }] });
    additions.create_model(&by, "mine/*", mine).await.unwrap();
    contracts::seen(&sources).await;
    let make = async |kind: HolderKind, id: &str, said: Value| {
        let made = registrar.create(&by, kind, Some(id), said).await.unwrap();
        made.secret
            .map(|secret| registrar.ledger().identify(secret.expose(), None, sources.clock.now()).unwrap())
    };
    make(HolderKind::User, "ann", json!({})).await;
    sources.logins.follow().await.unwrap();
    sources.logins.invite(&by, "ann", json!({}), Duration::from_hours(1)).await.unwrap();
    for team in ["red", "blue"] {
        make(HolderKind::Team, team, json!({})).await;
    }
    make(HolderKind::Team, "green", json!({ "members": [{ "user": "ann" }] })).await;
    let key = async |id: &str, said: Value| make(HolderKind::Key, id, said).await.unwrap();
    key("blue", json!({ "team": "blue" })).await;
    let callers = [
        key("admin", json!({ "role": "admin" })).await,
        key("auditor", json!({ "role": "auditor" })).await,
        key("red-admin", json!({ "role": "team_admin", "team": "red" })).await,
        key("red-member", json!({ "team": "red" })).await,
    ];
    World { sources: sources.clone(), callers }
}

async fn ask(
    world: &World,
    role: Role,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (StatusCode, Value) {
    let caller = world.callers[role as usize].clone();
    let Ok(response) = router(world.sources.clone()).oneshot(request(method, path, Some(caller), body)).await;
    if path.ends_with("/tail") {
        return (response.status(), Value::Null);
    }
    read(response).await
}

#[tokio::test]
async fn every_route_by_every_role() {
    let known: BTreeSet<(String, String)> =
        needs().into_iter().map(|(method, path, _)| (method.to_string(), path)).collect();
    let ours = MATRIX.iter().map(|(method, route, path, expected)| {
        let body = if matches!(*method, "POST" | "PATCH") { "{}" } else { "" };
        (*method, *route, *path, body, *expected)
    });
    let rows: Vec<_> = ours.chain(LITELLM.iter().copied()).collect();
    let tested: BTreeSet<(String, String)> =
        rows.iter().map(|(method, route, ..)| ((*method).to_owned(), (*route).to_owned())).collect();
    assert_eq!(known, tested, "a route needs a row, and a row a route");
    for (method, _, path, body, expected) in rows {
        let mut got = String::new();
        for role in Role::ALL {
            let body = (!body.is_empty()).then(|| serde_json::from_str(body).unwrap());
            let (status, body) = ask(&world().await, role, method, path, body.as_ref()).await;
            got.push(match status.as_u16() {
                200..300 => 'Y',
                403 => 'F',
                404 => 'N',
                422 => 'I',
                _ => panic!("{method} {path} by {}: {status} {body}", role.name()),
            });
        }
        assert_eq!(got, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn a_list_holds_only_what_one_may_see() {
    let world = world().await;
    let ids = async |role: Role, path: &str| -> Vec<String> {
        let (_, body) = ask(&world, role, "GET", path, None).await;
        let items = body["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        ids(Role::Admin, "/api/v1/keys").await,
        ["admin", "auditor", "blue", "red-admin", "red-member"]
    );
    assert_eq!(ids(Role::TeamAdmin, "/api/v1/keys").await, ["red-admin", "red-member"]);
    assert_eq!(ids(Role::TeamAdmin, "/api/v1/keys?team=blue").await, [""; 0]);
    assert_eq!(ids(Role::Member, "/api/v1/keys").await, ["red-member"]);
    assert_eq!(ids(Role::TeamAdmin, "/api/v1/teams").await, ["red"]);
    assert_eq!(ids(Role::Member, "/api/v1/users").await, [""; 0]);
    assert_eq!(ids(Role::Auditor, "/api/v1/keys?limit=2").await, ["admin", "auditor"]);
    assert_eq!(ids(Role::Auditor, "/api/v1/keys?limit=2&after=auditor").await, ["blue", "red-admin"]);
}

/// Whoever may not see everything is answered for what is theirs, whatever they ask.
#[tokio::test]
async fn spend_is_that_of_whom_one_may_see() {
    let world = world().await;
    let asked = async |role: Role, query: &str| -> Value {
        let (status, body) = ask(&world, role, "GET", &format!("/api/v1/spend?{query}"), None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        json!([body["total"]["team"], body["total"]["key"]])
    };
    for role in [Role::Admin, Role::Auditor] {
        assert_eq!(asked(role, "by=model").await, json!([null, null]));
        assert_eq!(asked(role, "team=blue&key=k").await, json!(["blue", "k"]));
    }
    assert_eq!(asked(Role::TeamAdmin, "by=model").await, json!(["red", null]));
    assert_eq!(asked(Role::TeamAdmin, "team=red&key=blue").await, json!(["red", "blue"]), "of the team red");
    assert_eq!(asked(Role::Member, "by=model").await, json!([null, "red-member"]));
    let (status, problem) = ask(&world, Role::Admin, "GET", "/api/v1/spend?by=colour", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].to_string().contains("day, team"), "{problem}");
    let (status, problem) = ask(&world, Role::Member, "GET", "/api/v1/spend?key=blue", None).await;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::FORBIDDEN, &json!("the role `member` sees the spend of the key `red-member` only"))
    );
}

/// A team's admin cannot raise itself, or anybody, above the team.
#[tokio::test]
async fn a_teams_admin_stays_within_the_team() {
    let world = world().await;
    let as_team_admin = async |method: &str, path: &str, body: Value| {
        ask(&world, Role::TeamAdmin, method, path, Some(&body)).await
    };
    let (status, made) = as_team_admin("POST", "/api/v1/keys", json!({ "alias": "x" })).await;
    assert_eq!((status, &made["team"]), (StatusCode::CREATED, &json!("red")), "it is the team's");
    for said in [
        json!({ "role": "admin" }),
        json!({ "role": "team_admin" }),
        json!({ "role": null, "team": "blue" }),
        json!({ "team": null }),
    ] {
        let (status, _) = as_team_admin("PATCH", "/api/v1/keys/red-member", said.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
    }
    for said in [json!({ "role": "admin" }), json!({ "team": "blue" }), json!({ "user": "ann" })] {
        let (status, _) = as_team_admin("POST", "/api/v1/keys", said.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
    }
}

#[tokio::test]
async fn a_holder_is_made_changed_over_what_was_read_and_removed() {
    let world = world().await;
    let ask = async |method: &str, path: &str, tag: Option<&str>, body: Value| {
        let mut request = request(method, path, None, Some(&body));
        if let Some(tag) = tag {
            request.headers_mut().insert("if-match", tag.parse().unwrap());
        }
        let Ok(response) = router(world.sources.clone()).oneshot(request).await;
        let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let kind = response.headers()["content-type"].to_str().unwrap_or_default().to_owned();
        let (status, body) = read(response).await;
        (status.as_u16(), tag.unwrap_or_default(), kind, body)
    };
    let said =
        json!({ "id": "k", "alias": "<b>'\";--", "budgets": [{ "amount_usd": 5, "window": "month" }] });
    let (status, first, _, made) = ask("POST", "/api/v1/keys", None, said).await;
    assert_eq!((status, made["alias"].as_str()), (201, Some("<b>'\";--")));
    assert!(made["key"].as_str().unwrap().starts_with("sk-tg-") && made.get("hash").is_none());
    let (_, _, _, shown) = ask("GET", "/api/v1/keys/k", None, json!({})).await;
    assert!(shown.get("key").is_none(), "it is shown once");
    assert_eq!(shown["standing"][0]["of"], "5");
    assert_eq!(shown["standing"][0]["left"], "5");
    let (status, second, _, _) = ask("PATCH", "/api/v1/keys/k", Some(&first), json!({ "alias": "b" })).await;
    assert_eq!(status, 200);
    let (status, _, kind, problem) =
        ask("PATCH", "/api/v1/keys/k", Some(&first), json!({ "alias": "c" })).await;
    assert_eq!((status, kind.as_str()), (412, "application/problem+json"));
    assert_eq!(problem["detail"], "the key `k` was changed meanwhile: read it again");
    let (status, _, _, problem) =
        ask("PATCH", "/api/v1/keys/k", None, json!({ "budgets": [{ "window": "day" }] })).await;
    assert_eq!((status, problem["member"].as_str()), (422, Some("budgets[0]")));
    let (status, _, _, problem) = ask("POST", "/api/v1/keys", None, json!({ "hash": "x" })).await;
    assert_eq!((status, problem["member"].as_str()), (422, Some("hash")));
    assert_eq!(ask("POST", "/api/v1/keys", None, json!({ "id": "k" })).await.0, 409);
    assert_eq!(ask("POST", "/api/v1/keys", None, json!([])).await.0, 400);
    assert_eq!(ask("PATCH", "/api/v1/keys/k", Some("k"), json!({})).await.0, 400);
    let mut removing = request("DELETE", "/api/v1/keys/k", None, None);
    removing.headers_mut().insert("if-match", second.parse().unwrap());
    let Ok(response) = router(world.sources.clone()).oneshot(removing).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(ask("GET", "/api/v1/keys/k", None, json!({})).await.0, 404);
}

/// A request that is sent again is carried out once, and a secret is shown once.
#[tokio::test]
async fn a_request_with_an_idempotency_key_is_carried_out_once() {
    let world = world().await;
    let api = router(world.sources.clone());
    let ask = async |path: &str, key: &str, caller: Option<Role>, body: Value| {
        let caller = caller.map(|role| world.callers[role as usize].clone());
        let mut request = request("POST", path, caller, Some(&body));
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        let Ok(response) = api.clone().oneshot(request).await;
        let (status, body) = read(response).await;
        (status.as_u16(), body)
    };
    let team = json!({ "id": "new", "alias": "x" });
    let (first, again) = (
        ask("/api/v1/teams", "a", None, team.clone()).await,
        ask("/api/v1/teams", "a", None, team.clone()).await,
    );
    assert_eq!((first.0, &first), (201, &again), "the same answer");
    assert_eq!(ask("/api/v1/teams", "b", None, team.clone()).await.0, 409, "another request is another");
    assert_eq!(ask("/api/v1/teams", "a", None, json!({})).await.0, 422, "a key is for one request");
    let (status, made) = ask("/api/v1/keys", "k", None, json!({})).await;
    assert_eq!(status, 201);
    let (status, problem) = ask("/api/v1/keys", "k", None, json!({})).await;
    assert_eq!((status, &problem["member"]), (409, &json!("Idempotency-Key")));
    assert!(problem["detail"].as_str().unwrap().contains(made["id"].as_str().unwrap()));
    let (status, other) = ask("/api/v1/keys", "k", Some(Role::Admin), json!({})).await;
    assert!(status == 201 && other["id"] != made["id"], "keys of others are others");
    assert_eq!(ask("/api/v1/teams", "c", None, json!({ "id": "/" })).await.0, 422);
    assert_eq!(
        ask("/api/v1/teams", "c", None, json!({ "id": "c" })).await.0,
        201,
        "what was not done may be tried again"
    );
    assert_eq!(ask("/api/v1/teams", &"x".repeat(256), None, json!({})).await.0, 400);
}

//! Models and credentials over the API: versions, problems, pages, and nothing of a secret.

use http::HeaderMap;
use serde_json::{Value, json};
use tollgate_admin::router;
use tower::ServiceExt;

use crate::support::{read, request};
use crate::{SECRET, World, world};

async fn asked(
    world: &World,
    (method, path): (&str, &str),
    headers: &[(&'static str, &str)],
    body: Option<&Value>,
) -> (u16, HeaderMap, Value) {
    let mut request = request(method, path, None, body);
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let Ok(response) = router(world.sources.clone()).oneshot(request).await;
    let headers = response.headers().clone();
    let (status, body) = read(response).await;
    (status.as_u16(), headers, body)
}

#[tokio::test]
async fn a_model_is_added_changed_over_what_was_read_and_removed() {
    let world = world().await;
    let ask = async |what, headers: &[(&'static str, &str)], body: Value| {
        asked(&world, what, headers, Some(&body)).await
    };
    let deployment = json!({ "provider": "openai", "model": "gpt-4o", "credential": "main", "weight": 3 });
    let said = json!({ "name": "gpt", "deployments": [deployment], "note": "ours" });
    let (status, headers, made) = ask(("POST", "/api/v1/models"), &[], said.clone()).await;
    assert_eq!(
        (status, &made["source"], &made["in_service"]),
        (201, &json!("runtime"), &json!(true)),
        "{made}"
    );
    assert_eq!(made["deployments"][0], deployment, "as it was said");
    let tag = headers["etag"].to_str().unwrap();
    let (status, _, problem) = ask(("POST", "/api/v1/models"), &[], said).await;
    assert_eq!((status, &problem["detail"]), (409, &json!("there is a model `gpt` already")));
    let renamed = json!({ "note": null });
    let (status, _, changed) =
        ask(("PATCH", "/api/v1/models/gpt"), &[("if-match", tag)], renamed.clone()).await;
    assert_eq!((status, changed.get("note")), (200, None));
    assert_eq!(ask(("PATCH", "/api/v1/models/gpt"), &[("if-match", tag)], renamed).await.0, 412);
    assert_eq!(ask(("DELETE", "/api/v1/models/gpt"), &[("if-match", tag)], Value::Null).await.0, 412);
    let (status, _, problem) = ask(("DELETE", "/api/v1/credentials/main"), &[], Value::Null).await;
    let why = "the credential `main` is used by the model `gpt`: change or remove that first";
    assert_eq!((status, &problem["detail"]), (409, &json!(why)));
    assert_eq!(ask(("DELETE", "/api/v1/models/gpt"), &[], Value::Null).await.0, 204);
    assert_eq!(ask(("DELETE", "/api/v1/credentials/main"), &[], Value::Null).await.0, 204);
    assert_eq!(ask(("GET", "/api/v1/models/gpt"), &[], Value::Null).await.0, 404);
}

#[tokio::test]
async fn what_does_not_resolve_is_refused_with_the_resolvers_words() {
    let world = world().await;
    let refused = async |said: Value| {
        let said = json!({ "name": "m", "deployments": [said] });
        let (status, headers, problem) = asked(&world, ("POST", "/api/v1/models"), &[], Some(&said)).await;
        assert_eq!((status, &headers["content-type"]), (422, &"application/problem+json".parse().unwrap()));
        format!("{} {}", problem["member"].as_str().unwrap(), problem["detail"].as_str().unwrap())
    };
    for (said, member, why) in [
        (json!({ "provider": "opnai" }), "deployments[0]", "did you mean `openai`?"),
        (
            json!({ "provider": "openai", "wieght": 1 }),
            "deployments[0].wieght",
            "there is no such member here",
        ),
        (
            json!({ "provider": "openai", "api_key": "sk" }),
            "deployments[0].api_key",
            "stands in a credential",
        ),
        (
            json!({ "provider": "openai", "credential": "none" }),
            "deployments[0].credential",
            "there is no credential",
        ),
        (json!({ "provider": "openai" }), "deployments[0].credential", "provider `openai` needs one"),
    ] {
        let got = refused(said).await;
        assert!(got.starts_with(&format!("{member} ")) && got.contains(why), "{got}");
    }
    let said = json!({ "name": "sim", "deployments": [{ "provider": "simulator" }] });
    let (status, _, problem) = asked(&world, ("POST", "/api/v1/models"), &[], Some(&said)).await;
    let why = "the model `sim` stands in the configuration file, and is changed there";
    assert_eq!((status, &problem["detail"]), (409, &json!(why)));
    for (method, path) in [("PATCH", "/api/v1/models/sim"), ("DELETE", "/api/v1/models/sim")] {
        let (status, _, problem) = asked(&world, (method, path), &[], Some(&json!({}))).await;
        assert_eq!((status, &problem["detail"]), (409, &json!(why)));
    }
}

/// Promise 6: a stored credential is only ever sent to the hosts that it was stored for, and never shown.
#[tokio::test]
async fn a_secret_is_taken_and_never_shown() {
    let world = world().await;
    let ask = async |what, body: Value| {
        let (status, _, body) = asked(&world, what, &[], Some(&body)).await;
        assert!(!body.to_string().contains(&SECRET[..SECRET.len() - 4]), "{body}");
        (status, body)
    };
    let said = json!({ "id": "other", "secret": SECRET, "hosts": ["API.example.com"], "note": "n" });
    let (status, made) = ask(("POST", "/api/v1/credentials"), said.clone()).await;
    assert_eq!((status, &made["hosts"], &made["hint"]), (201, &json!(["api.example.com"]), &json!("…mnop")));
    assert!(made.get("secret").is_none() && made.get("sealed").is_none(), "{made}");
    for path in ["/api/v1/credentials", "/api/v1/credentials/other", "/api/v1/models"] {
        assert_eq!(ask(("GET", path), Value::Null).await.0, 200);
    }
    let patch = async |said: Value| ask(("PATCH", "/api/v1/credentials/other"), said).await;
    let (status, problem) = patch(json!({ "hosts": ["evil.example"] })).await;
    assert_eq!(
        (status, &problem["member"]),
        (422, &json!("hosts")),
        "other hosts need the secret: {problem}"
    );
    let (status, problem) = patch(json!({ "hosts": [] })).await;
    assert_eq!((status, &problem["member"]), (422, &json!("hosts")), "{problem}");
    let (status, _) = patch(json!({ "hosts": ["b.example"], "secret": format!("{SECRET}2") })).await;
    assert_eq!(status, 200);
    for (said, member) in [
        (json!({ "id": "x", "hosts": ["a.example"] }), "secret"),
        (json!({ "id": "x", "hosts": ["a.example"], "secret": "${OPENAI_API_KEY}" }), "secret"),
        (json!({ "id": "x", "hosts": ["a.example"], "secret": 5 }), "secret"),
        (json!({ "id": "x", "secret": SECRET }), "hosts"),
        (json!({ "id": "x", "hosts": ["*.example"], "secret": SECRET }), "hosts[0]"),
        (json!({ "id": "x/", "hosts": ["a.example"], "secret": SECRET }), "id"),
        (json!({ "id": "x", "hosts": ["a.example"], "secret": SECRET, "sealed": "y" }), "sealed"),
    ] {
        let (status, problem) = ask(("POST", "/api/v1/credentials"), said).await;
        assert_eq!((status, problem["member"].as_str()), (422, Some(member)), "{problem}");
    }
}

#[tokio::test]
async fn a_list_has_pages_and_holds_the_files_models_too() {
    let world = world().await;
    let page = async |query: &str| {
        let (_, _, page) = asked(&world, ("GET", &format!("/api/v1/models{query}")), &[], None).await;
        let names =
            page["items"].as_array().unwrap().iter().map(|item| {
                format!("{} {}", item["name"].as_str().unwrap(), item["source"].as_str().unwrap())
            });
        (names.collect::<Vec<_>>(), page["next"].clone())
    };
    assert_eq!(page("").await, (vec!["mine/* runtime".to_owned(), "sim file".to_owned()], Value::Null));
    assert_eq!(page("?limit=1").await, (vec!["mine/* runtime".to_owned()], json!("mine/*")));
    assert_eq!(page("?limit=1&after=mine/*").await, (vec!["sim file".to_owned()], Value::Null));
    assert_eq!(asked(&world, ("GET", "/api/v1/models?colour=red"), &[], None).await.0, 400);
}

#[tokio::test]
async fn a_request_that_comes_again_adds_once() {
    let world = world().await;
    let api = router(world.sources.clone());
    let ask = async || {
        let body = json!({ "secret": SECRET, "hosts": ["a.example"] });
        let mut request = request("POST", "/api/v1/credentials", None, Some(&body));
        request.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        let Ok(response) = api.clone().oneshot(request).await;
        read(response).await.1["id"].clone()
    };
    let (first, again) = (ask().await, ask().await);
    assert!(first.is_string() && first == again);
}

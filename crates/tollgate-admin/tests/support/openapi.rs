//! The description of the API says what is: every route of ours is in it, and real answers are as it says.

use serde_json::{Value, json};
use tollgate_admin::{needs, router};
use tower::ServiceExt;

use crate::support::{read, request};
use crate::{World, world};

async fn described(world: &World) -> Value {
    let Ok(response) =
        router(world.sources.clone()).oneshot(request("GET", "/api/openapi.json", None, None)).await;
    read(response).await.1
}

/// What is wrong with `value`, as the schema called `name` says.
fn wrong(document: &Value, name: &str, value: &Value) -> Vec<String> {
    let schema =
        json!({ "$ref": format!("#/components/schemas/{name}"), "components": document["components"] });
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[tokio::test]
async fn every_route_of_ours_is_in_the_document() {
    let document = described(&world().await).await;
    assert_eq!(document["openapi"], "3.1.0");
    for (method, path, _) in needs().into_iter().filter(|(_, path, _)| path.starts_with("/api/v1/")) {
        let operation = &document["paths"][&path][method.as_str().to_lowercase()];
        assert!(operation["summary"].is_string(), "{method} {path} is missing");
        let named = operation["parameters"].as_array().unwrap().iter().filter(|p| p["in"] == "path").count();
        assert_eq!(named, path.matches('{').count(), "{method} {path}");
    }
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is not described");
    }
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let world = world().await;
    let document = described(&world).await;
    let ask = async |method: &str, path: &str, body: Option<Value>| {
        let Ok(response) =
            router(world.sources.clone()).oneshot(request(method, path, None, body.as_ref())).await;
        read(response).await.1
    };
    let said = json!({
        "id": "k", "alias": "a", "models": ["gpt-*"], "role": "auditor", "addresses": ["10.0.0.0/8"], "metadata": { "x": 1 },
        "user": "ann", "expires_at": "2030-01-01T00:00:00Z",
        "budgets": [{ "amount_usd": "5", "window": "30d", "warn_percent": 80, "time_zone": "Europe/Berlin" }],
        "limits": [{ "measure": "requests", "max": 5, "per": "minute" }],
    });
    assert_eq!(wrong(&document, "NewKey", &said), [""; 0]);
    for (method, path, body, schema) in [
        ("POST", "/api/v1/keys", Some(said), "MadeKey"),
        ("GET", "/api/v1/keys/k", None, "Key"),
        ("PATCH", "/api/v1/keys/k", Some(json!({ "alias": null })), "Key"),
        ("POST", "/api/v1/keys/k/rotate", Some(json!({ "grace_seconds": 60 })), "MadeKey"),
        ("GET", "/api/v1/keys", None, "KeyPage"),
        ("GET", "/api/v1/users/ann", None, "User"),
        ("GET", "/api/v1/teams/green", None, "Team"),
        ("GET", "/api/v1/teams", None, "TeamPage"),
        ("GET", "/api/v1/models", None, "ModelPage"),
        ("GET", "/api/v1/models/sim", None, "Model"),
        ("GET", "/api/v1/models/mine%2F*", None, "Model"),
        ("PATCH", "/api/v1/models/mine%2F*", Some(json!({ "note": "n" })), "Model"),
        ("GET", "/api/v1/credentials", None, "CredentialPage"),
        ("GET", "/api/v1/credentials/main", None, "Credential"),
        ("PATCH", "/api/v1/credentials/main", Some(json!({ "note": "n" })), "Credential"),
        ("GET", "/api/v1/calls", None, "CallPage"),
        ("GET", "/api/v1/spend", None, "Spend"),
        ("GET", "/api/v1/keys/nobody", None, "Problem"),
        ("POST", "/api/v1/keys", Some(json!({ "role": "god" })), "Problem"),
    ] {
        let answer = ask(method, path, body).await;
        assert_eq!(wrong(&document, schema, &answer), [""; 0], "{method} {path}: {answer}");
    }
    assert_ne!(wrong(&document, "NewKey", &json!({ "role": "god" })), [""; 0]);
}

/// Nothing is loaded from anywhere, and nothing runs.
#[tokio::test]
async fn the_page_has_no_scripts_and_loads_nothing() {
    use http_body_util::BodyExt;

    let world = world().await;
    let Ok(response) = router(world.sources.clone()).oneshot(request("GET", "/api/docs", None, None)).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"));
    let page = response.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8(page.to_vec()).unwrap();
    for forbidden in ["<script", "src=", "http://", "https://", "@import", "url("] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("/api/v1/keys/{id}/rotate") && page.contains("id=\"KeySpec\""));
}

//! Contracts of tools over the API: what is seen, looked at and decided.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_admin::{Sources, router};
use tollgate_core::config::tools::ToolEffects;
use tollgate_mcp::contract::port::{Seen, ToolContracts, Verdict};
use tollgate_mcp::tool::Tool;
use tower::ServiceExt;

use crate::support::{read, request};
use crate::{World, world};

fn tool(description: &str) -> Tool {
    let definition =
        json!({ "name": "a/b", "description": description, "inputSchema": { "type": "object" } });
    Tool::try_from(definition).unwrap()
}

async fn observed(sources: &Sources, description: &str) -> Verdict {
    let (others, effects) = (BTreeMap::new(), ToolEffects::default());
    let tools = vec![tool(description)];
    let seen = Seen { server: "files", audience: None, tools, others: &others, effects: &effects };
    sources.contracts.observe(seen).await.remove(0)
}

/// The gate has seen a tool, and pinned it.
pub(crate) async fn seen(sources: &Sources) {
    sources.contracts.follow().await.unwrap();
    assert!(matches!(observed(sources, "Reads a file.").await, Verdict::Offered { .. }));
}

async fn asked(world: &World, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = request(method, path, None, Some(&body));
    let Ok(response) = router(world.sources.clone()).oneshot(request).await;
    let (status, body) = read(response).await;
    (status.as_u16(), body)
}

const PATH: &str = "/api/v1/tools/contracts/files/a%2Fb";

#[tokio::test]
async fn a_change_is_held_looked_at_and_approved() {
    let world = world().await;
    let pending = async || asked(&world, "GET", "/api/v1/tools/contracts?state=pending", Value::Null).await.1;
    assert_eq!(pending().await["items"], json!([]));
    let changed = "Reads a file, or a folder.";
    assert!(matches!(observed(&world.sources, changed).await, Verdict::Hidden { .. }));
    let listed = pending().await;
    assert_eq!(listed["items"][0]["tool"], "a/b");
    assert!(listed["items"][0]["pending"].get("definition").is_none(), "definitions are long");
    let (_, contract) = asked(&world, "GET", PATH, Value::Null).await;
    assert_eq!(contract["pending"]["classes"], json!(["description"]));
    assert_eq!(contract["pending"]["diff"][2], "+ Reads a file, or a folder.");
    let digest = contract["pending"]["digest"].clone();
    let approve = async |said: Value| asked(&world, "POST", &format!("{PATH}/approve"), said).await;
    let (status, problem) = approve(json!({ "digest": contract["pinned"]["digest"] })).await;
    assert_eq!(status, 409, "what is approved is what was looked at: {problem}");
    assert_eq!(approve(json!({ "digest": digest, "effect": "harmless" })).await.0, 422);
    let (status, approved) = approve(json!({ "digest": digest, "effect": "read" })).await;
    assert_eq!(
        (status, &approved["state"], &approved["pinned"]["how"]),
        (200, &json!("pinned"), &json!("approved"))
    );
    match observed(&world.sources, changed).await {
        Verdict::Offered { facts, .. } => assert_eq!(facts.effect, tollgate_core::effect::Effect::Read),
        Verdict::Hidden { why, .. } => panic!("{why}"),
    }
    let (status, lock) = asked(&world, "GET", "/api/v1/tools/lock", Value::Null).await;
    assert_eq!((status, &lock["contracts"][0]["effect"]), (200, &json!("read")));
}

#[tokio::test]
async fn what_is_rejected_stays_hidden_until_the_tool_is_forgotten() {
    let world = world().await;
    assert!(matches!(observed(&world.sources, "Sends it elsewhere.").await, Verdict::Hidden { .. }));
    let (_, contract) = asked(&world, "GET", PATH, Value::Null).await;
    let said = json!({ "digest": contract["pending"]["digest"] });
    assert_eq!(asked(&world, "POST", &format!("{PATH}/reject"), said.clone()).await.0, 200);
    assert_eq!(asked(&world, "POST", &format!("{PATH}/reject"), said).await.0, 409);
    match observed(&world.sources, "Sends it elsewhere.").await {
        Verdict::Hidden { why, .. } => assert!(why.contains("rejected"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(
        matches!(observed(&world.sources, "Reads a file.").await, Verdict::Offered { .. }),
        "what was pinned"
    );
    assert_eq!(asked(&world, "DELETE", PATH, Value::Null).await.0, 204);
    assert!(
        matches!(observed(&world.sources, "Sends it elsewhere.").await, Verdict::Offered { .. }),
        "the first sight"
    );
}

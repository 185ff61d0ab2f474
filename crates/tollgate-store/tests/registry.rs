//! One suite that every registry runs. PostgreSQL is a real server, started here on a free port.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod server;

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_core::access::{Holder, HolderKind, HolderRef, KeyHash};
use tollgate_core::addition::Addition;
use tollgate_core::contract::ToolContract;
use tollgate_core::document::Document as _;
use tollgate_core::ports::{KeepError, Registry};
use tollgate_store::{Registries, open_registry};

fn name(kind: HolderKind, id: &str) -> HolderRef {
    HolderRef { kind, id: id.into() }
}

fn holder(kind: &str, id: &str, more: Value) -> Holder {
    let at = "2026-01-01T00:00:00Z";
    let mut json = json!({ "kind": kind, "id": id, "created_at": at, "updated_at": at });
    json.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    serde_json::from_value(json).unwrap()
}

fn key(id: &str, secret: &str, alias: &str) -> Holder {
    holder("key", id, json!({ "hash": KeyHash::of(secret), "prefix": "sk-", "alias": alias }))
}

async fn versions(registry: &Arc<dyn Registry>) {
    let first = registry.keep(&key("a", "sk-a", "one"), None).await.unwrap();
    assert_eq!(
        registry.keep(&key("a", "sk-other", "two"), None).await,
        Err(KeepError::Conflict),
        "there is one"
    );
    let second = registry.keep(&key("a", "sk-a", "two"), Some(first)).await.unwrap();
    assert!(second > first);
    assert_eq!(
        registry.keep(&key("a", "sk-a", "three"), Some(first)).await,
        Err(KeepError::Conflict),
        "it is stale"
    );
    assert_eq!(
        registry.keep(&key("b", "sk-a", "thief"), None).await,
        Err(KeepError::Conflict),
        "the same secret"
    );
    let told = registry.changed_after(0).await.unwrap();
    assert_eq!(
        (told.len(), told[0].change, told[0].document.as_ref().unwrap().alias()),
        (1, second, Some("two"))
    );
    // The same name of another kind is another.
    let team = registry.keep(&holder("team", "a", json!({})), None).await.unwrap();
    assert_eq!(registry.changed_after(second).await.unwrap()[0].change, team);
}

async fn removal(registry: &Arc<dyn Registry>) {
    let made = registry.keep(&key("gone", "sk-gone", "x"), None).await.unwrap();
    assert_eq!(registry.remove(&name(HolderKind::Key, "gone"), made + 1).await, Err(KeepError::Conflict));
    let removed = registry.remove(&name(HolderKind::Key, "gone"), made).await.unwrap();
    let told = registry.changed_after(made).await.unwrap();
    assert_eq!((told.len(), told[0].change, &told[0].document), (1, removed, &None), "others learn of it");
    assert_eq!(registry.remove(&name(HolderKind::Key, "gone"), removed).await, Err(KeepError::Conflict));
    assert_eq!(registry.keep(&key("gone", "sk-gone", "y"), Some(removed)).await, Err(KeepError::Conflict));
    registry.keep(&key("gone", "sk-gone", "y"), None).await.unwrap();
}

/// Texts that would break a statement that was glued together.
async fn strange_texts(registry: &Arc<dyn Registry>) {
    for (at, text) in
        ["'; DROP TABLE holders; --", "\" OR 1=1", "$1", "é\u{1F600}", "%_"].into_iter().enumerate()
    {
        let kept = key(text, &format!("sk-strange-{at}"), text);
        let change = registry.keep(&kept, None).await.unwrap();
        let told = registry.changed_after(change - 1).await.unwrap();
        assert_eq!(told.last().unwrap().document.as_ref(), Some(&kept), "{text}");
    }
}

/// Whoever reads up to a change has seen every change before it, however many write at the same time.
async fn changes_are_seen_in_their_order(open: &impl AsyncFn() -> Arc<dyn Registry>) {
    let (one, other) = (open().await, open().await);
    let begun = one.changed_after(0).await.unwrap().last().map_or(0, |last| last.change);
    let write = |registry: Arc<dyn Registry>, who: &'static str| async move {
        for at in 0..20 {
            registry.keep(&holder("user", &format!("{who}-{at}"), json!({})), None).await.unwrap();
        }
    };
    let writing = [tokio::spawn(write(Arc::clone(&one), "one")), tokio::spawn(write(other, "other"))];
    let (mut read, mut seen) = (begun, 0);
    while seen < 40 {
        for stored in one.changed_after(read).await.unwrap() {
            assert!(stored.change > read);
            (read, seen) = (stored.change, seen + 1);
        }
    }
    for writer in writing {
        writer.await.unwrap();
    }
    assert_eq!(read, begun + 40, "none was left out");
}

fn model(name: &str, note: &str) -> Addition {
    serde_json::from_value(json!({
        "kind": "model", "name": name, "note": note, "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "deployments": [{ "provider": "simulator", "weight": 1 }],
    }))
    .unwrap()
}

fn credential(id: &str) -> Addition {
    serde_json::from_value(json!({
        "kind": "credential", "id": id, "hosts": ["a.example:8443"], "sealed": "x", "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "secret_at": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

fn contract(tool: &str, rejected: &str) -> ToolContract {
    ToolContract { rejected: vec![rejected.to_owned()], ..ToolContract::new("files", tool, None) }
}

/// Contracts of tools, too, whatever tools are called.
async fn contracts(Registries { holders, contracts, .. }: &Registries) {
    for tool in ["a/b", "'; DROP TABLE contracts; --", "é\u{1F600}"] {
        let made = contracts.keep(&contract(tool, "x"), None).await.unwrap();
        assert_eq!(contracts.keep(&contract(tool, "y"), None).await, Err(KeepError::Conflict));
        let changed = contracts.keep(&contract(tool, "y"), Some(made)).await.unwrap();
        let told = contracts.changed_after(made).await.unwrap();
        assert_eq!(told.last().unwrap().document, Some(contract(tool, "y")));
        assert!(holders.changed_after(changed - 1).await.unwrap().is_empty());
    }
}

/// Models and credentials have the same rules, a table of their own, and the same numbers of changes.
async fn additions(Registries { holders, additions, .. }: &Registries) {
    let before = additions.changed_after(0).await.unwrap().len();
    let made = additions.keep(&model("openai/*", "one"), None).await.unwrap();
    assert_eq!(additions.keep(&model("openai/*", "two"), None).await, Err(KeepError::Conflict));
    let other = additions.keep(&credential("openai/*"), None).await.unwrap();
    let team = holders.keep(&holder("team", "openai/*", json!({})), None).await.unwrap();
    let changed = additions.keep(&model("openai/*", "two"), Some(made)).await.unwrap();
    assert!(made < other && other < team && team < changed, "one order for all");
    assert_eq!(additions.keep(&model("openai/*", "three"), Some(made)).await, Err(KeepError::Conflict));
    let told = additions.changed_after(0).await.unwrap();
    assert_eq!(told.len(), before + 2, "holders are not told of here");
    assert_eq!(told.last().unwrap().document, Some(model("openai/*", "two")));
    assert!(holders.changed_after(team).await.unwrap().is_empty(), "nor these there");
    let name = model("openai/*", "").document();
    assert_eq!(additions.remove(&name, made).await, Err(KeepError::Conflict));
    let removed = additions.remove(&name, changed).await.unwrap();
    let told = additions.changed_after(changed).await.unwrap();
    assert_eq!((told.len(), told[0].change, &told[0].document), (1, removed, &None), "others learn of it");
    for text in ["'; DROP TABLE additions; --", "\" OR 1=1", "é\u{1F600}", "%_"] {
        let change = additions.keep(&model(text, text), None).await.unwrap();
        let told = additions.changed_after(change - 1).await.unwrap();
        assert_eq!(told.last().unwrap().document, Some(model(text, text)));
    }
}

async fn everything(open: impl AsyncFn() -> Registries) {
    let (both, again) = tokio::join!(open(), open());
    let registry = &both.holders;
    versions(registry).await;
    removal(&again.holders).await;
    strange_texts(registry).await;
    changes_are_seen_in_their_order(&async || open().await.holders).await;
    additions(&both).await;
    contracts(&both).await;
    let before = (registry.changed_after(0).await.unwrap(), both.additions.changed_after(0).await.unwrap());
    drop((both, again));
    let after = open().await;
    assert_eq!(after.holders.changed_after(0).await.unwrap(), before.0, "it is there after a restart");
    assert_eq!(after.additions.changed_after(0).await.unwrap(), before.1, "it is there after a restart");
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    everything(async || open_registry(None, folder.path()).await.unwrap()).await;
}

#[tokio::test]
async fn postgres() {
    let server = server::Server::start().await;
    everything(async || open_registry(Some(&server.url), std::path::Path::new("")).await.unwrap()).await;
}

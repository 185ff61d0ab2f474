//! What is served: the file and what was added, whoever added it, and whatever is wrong with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Weak};

use jiff::Timestamp;
use serde_json::{Value, json};
use tollgate_core::addition::{Addition, AdditionKind, AdditionRef};
use tollgate_core::config::parse;
use tollgate_core::config::resolve::{Overrides, World, resolve};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::ports::{Clock, Journal, Publish, Registry};
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_llm::{catalog, providers};
use tollgate_models::{AdditionError, Additions};
use tollgate_testkit::{FakeEnvironment, MemoryJournal, MemoryRegistry, TestGate};

const KEY: &str = "key-0123456789abcdef0123456789abcdef";
const SECRET: &str = "sk-live-0123456789abcdefghijklmnop";
const SIM: &str = "models: { sim: [{ provider: simulator }] }";

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// One instance over a registry that others may share.
struct Instance {
    additions: Additions,
    registry: Arc<MemoryRegistry<Addition>>,
    journal: Arc<MemoryJournal>,
}

fn file(text: &str) -> Snapshot {
    let environment = FakeEnvironment::default();
    let world = World {
        environment: &environment,
        providers: &providers::Table,
        catalog: &catalog::BuiltIn,
        expressions: &tollgate_core::policy::NoExpressions,
    };
    let loaded = parse("test.yaml", text).unwrap();
    resolve("test.yaml", text, &loaded, &Overrides::default(), world).unwrap()
}

fn with_key(key: &str) -> Snapshot {
    file(&format!("{SIM}\nsecrets_key: {key}"))
}

impl Instance {
    async fn new(file: Snapshot, registry: &Arc<MemoryRegistry<Addition>>) -> Self {
        let (registry, journal) = (Arc::clone(registry), Arc::new(MemoryJournal::default()));
        let additions = Additions::new(
            file,
            Arc::clone(&registry) as Arc<dyn Registry<Addition>>,
            Arc::clone(&journal) as Arc<dyn Journal>,
            Arc::new(Noon),
            (Arc::new(providers::Table), Arc::new(catalog::BuiltIn)),
        );
        let instance = Self { additions, registry, journal };
        // Where it is away, the test says so.
        let _ = instance.additions.follow(&*instance.registry).await;
        instance
    }

    async fn credential(&self, id: &str) {
        let said = json!({ "secret": SECRET, "hosts": ["api.openai.com"] });
        self.additions.create_credential(&root(), Some(id), said).await.unwrap();
    }

    async fn model(&self, name: &str, deployment: Value) -> Result<(), AdditionError> {
        let said = json!({ "deployments": [deployment] });
        self.additions.create_model(&root(), name, said).await.map(|_| ())
    }

    /// Why a model is out of service; empty where it is in service.
    fn why(&self, name: &str) -> String {
        let snapshot = self.additions.snapshot();
        let model = Arc::clone(snapshot.models.get(name).unwrap());
        model.deployments[0].unavailable.clone().unwrap_or_default()
    }

    fn shown(&self, kind: AdditionKind, id: &str) -> Value {
        self.additions.get(&AdditionRef { kind, id: id.into() }).unwrap().value
    }
}

fn root() -> Principal {
    Principal::direct(ActorKind::Master, "master")
}

fn openai() -> Value {
    json!({ "provider": "openai", "model": "gpt-4o", "credential": "main" })
}

#[tokio::test]
async fn another_instance_serves_it_when_it_has_looked() {
    let registry = Arc::default();
    let (one, other) =
        (Instance::new(with_key(KEY), &registry).await, Instance::new(with_key(KEY), &registry).await);
    one.credential("main").await;
    one.model("gpt", openai()).await.unwrap();
    assert!(other.additions.snapshot().models.get("gpt").is_none());
    other.additions.follow(&*registry).await.unwrap();
    let served = other.additions.snapshot();
    let deployment = &served.models.find("gpt").unwrap().model.deployments[0];
    assert_eq!(deployment.api_key.as_ref().unwrap().expose(), SECRET);
    assert_eq!(
        other.journal.of_kind("event")[0]["detail"]["changed"],
        json!(["credential `main`", "model `gpt`"])
    );
    one.additions
        .remove(&root(), &AdditionRef { kind: AdditionKind::Model, id: "gpt".into() }, None)
        .await
        .unwrap();
    other.additions.follow(&*registry).await.unwrap();
    assert!(other.additions.snapshot().models.get("gpt").is_none());
}

/// What cannot be served says why, and nothing else stops.
#[tokio::test]
async fn a_wrong_key_takes_models_out_of_service_and_nothing_else() {
    let registry = Arc::default();
    let one = Instance::new(with_key(KEY), &registry).await;
    one.credential("main").await;
    one.model("gpt", openai()).await.unwrap();
    one.model("free", json!({ "provider": "simulator" })).await.unwrap();
    let wrong = Instance::new(with_key("another-0123456789abcdef0123456789"), &registry).await;
    assert!(wrong.why("gpt").contains("another `secrets_key`"), "{}", wrong.why("gpt"));
    assert_eq!(wrong.why("free"), "");
    let shown = wrong.shown(AdditionKind::Model, "gpt");
    assert_eq!((&shown["in_service"], shown["why"].is_string()), (&json!(false), true), "{shown}");
    assert_eq!(wrong.shown(AdditionKind::Credential, "main")["in_service"], false);
    let none = Instance::new(file(SIM), &registry).await;
    assert!(none.why("gpt").contains("this gate has no `secrets_key`"));
    // A key that comes back with the file puts them in service again.
    none.additions.reload(with_key(KEY));
    assert_eq!(none.why("gpt"), "");
}

/// Keys are rotated: what one of the keys before opens is encrypted with the newest at the next change.
#[tokio::test]
async fn a_change_encrypts_with_the_newest_key() {
    let registry = Arc::default();
    let one = Instance::new(with_key(KEY), &registry).await;
    one.credential("main").await;
    one.model("gpt", openai()).await.unwrap();
    const NEW: &str = "newest-0123456789abcdef0123456789ab";
    let both = file(&format!("{SIM}\nsecrets_key: {NEW}\nsecrets_keys_before: [{KEY}]"));
    let rotated = Instance::new(both, &registry).await;
    assert_eq!(rotated.why("gpt"), "");
    rotated.additions.change_credential(&root(), "main", None, json!({})).await.unwrap();
    let only_new = Instance::new(with_key(NEW), &registry).await;
    assert_eq!(only_new.why("gpt"), "");
}

#[tokio::test]
async fn without_a_key_no_secret_is_taken() {
    let gate = Instance::new(file(SIM), &Arc::default()).await;
    let said = json!({ "secret": SECRET, "hosts": ["api.openai.com"] });
    let error = gate.additions.create_credential(&root(), Some("main"), said).await.unwrap_err();
    assert!(matches!(error, AdditionError::NoKey));
    assert!(error.to_string().contains("set `secrets_key`"), "{error}");
    assert!(gate.registry.changed_after(0).await.unwrap().is_empty());
}

/// A row that was copied to another name, or whose hosts were edited, is of no use.
#[tokio::test]
async fn rows_that_were_tampered_with_are_out_of_service() {
    let registry = Arc::default();
    let one = Instance::new(with_key(KEY), &registry).await;
    one.credential("main").await;
    one.model("gpt", openai()).await.unwrap();
    let row = registry.changed_after(0).await.unwrap().into_iter().find_map(|stored| match stored.document {
        Some(Addition::Credential(credential)) => Some((stored.change, credential)),
        _ => None,
    });
    let (change, mut credential) = row.unwrap();
    let text = serde_json::to_string(&credential).unwrap();
    assert!(!text.contains(&SECRET[..10]), "{text}");
    credential.spec.hosts = vec!["evil.example".to_owned().try_into().unwrap()];
    registry.keep(&Addition::Credential(credential.clone()), Some(change)).await.unwrap();
    credential.id = "copy".into();
    registry.keep(&Addition::Credential(credential), None).await.unwrap();
    one.additions.follow(&*registry).await.unwrap();
    assert!(one.why("gpt").contains("was altered where it is kept"), "{}", one.why("gpt"));
    assert_eq!(one.shown(AdditionKind::Credential, "copy")["in_service"], false);
}

#[tokio::test]
async fn a_change_that_would_break_a_model_is_refused() {
    let gate = Instance::new(with_key(KEY), &Arc::default()).await;
    gate.credential("main").await;
    gate.model("gpt", openai()).await.unwrap();
    let patch = json!({ "hosts": ["b.example"], "secret": SECRET });
    let error = gate.additions.change_credential(&root(), "main", None, patch).await.unwrap_err().to_string();
    assert!(error.starts_with("hosts: the model `gpt` would be out of service"), "{error}");
    let more = json!({ "hosts": ["b.example", "api.openai.com"], "secret": format!("{SECRET}!") });
    gate.additions.change_credential(&root(), "main", None, more).await.unwrap();
    let served = gate.additions.snapshot();
    let key = served.models.find("gpt").unwrap().model.deployments[0].api_key.clone().unwrap();
    assert_eq!(key.expose(), format!("{SECRET}!"), "in force at once");
}

/// A name that comes to stand in the file is the file's from then on, and the model is marked.
#[tokio::test]
async fn the_file_goes_before_what_was_added() {
    let gate = Instance::new(with_key(KEY), &Arc::default()).await;
    gate.model("mine", json!({ "provider": "simulator", "model": "added" })).await.unwrap();
    gate.additions.reload(file("models: { mine: [{ provider: simulator, model: in-file }] }"));
    let served = gate.additions.snapshot();
    assert_eq!(&*served.models.find("mine").unwrap().model.deployments[0].model, "in-file");
    let shown = gate.shown(AdditionKind::Model, "mine");
    assert_eq!((&shown["in_service"], &shown["source"]), (&json!(false), &json!("runtime")), "{shown}");
    assert!(shown["why"].as_str().unwrap().contains("the configuration file"), "{shown}");
    gate.additions.reload(with_key(KEY));
    assert_eq!(gate.why("mine"), "");
}

/// Every change is on the record with before and after, and never with a secret.
#[tokio::test]
async fn changes_are_on_the_record_without_secrets() {
    let gate = Instance::new(with_key(KEY), &Arc::default()).await;
    gate.credential("main").await;
    gate.model("gpt", openai()).await.unwrap();
    let patch = json!({ "secret": format!("{SECRET}2"), "note": "n" });
    gate.additions.change_credential(&root(), "main", None, patch).await.unwrap();
    let name = AdditionRef { kind: AdditionKind::Model, id: "gpt".into() };
    gate.additions.remove(&root(), &name, None).await.unwrap();
    let events = gate.journal.of_kind("event");
    let told: Vec<String> = events
        .iter()
        .map(|event| format!("{} {}", event["detail"]["action"], event["detail"]["addition"]))
        .collect();
    assert_eq!(
        told,
        [
            r#""create" {"kind":"credential","id":"main"}"#,
            r#""create" {"kind":"model","id":"gpt"}"#,
            r#""change" {"kind":"credential","id":"main"}"#,
            r#""remove" {"kind":"model","id":"gpt"}"#,
        ]
    );
    let changed = &events[2]["detail"];
    assert_eq!((changed["before"].get("note"), &changed["after"]["note"]), (None, &json!("n")));
    let text = json!(events).to_string();
    for part in [&SECRET[..8], &SECRET[SECRET.len() - 4..], "sealed", "TGC1"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
}

/// Until the registry was read nobody is told that a model is unknown, and nothing is changed.
#[tokio::test]
async fn while_the_registry_is_away_a_model_is_not_said_to_be_unknown() {
    let registry = Arc::new(MemoryRegistry::default());
    registry.away(true);
    let one = Instance::new(with_key(KEY), &registry).await;
    let gate = TestGate::new(SIM);
    one.additions.publish_to(Arc::downgrade(&gate.gate) as Weak<dyn Publish>);
    assert_eq!(gate.chat("gpt", "hello").await.status, 503);
    assert_eq!(gate.chat("sim", "hello").await.status, 200);
    assert!(matches!(one.model("m", json!({ "provider": "simulator" })).await, Err(AdditionError::Away(_))));
    registry.away(false);
    one.additions.follow(&*registry).await.unwrap();
    assert_eq!(gate.chat("gpt", "hello").await.status, 404);
    one.model("gpt", json!({ "provider": "simulator" })).await.unwrap();
    assert_eq!(gate.chat("gpt", "hello").await.status, 200, "in force when it is answered");
    registry.away(true);
    assert!(one.additions.follow(&*registry).await.is_err());
    assert_eq!(gate.chat("gpt", "hello").await.status, 200, "what is known goes on");
    assert!(one.model("m", json!({ "provider": "simulator" })).await.is_err());
    assert_eq!(one.journal.of_kind("event").last().unwrap()["event"], "change_failed");
}

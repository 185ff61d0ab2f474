//! A gate whose callers hold keys, in front of a simulator and of upstreams that do what a test says.

#![allow(dead_code, reason = "each suite uses what it needs")]

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tollgate_core::access::{HolderKind, HolderRef};
use tollgate_core::ports::{Access, Clock, Journal, Registry};
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_core::record::Counted;
use tollgate_ledger::{Ledger, Made, Registrar, Sharing};
use tollgate_testkit::{Answer, MemoryRegistry, MemoryShelf, TestGate};

pub(crate) const CONFIG: &str = "master_key: sk-master-key
models:
  sim: [{ provider: simulator, price: { input_usd_per_mtok: 10, output_usd_per_mtok: 30 } }]
  other: [{ provider: simulator, price: { input_usd_per_mtok: 10, output_usd_per_mtok: 30 } }]
  free: [{ provider: simulator }]
  gpt: [{ provider: openai, model: gpt-4o, api_key: k, price: { input_usd_per_mtok: 10, output_usd_per_mtok: 30 } }]
  falls: [{ provider: openai, model: gpt-4o, api_key: k, price: { input_usd_per_mtok: 10, output_usd_per_mtok: 30 } }]
  dear: [{ provider: simulator, price: { input_usd_per_mtok: 100, output_usd_per_mtok: 300 } }]
routing: { retries: 1, backoff_ms: 0, fallbacks: { falls: [dear] } }
";

/// For how long an instance uses what it has taken without being heard of.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// An instance's exchange with the others. It dies with the value, without a word.
pub(crate) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) struct Governed {
    pub(crate) gate: TestGate,
    pub(crate) registrar: Registrar,
    pub(crate) registry: Arc<MemoryRegistry>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Governed {
    pub(crate) async fn new() -> Self {
        Self::with(CONFIG, Arc::default(), Vec::new()).await
    }

    pub(crate) async fn with(config: &str, registry: Arc<MemoryRegistry>, counted: Vec<Counted>) -> Self {
        Self::of(config, registry, counted, Ledger::new).await
    }

    /// One of several instances: what it shares is on `shelf`, where it is called `who`.
    pub(crate) async fn shared(
        shelf: &Arc<MemoryShelf>,
        who: &str,
        registry: &Arc<MemoryRegistry>,
        counted: Vec<Counted>,
    ) -> (Self, AbortOnDrop) {
        let sharing = Sharing::new(Arc::clone(shelf) as Arc<_>, who.into(), LEASE, None);
        let made = |journal| Ledger::sharing(journal, sharing);
        let governed = Self::of(CONFIG, Arc::clone(registry), counted, made).await;
        let ledger = Arc::clone(governed.registrar.ledger());
        let keeping = tokio::spawn(async move { ledger.keep_sharing().await });
        (governed, AbortOnDrop(keeping.abort_handle()))
    }

    async fn of(
        config: &str,
        registry: Arc<MemoryRegistry>,
        counted: Vec<Counted>,
        made: impl FnOnce(Arc<dyn Journal>) -> Ledger,
    ) -> Self {
        let mut parts = None;
        let gate = TestGate::governed(config, |journal: Arc<dyn Journal>, clock: Arc<dyn Clock>| {
            let ledger = Arc::new(made(Arc::clone(&journal)));
            parts = Some((Arc::clone(&ledger), journal, clock));
            ledger as Arc<dyn Access>
        });
        let (ledger, journal, clock) = parts.unwrap();
        ledger.restore(counted);
        // Where it is away, the test says so.
        let _ = ledger.follow(&*registry, clock.now()).await;
        let kept = Arc::clone(&registry) as Arc<dyn Registry>;
        let registrar = Registrar::new(ledger, kept, journal, Arc::clone(&clock));
        Self { gate, registrar, registry, clock }
    }

    pub(crate) async fn made(&self, kind: HolderKind, id: &str, said: Value) -> Made {
        self.registrar.create(&root(), kind, Some(id), said).await.unwrap()
    }

    /// A new key's secret.
    pub(crate) async fn key(&self, said: Value) -> String {
        let made = self.registrar.create(&root(), HolderKind::Key, None, said).await.unwrap();
        made.secret.unwrap().expose().to_owned()
    }

    pub(crate) async fn change(&self, kind: HolderKind, id: &str, patch: Value) {
        let name = HolderRef { kind, id: id.into() };
        self.registrar.change(&root(), &name, None, patch).await.unwrap();
    }

    pub(crate) async fn ask(&self, key: &str, model: &str, text: &str) -> Answer {
        let body =
            json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": text }] });
        self.post(key, "/v1/chat/completions", &body).await
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {key}"))
            .body(body.to_string().into());
        self.gate.send(request.unwrap()).await
    }

    /// The end of the last call.
    pub(crate) fn closed(&self) -> Value {
        self.gate.journal.of_kind("closed").pop().unwrap()
    }

    pub(crate) fn standing(&self, kind: HolderKind, id: &str) -> Vec<(u64, u64)> {
        let listed = self.registrar.ledger().get(&HolderRef { kind, id: id.into() }).unwrap();
        let standings = self.registrar.ledger().standings(&listed.account, self.clock.now());
        standings.into_iter().map(|(_, standing)| (standing.spent, standing.held)).collect()
    }
}

pub(crate) fn root() -> Principal {
    Principal::direct(ActorKind::Master, "master")
}

pub(crate) fn budget(usd: &str) -> Value {
    json!([{ "amount_usd": usd, "window": "day" }])
}

pub(crate) fn why(answer: &Answer) -> String {
    let error = answer.json()["error"].clone();
    format!(
        "{} {}",
        error["tollgate"]["fault"].as_str().unwrap_or_default(),
        error["message"].as_str().unwrap_or_default()
    )
}

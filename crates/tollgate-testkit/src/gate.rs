//! A whole gate in-process.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;
use tollgate_core::access::Nobody;
use tollgate_core::config::parse;
use tollgate_core::config::resolve::{Overrides, World, resolve};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::ports::{Access, Clock, Journal, Publish as _};
use tollgate_gateway::answer::AnswerBody;
use tollgate_gateway::dice::Dice;
use tollgate_gateway::gate::{Gate, Parts};
use tollgate_gateway::inbound::{ClientBody, Inbound};
use tollgate_gateway::serve;
use tollgate_gateway::upstream::WithSimulator;
use tollgate_llm::{catalog, providers};
use tollgate_mcp::contract::port::Unpinned;

use crate::{FakeEnvironment, MemoryJournal, Scripted};

/// A clock that goes with tokio's, which a test may pause.
struct FakeClock(Instant);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.0.elapsed()).unwrap_or_default();
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000) + elapsed
    }
}

/// Shares a scripted upstream with the gate.
struct Shared(Arc<Scripted>);

impl tollgate_gateway::upstream::Upstream for Shared {
    fn send(
        &self,
        request: tollgate_gateway::upstream::UpstreamRequest,
    ) -> tollgate_gateway::upstream::Boxed<
        '_,
        Result<tollgate_gateway::upstream::UpstreamResponse, tollgate_gateway::upstream::SendError>,
    > {
        self.0.send(request)
    }

    fn forward(
        &self,
        request: Request<ClientBody>,
        connect_timeout: std::time::Duration,
    ) -> tollgate_gateway::upstream::Forwarding<'_> {
        self.0.forward(request, connect_timeout)
    }
}

/// A whole gate in-process.
pub struct TestGate {
    /// The gate.
    pub gate: Arc<Gate>,
    /// Its upstreams.
    pub upstream: Arc<Scripted>,
    /// Its journal.
    pub journal: Arc<MemoryJournal>,
}

impl std::fmt::Debug for TestGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestGate")
    }
}

/// What a client got.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The header `name`, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

/// Resolves `yaml` in an environment that has the usual keys.
pub(crate) fn snapshot(yaml: &str) -> Result<Snapshot, String> {
    let environment = FakeEnvironment::of(&[
        ("OPENAI_API_KEY", "sk-openai-secret"),
        ("ANTHROPIC_API_KEY", "sk-ant-secret"),
    ]);
    let world = World {
        environment: &environment,
        providers: &providers::Table,
        catalog: &catalog::BuiltIn,
        expressions: &tollgate_core::policy::NoExpressions,
    };
    let loaded = parse("test.yaml", yaml).map_err(|e| e.to_string())?;
    resolve("test.yaml", yaml, &loaded, &Overrides::default(), world).map_err(|e| e.to_string())
}

impl TestGate {
    /// A gate with this configuration. Deployments have the keys `sk-openai-secret` and `sk-ant-secret`.
    ///
    /// # Panics
    /// When the configuration does not resolve.
    pub fn new(yaml: &str) -> Self {
        Self::governed(yaml, |_, _| Arc::new(Nobody))
    }

    /// The same, for callers whom the access knows that is made of the journal and the clock.
    ///
    /// # Panics
    /// When the configuration does not resolve.
    #[expect(clippy::panic, reason = "a test with a wrong configuration has failed")]
    pub fn governed(
        yaml: &str,
        access: impl FnOnce(Arc<dyn Journal>, Arc<dyn Clock>) -> Arc<dyn Access>,
    ) -> Self {
        let snapshot = snapshot(yaml).unwrap_or_else(|error| panic!("{error}"));
        let upstream = Arc::new(Scripted::default());
        let journal = Arc::new(MemoryJournal::default());
        let clock: Arc<dyn Clock> = Arc::new(FakeClock(Instant::now()));
        let parts = Parts {
            access: access(Arc::clone(&journal) as Arc<_>, Arc::clone(&clock)),
            clock: Arc::clone(&clock),
            journal: Arc::clone(&journal) as Arc<_>,
            tokens: Arc::new(tollgate_core::identity::NoTokens),
            catalog: Arc::new(catalog::BuiltIn),
            upstream: Arc::new(WithSimulator::new(clock, Shared(Arc::clone(&upstream)))),
            dice: Arc::new(Dice::seeded(7)),
            instance: Arc::from("test-gate"),
            contracts: Arc::new(Unpinned),
            approvals: Arc::new(tollgate_core::approval::NobodyApproves),
            peers: Arc::new(tollgate_core::ports::Alone),
            child_guard: None,
            managed: None,
            site: None,
            accounts: Arc::new(tollgate_core::identity::NoAccounts),
        };
        Self { gate: Gate::new(parts, snapshot), upstream, journal }
    }

    /// Replaces the configuration.
    ///
    /// # Panics
    /// When it does not resolve.
    #[expect(clippy::panic, reason = "a test with a wrong configuration has failed")]
    pub fn publish(&self, yaml: &str) {
        self.gate.publish(snapshot(yaml).unwrap_or_else(|error| panic!("{error}")));
    }

    /// Sends any request; the answer's body is still to be read.
    pub async fn begin(&self, request: Request<Bytes>) -> http::Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let inbound = Inbound { head, body: ClientBody::Memory(body), arrived: Instant::now(), peer: None };
        serve::handle(&self.gate, inbound).await
    }

    /// Sends any request and reads the answer.
    pub async fn send(&self, request: Request<Bytes>) -> Answer {
        let response = self.begin(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Posts JSON as a client on this machine does.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(request(path, body)).await
    }

    /// Posts a chat completion with one user message.
    pub async fn chat(&self, model: &str, prompt: &str) -> Answer {
        self.post("/v1/chat/completions", &chat(model, prompt, false)).await
    }

    /// Posts a chat completion with one user message and reads its stream.
    pub async fn chat_stream(&self, model: &str, prompt: &str) -> Answer {
        self.post("/v1/chat/completions", &chat(model, prompt, true)).await
    }

    /// The one `closed` entry.
    ///
    /// # Panics
    /// When there is not exactly one.
    pub fn closed(&self) -> Value {
        let closed = self.journal.of_kind("closed");
        assert_eq!(closed.len(), 1, "{closed:#?}");
        closed.into_iter().next().unwrap_or_default()
    }
}

/// A request as a client on this machine sends it.
pub fn request(path: &str, body: &Value) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from(body.to_string()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert("host", http::HeaderValue::from_static("127.0.0.1:4000"));
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    request
}

/// A chat completion with one user message.
pub fn chat(model: &str, prompt: &str, stream: bool) -> Value {
    serde_json::json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": prompt }] })
}

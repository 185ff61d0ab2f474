//! An API over sources of a test's own, and requests of whoever the test says.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;
use tollgate_admin::Sources;
use tollgate_approvals::Waiting;
use tollgate_contracts::Contracts;
use tollgate_core::access::Caller;
use tollgate_core::addition::Addition;
use tollgate_core::config::alerts::AlertFormat;
use tollgate_core::config::parse;
use tollgate_core::config::resolve::{Overrides, World, resolve};
use tollgate_core::deliver::{Alerting, Tested, Testing};
use tollgate_core::ports::{Clock, Journal, Registry};
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_core::query::{Live, Records};
use tollgate_identity::server::{Logins, Signers};
use tollgate_ledger::{Ledger, Registrar};
use tollgate_llm::{catalog, providers};
use tollgate_models::Additions;
use tollgate_testkit::{FakeEnvironment, MemoryJournal, MemoryRegistry};

pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A gate that is configured to tell one address.
struct OneTarget;

impl Alerting for OneTarget {
    fn test<'a>(&'a self, by: &'a Principal) -> Testing<'a> {
        let why = Some(format!("asked by {}", by.sub.id));
        let tested = Tested { host: "h".to_owned(), format: AlertFormat::Slack, delivered: false, why };
        Box::pin(async { vec![tested] })
    }
}

/// Sources whose registrar begins with nobody.
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
pub(crate) fn sources(records: Arc<dyn Records>, live: Arc<dyn Live>) -> Sources {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let ledger = Arc::new(Ledger::new(Arc::clone(&journal)));
    let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::default());
    let clock: Arc<dyn Clock> = Arc::new(Noon);
    let additions = additions(Arc::clone(&journal), Arc::clone(&clock));
    let contracts =
        Contracts::new(Arc::new(MemoryRegistry::default()), Arc::clone(&journal), Arc::clone(&clock));
    let contracts = Arc::new(contracts.unwrap());
    let approvals =
        Arc::new(Waiting::new(Arc::new(MemoryRegistry::default()), Arc::clone(&journal), Arc::clone(&clock)));
    let logins = Logins::new(Arc::new(MemoryRegistry::default()), Arc::clone(&journal), Arc::clone(&clock));
    let signers = Signers::new(Arc::new(MemoryRegistry::default()), Arc::clone(&journal), Arc::clone(&clock));
    let registrar = Arc::new(Registrar::new(ledger, registry, journal, Arc::clone(&clock)));
    let alerts = Arc::new(OneTarget);
    let additions = Arc::new(additions);
    Sources {
        records,
        live,
        registrar,
        alerts,
        additions,
        contracts,
        approvals,
        logins: Arc::new(logins),
        signers: Arc::new(signers),
        clock,
    }
}

/// What a gate serves that has one model and a key for secrets.
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
fn additions(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Additions {
    const FILE: &str = "models: { sim: [{ provider: simulator }] }\nsecrets_key: 0123456789abcdef0123456789abcdef\n\
        master_key: sk-master-of-this-test\nidentity: { url: https://gate.example.com, server: { clients: { app: { secret: \
        a-secret-of-this-test, redirect_uris: [https://app.example.com/cb] } } } }";
    let environment = FakeEnvironment::default();
    let world = World {
        environment: &environment,
        providers: &providers::Table,
        catalog: &catalog::BuiltIn,
        expressions: &tollgate_core::policy::NoExpressions,
    };
    let loaded = parse("test.yaml", FILE).unwrap();
    let file = resolve("test.yaml", FILE, &loaded, &Overrides::default(), world).unwrap();
    let registry = Arc::new(MemoryRegistry::<Addition>::default());
    Additions::new(file, registry, journal, clock, (Arc::new(providers::Table), Arc::new(catalog::BuiltIn)))
}

/// A request of `caller`, or of whoever runs the gate.
pub(crate) fn request(
    method: &str,
    path: &str,
    caller: Option<Caller>,
    body: Option<&Value>,
) -> Request<Body> {
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut request = Request::new(body);
    *request.method_mut() = method.parse().unwrap_or_default();
    *request.uri_mut() = path.parse().unwrap_or_default();
    let operator = || Principal::direct(ActorKind::Master, "master");
    request.extensions_mut().insert(caller.as_ref().map_or_else(operator, Caller::principal));
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    request
}

pub(crate) async fn read(response: Response<Body>) -> (StatusCode, Value) {
    let status = response.status();
    let body =
        response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

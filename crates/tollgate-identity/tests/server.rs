//! What ends, ends: codes, sessions, grants and keys of the authorization server, by a clock that the test sets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_core::access::{Holder, Nobody};
use tollgate_core::config::parse;
use tollgate_core::config::resolve::{Overrides, World, resolve};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::identity::{Login, Presented, SigningKey, Tokens as _};
use tollgate_core::policy::NoExpressions;
use tollgate_core::ports::{Clock, Journal};
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_identity::IssuedTokens;
use tollgate_identity::server::{IdentityServer, Logins, Parts};
use tollgate_llm::{catalog, providers};
use tollgate_testkit::{FakeEnvironment, MemoryJournal, MemoryRegistry, MemoryShelf};

const FILE: &str = "
master_key: sk-master-of-this-test
secrets_key: 0123456789abcdef0123456789abcdef
models: { sim: [{ provider: simulator }] }
identity:
  url: http://localhost:4000
  server:
    clients:
      app: { secret: a-secret-of-this-test, redirect_uris: [https://app.example.com/cb], resources: [/], pkce: false }
";

/// A clock that stands still until the test moves it.
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

/// A server, its clock, and one browser.
struct House {
    server: IdentityServer,
    snapshot: Snapshot,
    logins: Arc<Logins>,
    tokens: Arc<IssuedTokens>,
    hands: Arc<Hands>,
    cookies: Mutex<BTreeMap<String, String>>,
}

fn snapshot() -> Snapshot {
    let environment = FakeEnvironment::default();
    let world = World {
        environment: &environment,
        providers: &providers::Table,
        catalog: &catalog::BuiltIn,
        expressions: &NoExpressions,
    };
    let loaded = parse("test.yaml", FILE).unwrap();
    resolve("test.yaml", FILE, &loaded, &Overrides::default(), world).unwrap()
}

/// A field of a form on a page.
fn field(page: &str, name: &str) -> String {
    let after = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
    after.split('"').next().unwrap().to_owned()
}

impl House {
    async fn new() -> Self {
        let hands = Arc::new(Hands(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap())));
        let (clock, journal): (Arc<dyn Clock>, Arc<dyn Journal>) =
            (Arc::clone(&hands) as Arc<_>, Arc::new(MemoryJournal::default()));
        let registry = Arc::new(MemoryRegistry::<Login>::default());
        let logins = Arc::new(Logins::new(registry, Arc::clone(&journal), Arc::clone(&clock)));
        let tokens = Arc::new(IssuedTokens::default());
        let parts = Parts {
            clock,
            journal,
            access: Arc::new(Nobody),
            logins: Arc::clone(&logins),
            users: Arc::new(MemoryRegistry::<Holder>::default()),
            signing_keys: Arc::new(MemoryRegistry::<SigningKey>::default()),
            shelf: Arc::new(MemoryShelf::default()),
        };
        let server = IdentityServer::new(parts, Arc::clone(&tokens));
        let house = Self { server, snapshot: snapshot(), logins, tokens, hands, cookies: Mutex::default() };
        house.server.follow(&house.snapshot).await.unwrap();
        house
    }

    /// Lets time pass; what an instance does now and then is done.
    async fn pass(&self, time: SignedDuration) {
        *self.hands.0.lock() += time;
        self.server.follow(&self.snapshot).await.unwrap();
    }

    async fn send(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Response<Bytes> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let cookies: Vec<String> =
            self.cookies.lock().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, cookies.join("; "));
        let answer = self.server.answer(&self.snapshot, request.body(Bytes::from(body)).unwrap(), None).await;
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.lock().insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    /// Ann is invited, chooses a password, and is signed in.
    async fn invite(&self) {
        let by = Principal::direct(ActorKind::Master, "master");
        let invited = self.logins.invite(&by, "ann", json!({}), Duration::from_hours(1)).await.unwrap();
        let page = self.send("GET", &format!("/oauth/invitation?token={}", invited.token), &[]).await;
        let page = String::from_utf8(page.into_body().to_vec()).unwrap();
        let password = "purple-otter-sings-42";
        let form = [
            ("token", &*invited.token),
            ("form", &field(&page, "form")),
            ("password", password),
            ("again", password),
        ];
        let page = self.send("POST", "/oauth/invitation", &form).await;
        let page = String::from_utf8(page.into_body().to_vec()).unwrap();
        let form =
            [("passed", &*field(&page, "passed")), ("form", &field(&page, "form")), ("answer", "skip")];
        assert_eq!(self.send("POST", "/oauth/enrol", &form).await.status(), StatusCode::SEE_OTHER);
    }

    /// The code with which the browser comes back, where somebody is signed in.
    async fn code(&self) -> Option<String> {
        let path = "/oauth/authorize?client_id=app&response_type=code&scope=openid+offline_access&state=s&prompt=none";
        let answer = self.send("GET", path, &[]).await;
        let location = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let pairs: BTreeMap<_, _> =
            form_urlencoded::parse(location.split('?').nth(1).unwrap().as_bytes()).into_owned().collect();
        pairs.get("code").cloned()
    }

    /// What the application is answered.
    async fn token(&self, form: &[(&str, &str)]) -> Value {
        let own = [("client_id", "app"), ("client_secret", "a-secret-of-this-test")];
        let answer = self.send("POST", "/oauth/token", &[form, &own].concat()).await;
        serde_json::from_slice(answer.body()).unwrap()
    }

    async fn redeem(&self, code: &str) -> Value {
        self.token(&[("grant_type", "authorization_code"), ("code", code)]).await
    }

    async fn refresh(&self, token: &Value) -> Value {
        let token = token["refresh_token"].as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Whether the gate takes an access token.
    async fn takes(&self, token: &Value) -> bool {
        let token = token["access_token"].as_str().unwrap();
        let presented = Presented { token, path: "/v1/models" };
        self.tokens.subject(&self.snapshot.identity, presented, self.hands.now()).await.is_ok()
    }

    async fn kids(&self) -> Vec<String> {
        let answer = self.send("GET", "/oauth/keys", &[]).await;
        let set: Value = serde_json::from_slice(answer.body()).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

/// The key that a token was signed with.
fn kid(token: &Value) -> String {
    use base64::Engine as _;
    let header = token["access_token"].as_str().unwrap().split('.').next().unwrap().to_owned();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

const fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

const fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

#[tokio::test]
async fn a_code_is_good_for_a_minute_and_a_token_for_ten() {
    let house = House::new().await;
    house.invite().await;
    let (late, code) = (house.code().await.unwrap(), house.code().await.unwrap());
    house.pass(seconds(59)).await;
    let token = house.redeem(&code).await;
    house.pass(seconds(1)).await;
    assert_eq!(house.redeem(&late).await["error_description"], "the code is over");
    assert!(house.takes(&token).await);
    house.pass(seconds(597)).await;
    assert!(house.takes(&token).await, "clocks of instances differ a little");
    house.pass(seconds(40)).await;
    assert!(!house.takes(&token).await);
}

#[tokio::test]
async fn a_session_ends_after_its_hours() {
    let house = House::new().await;
    house.invite().await;
    house.pass(SignedDuration::from_hours(12) - seconds(1)).await;
    assert!(house.code().await.is_some());
    house.pass(seconds(1)).await;
    assert!(house.code().await.is_none());
}

#[tokio::test]
async fn a_lost_answer_is_given_again_for_a_minute_and_no_longer() {
    let house = House::new().await;
    house.invite().await;
    let first = house.redeem(&house.code().await.unwrap()).await;
    let second = house.refresh(&first).await;
    house.pass(seconds(60)).await;
    assert_eq!(house.refresh(&first).await["refresh_token"], second["refresh_token"]);
    house.pass(seconds(1)).await;
    assert_eq!(house.refresh(&first).await["error"], "invalid_grant");
    assert_eq!(house.refresh(&second).await["error"], "invalid_grant", "it was stolen from somebody");
}

#[tokio::test]
async fn a_grant_ends_when_nobody_asks_for_a_month_and_after_a_year() {
    let house = House::new().await;
    house.invite().await;
    let idle = house.redeem(&house.code().await.unwrap()).await;
    let mut used = house.redeem(&house.code().await.unwrap()).await;
    house.pass(days(30)).await;
    assert_eq!(house.refresh(&idle).await["error"], "invalid_grant");
    assert_eq!(house.refresh(&used).await["error"], "invalid_grant");
    house.invite().await;
    used = house.redeem(&house.code().await.unwrap()).await;
    for _ in 0..12 {
        house.pass(days(29)).await;
        used = house.refresh(&used).await;
        assert!(used["access_token"].is_string(), "{used}");
    }
    house.pass(days(17)).await;
    assert_eq!(house.refresh(&used).await["error"], "invalid_grant", "a year is over");
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_for_a_while_after() {
    let house = House::new().await;
    house.invite().await;
    let first = house.kids().await;
    assert_eq!(first.len(), 1);
    house.pass(days(89) - seconds(1)).await;
    assert_eq!(house.kids().await, first);
    house.pass(seconds(1)).await;
    let both = house.kids().await;
    assert_eq!((both.len(), &both[0]), (2, &first[0]), "the next one can be learnt of");
    house.cookies.lock().clear();
    house.invite().await;
    let before = house.redeem(&house.code().await.unwrap()).await;
    assert_eq!(kid(&before), both[0]);
    house.pass(days(1)).await;
    house.cookies.lock().clear();
    house.invite().await;
    let after = house.redeem(&house.code().await.unwrap()).await;
    assert_eq!(kid(&after), both[1]);
    assert!(house.takes(&after).await);
    house.pass(days(1) - seconds(1)).await;
    assert_eq!(house.kids().await.len(), 2);
    house.pass(seconds(1)).await;
    assert_eq!(house.kids().await, both[1..]);
}

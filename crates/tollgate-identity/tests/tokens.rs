//! Promise 5, for tokens: what is not known to be good is refused, and nobody makes the gate fetch what they like.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Uri};
use jiff::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_core::access::{NotLetIn, Role};
use tollgate_core::config::identity::{Group, Identity, Issuer};
use tollgate_core::identity::{Asking, Fetch, Fetching, Presented, Subject, Tokens as _};
use tollgate_core::secret::Secret;
use tollgate_identity::IssuedTokens;

const ISSUER: &str = "https://login.example.com/realms/one";
const METADATA: &str = "https://login.example.com/realms/one/.well-known/openid-configuration";
const KEYS: &str = "https://login.example.com/realms/one/keys";
const NOW: i64 = 1_800_000_000;

/// A key of an issuer.
struct Key {
    private: EncodingKey,
    public: Value,
}

impl Key {
    fn new(kid: &str) -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &aws_lc_rs::rand::SystemRandom::new(),
        )
        .unwrap();
        let private = EncodingKey::from_ec_der(document.as_ref());
        let mut public =
            serde_json::to_value(Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap()).unwrap();
        public["kid"] = kid.into();
        public["use"] = "sig".into();
        Self { private, public }
    }

    fn sign(&self, claims: &Value) -> String {
        let header =
            Header { kid: self.public["kid"].as_str().map(str::to_owned), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "gate", "exp": NOW + 3_600, "sub": "ann", "groups": ["platform"] })
}

/// The documents that can be fetched, and what was.
#[derive(Default)]
struct World {
    documents: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
}

impl Fetch for World {
    fn post(&self, _: Uri, _: String, _: Option<Secret>, _: bool) -> Fetching<'_> {
        Box::pin(std::future::ready(Err("nobody takes forms".to_owned())))
    }

    fn ask(&self, _: Request<Vec<u8>>, _: bool) -> Asking<'_> {
        Box::pin(std::future::ready(Err("nobody is asked".to_owned())))
    }

    fn fetch_for_stranger(&self, uri: Uri) -> Fetching<'_> {
        self.fetch(uri, false)
    }

    fn fetch(&self, uri: Uri, _: bool) -> Fetching<'_> {
        Box::pin(async move {
            self.asked.lock().push(uri.to_string());
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.documents.lock().get(&uri.to_string()).cloned().ok_or_else(|| "nobody answers".to_owned())
        })
    }
}

impl World {
    fn says(&self, at: &str, document: &Value) {
        self.documents.lock().insert(at.to_owned(), document.to_string().into_bytes());
    }

    fn has(&self, keys: &[&Key]) {
        self.says(METADATA, &json!({ "issuer": ISSUER, "jwks_uri": KEYS }));
        self.says(KEYS, &json!({ "keys": keys.iter().map(|key| &key.public).collect::<Vec<_>>() }));
    }

    fn times(&self, at: &str) -> usize {
        self.asked.lock().iter().filter(|asked| *asked == at).count()
    }
}

/// A gate that takes tokens.
struct Taking {
    world: Arc<World>,
    tokens: IssuedTokens,
    identity: Arc<Identity>,
}

impl Taking {
    fn new() -> Self {
        let world = Arc::new(World::default());
        let tokens = IssuedTokens::default();
        let fetch: Arc<dyn Fetch> = Arc::clone(&world) as Arc<_>;
        tokens.begin(Arc::downgrade(&fetch));
        Self { world, tokens, identity: identity(Role::Auditor) }
    }

    async fn subject(&self, token: &str) -> Result<Arc<Subject>, NotLetIn> {
        self.subject_at(token, "/v1/models").await
    }

    async fn subject_at(&self, token: &str, path: &str) -> Result<Arc<Subject>, NotLetIn> {
        let now = Timestamp::from_second(NOW).unwrap();
        self.tokens.subject(&self.identity, Presented { token, path }, now).await
    }

    async fn refuses(&self, token: &str, why: &str) {
        match self.subject(token).await {
            Err(NotLetIn::Token(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{why}: {other:?}"),
        }
    }
}

fn identity(role: Role) -> Arc<Identity> {
    let issuer = Issuer {
        name: "corp".into(),
        issuer: ISSUER.into(),
        audience: vec!["gate".to_owned()],
        keys_url: None,
        user: "sub".to_owned(),
        groups: "groups".to_owned(),
        email_domains: None,
        agents: true,
        private: false,
        skew: Duration::from_secs(60),
        own: false,
        sign_in: None,
    };
    let group = Group { group: "platform".to_owned(), issuer: None, role: Some(role), team: None };
    let url = Some("https://gate.example.com".into());
    Arc::new(Identity {
        url,
        issuers: vec![issuer],
        groups: vec![group],
        scopes: Vec::new(),
        ..Identity::default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_token_says_who_presents_it_and_is_checked_once() {
    let (gate, key) = (Taking::new(), Key::new("1"));
    gate.world.has(&[&key]);
    let token = key.sign(&claims());
    assert!(gate.tokens.may_be(&token) && !gate.tokens.may_be("sk-tg-abc.def.ghi"));
    let ann = gate.subject(&token).await.unwrap();
    assert_eq!((ann.user.as_deref(), ann.role), (Some("ann"), Role::Auditor));
    assert_eq!(ann.until, Timestamp::from_second(NOW + 3_660).unwrap());
    // Nobody need answer for what is known.
    gate.world.documents.lock().clear();
    assert!(Arc::ptr_eq(&gate.subject(&token).await.unwrap(), &ann));
    assert_eq!((gate.world.times(METADATA), gate.world.times(KEYS)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_for_one_address_is_not_good_at_another_also_when_it_is_known() {
    let (gate, key) = (Taking::new(), Key::new("1"));
    gate.world.has(&[&key]);
    let mut claims = claims();
    claims["aud"] = "https://gate.example.com/mcp/files".into();
    claims["scope"] = "files:read files:write".into();
    let token = key.sign(&claims);
    for _ in 0..2 {
        let known = gate.subject_at(&token, "/mcp/files").await.unwrap();
        assert_eq!(
            known.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(),
            ["files:read", "files:write"]
        );
        for other in ["/mcp", "/mcp/tickets", "/v1/chat/completions"] {
            let Err(NotLetIn::Token(why)) = gate.subject_at(&token, other).await else { panic!("{other}") };
            assert!(why.contains("somebody else"), "{why}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_groups_mean_now_holds_for_tokens_that_are_known() {
    let (mut gate, key) = (Taking::new(), Key::new("1"));
    gate.world.has(&[&key]);
    let token = key.sign(&claims());
    assert_eq!(gate.subject(&token).await.unwrap().role, Role::Auditor);
    gate.identity = identity(Role::Member);
    assert_eq!(gate.subject(&token).await.unwrap().role, Role::Member);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_and_an_old_one_is_forgotten() {
    let (gate, old, new) = (Taking::new(), Key::new("old"), Key::new("new"));
    gate.world.has(&[&old]);
    let (before, after) = (old.sign(&claims()), new.sign(&claims()));
    gate.subject(&before).await.unwrap();
    // Nobody can tell yet whether there is another key: tokens do not make the gate ask again and again.
    gate.world.has(&[&new]);
    assert!(matches!(gate.subject(&after).await, Err(NotLetIn::Untold(_))));
    assert_eq!(gate.world.times(KEYS), 1);
    tokio::time::advance(Duration::from_secs(11)).await;
    gate.subject(&after).await.unwrap();
    assert_eq!(gate.world.times(KEYS), 2);
    gate.subject(&before).await.unwrap();
    tokio::time::advance(Duration::from_mins(6)).await;
    gate.refuses(&before, "names a key").await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_stops_nobody_at_once_and_is_not_trusted_for_ever() {
    let (gate, key) = (Taking::new(), Key::new("1"));
    let token = key.sign(&claims());
    let Err(NotLetIn::Untold(why)) = gate.subject(&token).await else { panic!("it was let in") };
    assert!(why.contains("`corp`") && why.contains("nobody answers"), "{why}");
    assert!(matches!(gate.subject(&token).await, Err(NotLetIn::Untold(_))));
    assert_eq!(gate.world.times(METADATA), 1);
    gate.world.has(&[&key]);
    tokio::time::advance(Duration::from_secs(11)).await;
    gate.subject(&token).await.unwrap();
    gate.world.documents.lock().clear();
    tokio::time::advance(Duration::from_hours(5)).await;
    gate.subject(&token).await.unwrap();
    tokio::time::advance(Duration::from_mins(61)).await;
    assert!(matches!(gate.subject(&token).await, Err(NotLetIn::Untold(_))));
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_does_not_make_the_gate_begin_again() {
    let (gate, key, other) = (Taking::new(), Key::new("1"), Key::new("2"));
    gate.world.has(&[&key]);
    // It takes 200 ms to fetch both documents.
    for number in 0..3 {
        let mut claims = claims();
        claims["jti"] = number.into();
        let token = other.sign(&claims);
        assert!(tokio::time::timeout(Duration::from_millis(50), gate.subject(&token)).await.is_err());
    }
    gate.subject(&key.sign(&claims())).await.unwrap();
    assert_eq!((gate.world.times(METADATA), gate.world.times(KEYS)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_to_be_found_elsewhere_are_others() {
    let (mut gate, old, new) = (Taking::new(), Key::new("1"), Key::new("1"));
    gate.world.has(&[&old]);
    let token = old.sign(&claims());
    gate.subject(&token).await.unwrap();
    let mut identity = (*gate.identity).clone();
    identity.issuers[0].keys_url = Some("https://elsewhere.example/keys".parse().unwrap());
    gate.identity = Arc::new(identity);
    gate.world.says("https://elsewhere.example/keys", &json!({ "keys": [new.public] }));
    gate.refuses(&token, "not signed").await;
    gate.subject(&new.sign(&claims())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_at_once_make_one_fetch() {
    let (gate, key) = (Taking::new(), Key::new("1"));
    gate.world.has(&[&key]);
    let tokens: Vec<String> = (0..50)
        .map(|number| {
            let mut claims = claims();
            claims["jti"] = number.into();
            key.sign(&claims)
        })
        .collect();
    let all = futures_util::future::join_all(tokens.iter().map(|token| gate.subject(token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(gate.world.times(KEYS), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_no_private_key_of_the_issuer_is_refused() {
    let (gate, key, other) = (Taking::new(), Key::new("1"), Key::new("1"));
    gate.world.has(&[&key]);
    let good = key.sign(&claims());
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let mut root = claims();
    root["sub"] = "root".into();
    gate.refuses(&other.sign(&claims()), "not signed by `corp`").await;
    gate.refuses(&format!("{header}.{}.{signature}", part(&root)), "not signed").await;
    gate.refuses(&format!("{signed}."), "not signed").await;
    gate.refuses(&format!("{}.{}.", part(&json!({"alg": "none"})), part(&root)), "cannot be read").await;
    // A published key as the secret of an HMAC (RFC 8725 §2.1).
    let header = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::HS256) };
    for secret in [key.public["x"].as_str().unwrap().as_bytes(), key.public.to_string().as_bytes()] {
        let confused = jsonwebtoken::encode(&header, &root, &EncodingKey::from_secret(secret)).unwrap();
        gate.refuses(&confused, "not taken").await;
    }
    // A key that the token brings along, or says where to find, or that is a file (RFC 8725 §3.10).
    for more in [
        json!({ "jwk": other.public }),
        json!({ "jku": "https://evil.example/keys", "kid": "2" }),
        json!({ "x5u": "https://evil.example/cert", "kid": "2" }),
        json!({ "kid": "../../../../dev/null" }),
        json!({ "kid": "1' OR '1'='1" }),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "1" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let signed = format!("{}.{}", part(&header), part(&root));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &other.private, Algorithm::ES256).unwrap();
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(
            matches!(gate.subject(&format!("{signed}.{signature}")).await, Err(NotLetIn::Token(_))),
            "{more}"
        );
    }
    assert!(gate.world.asked.lock().iter().all(|asked| asked.starts_with(ISSUER)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_for_this_gate_makes_it_fetch_nothing() {
    let (gate, key) = (Taking::new(), Key::new("1"));
    for (member, value, why) in [
        ("iss", json!("https://evil.example"), "not configured"),
        ("iss", json!(format!("{ISSUER}/")), "not configured"),
        ("iss", json!([ISSUER]), "not configured"),
        ("aud", json!("another"), "somebody else"),
        ("aud", Value::Null, "does not say whom"),
        ("exp", json!(NOW - 61), "ended at"),
        ("nbf", json!(NOW + 61), "is to come"),
    ] {
        let mut claims = claims();
        claims[member] = value;
        gate.refuses(&key.sign(&claims), why).await;
    }
    assert!(gate.world.asked.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn key_sets_that_are_too_much_or_of_no_use_are_none() {
    let key = Key::new("1");
    let secret = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode("secret"), "kid": "1", "alg": "HS256" });
    let rsa = |bytes: usize| json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(vec![0xff; bytes]), "e": "AQAB", "kid": "1" });
    let mut for_encryption = key.public.clone();
    for_encryption["use"] = "enc".into();
    for (keys, why) in [
        (json!({ "keys": [secret] }), "can check signatures"),
        (json!({ "keys": [rsa(128), rsa(1_025)] }), "can check signatures"),
        (json!({ "keys": [for_encryption] }), "can check signatures"),
        (json!({ "keys": [1, {}, { "kty": "EC" }] }), "can check signatures"),
        (json!({ "keys": vec![key.public.clone(); 101] }), "more than 100"),
        (json!({ "keys": "many" }), "no key set"),
    ] {
        let gate = Taking::new();
        gate.world.has(&[&key]);
        gate.world.says(KEYS, &keys);
        let Err(NotLetIn::Untold(said)) = gate.subject(&key.sign(&claims())).await else { panic!("{why}") };
        assert!(said.contains(why), "{said}");
    }
    // What is of no use beside what is stands in nobody's way.
    let gate = Taking::new();
    gate.world.has(&[&key]);
    gate.world.says(KEYS, &json!({ "keys": [secret, rsa(128), { "kty": "new" }, key.public] }));
    gate.subject(&key.sign(&claims())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn metadata_is_found_as_oauth_has_it_too_and_believed_of_its_own_issuer_only() {
    let (gate, key) = (Taking::new(), Key::new("1"));
    gate.world.has(&[&key]);
    gate.world.documents.lock().remove(METADATA);
    let oauth = "https://login.example.com/.well-known/oauth-authorization-server/realms/one";
    gate.world.says(oauth, &json!({ "issuer": ISSUER, "jwks_uri": KEYS }));
    gate.subject(&key.sign(&claims())).await.unwrap();
    let gate = Taking::new();
    gate.world.has(&[&key]);
    gate.world.says(METADATA, &json!({ "issuer": "https://login.example.com", "jwks_uri": KEYS }));
    let Err(NotLetIn::Untold(why)) = gate.subject(&key.sign(&claims())).await else {
        panic!("it was let in")
    };
    assert!(why.contains("another issuer"), "{why}");
    assert_eq!(gate.world.times(KEYS), 0);
}

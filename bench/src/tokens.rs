//! `bench tokens`: what it costs to find out who presents a token, the first time and again.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result};
use http::{Request, Uri};
use jiff::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tollgate_core::access::NotLetIn;
use tollgate_core::config::identity::{Identity, Issuer};
use tollgate_core::identity::{Asking, Fetch, Fetching, Presented, Tokens as _};
use tollgate_core::secret::Secret;
use tollgate_identity::IssuedTokens;

use crate::load;
use crate::process::now;

/// Tokens of each kind.
const TOKENS: usize = 5_000;

/// How often each is presented again.
const AGAIN: usize = 20;

const ISSUER: &str = "https://login.example.com";

/// The kinds of signatures, and how `openssl genpkey` makes their keys.
const KINDS: [(Algorithm, &[&str]); 3] = [
    (Algorithm::RS256, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    (Algorithm::ES256, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    (Algorithm::EdDSA, &["-algorithm", "ED25519"]),
];

/// The documents of an issuer.
struct Documents(Vec<u8>);

impl Fetch for Documents {
    fn post(&self, _: Uri, _: String, _: Option<Secret>, _: bool) -> Fetching<'_> {
        Box::pin(std::future::ready(Err("nobody takes forms".to_owned())))
    }

    fn ask(&self, _: Request<Vec<u8>>, _: bool) -> Asking<'_> {
        Box::pin(std::future::ready(Err("nobody is asked".to_owned())))
    }

    fn fetch_for_stranger(&self, uri: Uri) -> Fetching<'_> {
        self.fetch(uri, false)
    }

    fn fetch(&self, _: Uri, _: bool) -> Fetching<'_> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

fn key(arguments: &[&str], algorithm: Algorithm) -> Result<EncodingKey> {
    let made = Command::new("openssl").arg("genpkey").args(arguments).stderr(Stdio::null()).output()?;
    let pem = &made.stdout;
    Ok(match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(pem)?,
        Algorithm::ES256 => EncodingKey::from_ec_pem(pem)?,
        _ => EncodingKey::from_ed_pem(pem)?,
    })
}

fn identity() -> Result<Arc<Identity>> {
    let issuer = Issuer {
        name: "bench".into(),
        issuer: ISSUER.into(),
        audience: vec!["gate".to_owned()],
        keys_url: Some(format!("{ISSUER}/keys").parse()?),
        user: "sub".to_owned(),
        groups: "groups".to_owned(),
        email_domains: None,
        agents: true,
        private: false,
        skew: std::time::Duration::from_secs(60),
        own: false,
        sign_in: None,
    };
    Ok(Arc::new(Identity { issuers: vec![issuer], ..Identity::default() }))
}

/// Measures it.
pub(crate) fn run() -> Result<String> {
    let mut text = format!(
        "\n## Tokens\n\nWhat it takes to find out who presents a JWT, in one thread that does nothing else: {TOKENS} of each kind, and each\n\
         {AGAIN} times again. Aims: at most 100 µs the first time, 5 µs later.\n\n| signature | first, µs | again, µs |\n|---|---:|---:|\n"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (algorithm, arguments) in KINDS {
        let (first, again) = runtime.block_on(measure(&key(arguments, algorithm)?, algorithm))?;
        writeln!(text, "| {algorithm:?} | {first:.1} | {again:.2} |")?;
    }
    Ok(text)
}

async fn measure(key: &EncodingKey, algorithm: Algorithm) -> Result<(f64, f64)> {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm)?)?;
    jwk["kid"] = "1".into();
    let documents: Arc<dyn Fetch> = Arc::new(Documents(json!({ "keys": [jwk] }).to_string().into_bytes()));
    let (tokens, identity, at) = (IssuedTokens::default(), identity()?, Timestamp::now());
    tokens.begin(Arc::downgrade(&documents));
    let header = Header { kid: Some("1".to_owned()), ..Header::new(algorithm) };
    let sign = |number: usize| -> Result<String> {
        let claims: Value = json!({
            "iss": ISSUER, "aud": ["gate"], "sub": format!("user-{number}"), "exp": at.as_second() + 3_600,
            "iat": at.as_second(), "jti": number.to_string(), "groups": ["one", "two", "three"], "scope": "call",
        });
        Ok(jsonwebtoken::encode(&header, &claims, key)?)
    };
    let all: Vec<String> = (0..=TOKENS).map(sign).collect::<Result<_>>()?;
    let (warm, all) = all.split_first().context("no tokens")?;
    let refused = |why: NotLetIn| anyhow::anyhow!("a token was refused: {why:?}");
    let presented = |token| Presented { token, path: "/v1/models" };
    tokens.subject(&identity, presented(warm), at).await.map_err(refused)?;
    let round = async || -> Result<f64> {
        let begun = now();
        for token in all {
            tokens.subject(&identity, presented(token), at).await.map_err(refused)?;
        }
        Ok(begun.elapsed().as_secs_f64() * 1e6)
    };
    let count = load::to_f64(u64::try_from(TOKENS)?);
    let first = round().await? / count;
    let mut again = 0.0;
    for _ in 0..AGAIN {
        again += round().await?;
    }
    Ok((first, again / count / load::to_f64(u64::try_from(AGAIN)?)))
}

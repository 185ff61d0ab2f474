//! Tokens for tool servers, fetched with the gate's own OAuth client credentials (RFC 6749 §4.4), and kept while they are
//! good.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;
use tollgate_core::config::tools::{ClientCredentials, ToolServer};
use tollgate_core::identity::{Acting, Granted, NoAccount};
use tollgate_core::secret::Secret;

use super::link::LinkError;
use crate::gate::Gate;
use crate::upstream::egress;

/// A token is renewed when it is good for less than this.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a token is kept of which nobody has said how long it is good.
const UNTOLD: Duration = Duration::from_mins(5);

/// No token is kept for longer, whatever its lifetime is said to be.
const LONGEST: Duration = Duration::from_hours(24);

#[derive(Debug, Default)]
struct Slot(tokio::sync::Mutex<Option<(Secret, Instant)>>);

/// Tokens for tool servers.
#[derive(Debug)]
pub struct Tokens {
    gate: Weak<Gate>,
    kept: Mutex<HashMap<ClientCredentials, Arc<Slot>>>,
}

/// What is given out (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Tokens {
    /// None yet; they are fetched by `gate`.
    pub fn new(gate: Weak<Gate>) -> Self {
        Self { gate, kept: Mutex::default() }
    }

    /// A token for `server`, to be asked in the name of `acting`; another one than `refused`, where that was refused.
    pub(super) async fn of_account(
        &self,
        server: &ToolServer,
        acting: Option<&Acting>,
        refused: Option<&Secret>,
    ) -> Result<Granted, LinkError> {
        let stopping = || LinkError::NotSent("the gate is stopping".to_owned());
        let gate = self.gate.upgrade().ok_or_else(stopping)?;
        let snapshot = Arc::clone(&gate.runtime().snapshot);
        let granting = gate.parts.accounts.token(&snapshot, server, acting, refused);
        granting.await.map_err(|why| match why {
            NoAccount::Missing { why, at } => LinkError::NoAccount { why, mended_at: at },
            NoAccount::Away(why) => LinkError::NoToken(why),
        })
    }

    /// A token for `client`, by one fetch at a time; another one than `refused`, where that was refused.
    pub(super) async fn token(
        &self,
        client: &ClientCredentials,
        refused: Option<&Secret>,
    ) -> Result<Secret, String> {
        let slot = Arc::clone(self.kept.lock().entry(client.clone()).or_default());
        let mut kept = slot.0.lock().await;
        let good =
            |(token, until): &&(Secret, Instant)| refused != Some(token) && *until > Instant::now() + MARGIN;
        // Of many who were refused at once the first has fetched another one for all.
        if let Some((token, _)) = kept.as_ref().filter(good) {
            return Ok(token.clone());
        }
        let gate = self.gate.upgrade().ok_or("the gate is stopping")?;
        // Boxed: whoever finds a token does not carry what fetches one.
        let fetched = Box::pin(fetch(&gate, client)).await;
        let (token, lasts) = fetched.map_err(|why| format!("no token for the server: {why}"))?;
        *kept = Some((token.clone(), Instant::now() + lasts.min(LONGEST)));
        Ok(token)
    }
}

async fn fetch(gate: &Gate, client: &ClientCredentials) -> Result<(Secret, Duration), String> {
    let known = [
        ("grant_type", "client_credentials"),
        ("client_id", &client.client_id),
        ("client_secret", client.client_secret.expose()),
        ("resource", &client.resource),
    ];
    let scope = client.scope.as_ref().map(|scope| ("scope", scope.as_str()));
    let pairs = known.into_iter().chain(scope);
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut request = Request::new(Bytes::from(form));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = client.token_url.parse().map_err(|_| "its address does not parse")?;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    // The operator has written where tokens come from.
    let body = egress::document(gate, request, true).await?;
    let given: Given =
        serde_json::from_slice(&body).map_err(|_| "what was given out is no token".to_owned())?;
    if !given.token_type.eq_ignore_ascii_case("bearer") {
        return Err("what was given out is no bearer token".to_owned());
    }
    let lasts = given.expires_in.map_or(UNTOLD, Duration::from_secs);
    Ok((Secret::new(given.access_token), lasts))
}

//! Credentials that are more than a key: a token is fetched and kept while it is good, or the request is signed.
//!
//! Tokens are fetched through the guarded egress client, each by one call at a time; others wait for it only where
//! there is none that is still good.

mod aws;
mod entra;
mod google;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::config::snapshot::{AwsKeys, AwsSource, Cloud, EntraSource};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::secret::Secret;

use super::UpstreamRequest;
use crate::gate::Gate;
use crate::route::Candidate;

/// A token is renewed when it is good for less than this.
const MARGIN: Duration = Duration::from_mins(5);

/// Credentials come from the configuration; only reloads can make more of them than there are deployments.
const MOST_KEPT: usize = 1_000;

/// What was fetched.
#[derive(Clone, Debug)]
enum Fetched {
    /// A bearer token (RFC 6750).
    Token(Secret),
    /// Temporary AWS keys.
    Keys(AwsKeys),
}

#[derive(Clone, Debug)]
struct Kept {
    what: Fetched,
    good_until: Instant,
}

/// No credential is kept for longer, whatever its lifetime is said to be.
const LONGEST_KEPT: Duration = Duration::from_hours(24);

/// After a failure nobody asks again for so long: calls that wait get its reason instead of a time-out each.
const REMEMBERED: Duration = Duration::from_secs(5);

/// One credential's token.
#[derive(Debug, Default)]
struct Slot {
    kept: Mutex<Option<Kept>>,
    failed: Mutex<Option<(Instant, String)>>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

impl Slot {
    /// What is kept, if it is good for longer than `margin`.
    fn good_for(&self, margin: Duration) -> Option<Fetched> {
        let kept = self.kept.lock();
        kept.as_ref().filter(|kept| kept.good_until > Instant::now() + margin).map(|kept| kept.what.clone())
    }

    fn recent_failure(&self) -> Option<String> {
        let failed = self.failed.lock();
        failed.as_ref().filter(|(at, _)| at.elapsed() < REMEMBERED).map(|(_, why)| why.clone())
    }
}

/// The tokens of this gate.
#[derive(Debug, Default)]
pub struct Credentials(Mutex<HashMap<Cloud, Arc<Slot>>>);

impl Credentials {
    /// Puts the deployment's credential into `request`, where it is more than a key.
    pub(crate) async fn authorize(
        &self,
        gate: &Gate,
        candidate: &Candidate,
        request: &mut UpstreamRequest,
    ) -> Result<(), Fault> {
        let deployment = &candidate.deployment;
        let Some(cloud) = &deployment.cloud else { return Ok(()) };
        let refused = |why: String| {
            let message = format!("{}: no credential for the upstream: {why}", deployment.id);
            Fault::new(FaultClass::UpstreamRefused, message)
        };
        match cloud {
            Cloud::Aws { region, source } => {
                let keys = self.aws_keys(gate, cloud, source).await.map_err(refused)?;
                candidate
                    .health
                    .remember(keys.session_token.as_ref().into_iter().chain([&keys.secret_access_key]));
                aws::sign(&keys, region, gate.parts.clock.now(), request).map_err(refused)
            }
            Cloud::Entra(EntraSource::Token(token)) => bearer(token, request).map_err(refused),
            Cloud::Google(_) | Cloud::Entra(_) => match self.fetched(gate, cloud).await.map_err(refused)? {
                Fetched::Token(token) => {
                    candidate.health.remember([&token]);
                    bearer(&token, request).map_err(refused)
                }
                Fetched::Keys(_) => Err(refused("keys where a token is needed".to_owned())),
            },
        }
    }

    /// Signs a request to an object store that speaks S3.
    pub(crate) async fn sign_object(
        &self,
        gate: &Gate,
        cloud: &Cloud,
        request: &mut Request<Bytes>,
    ) -> Result<(), String> {
        let Cloud::Aws { region, source } = cloud else { return Err("there are no AWS keys".to_owned()) };
        let keys = self.aws_keys(gate, cloud, source).await?;
        aws::sign_object(&keys, region, gate.parts.clock.now(), request)
    }

    async fn aws_keys(&self, gate: &Gate, cloud: &Cloud, source: &AwsSource) -> Result<AwsKeys, String> {
        if let AwsSource::Keys(keys) = source {
            return Ok(keys.clone());
        }
        match self.fetched(gate, cloud).await? {
            Fetched::Keys(keys) => Ok(keys),
            Fetched::Token(_) => Err("a token where keys are needed".to_owned()),
        }
    }

    async fn fetched(&self, gate: &Gate, cloud: &Cloud) -> Result<Fetched, String> {
        let slot = {
            let mut slots = self.0.lock();
            if slots.len() >= MOST_KEPT && !slots.contains_key(cloud) {
                slots.clear();
            }
            Arc::clone(slots.entry(cloud.clone()).or_default())
        };
        if let Some(what) = slot.good_for(MARGIN) {
            return Ok(what);
        }
        // The old one will do while somebody fetches the next one.
        let _fetching = match (slot.fetching.try_lock(), slot.good_for(Duration::ZERO)) {
            (Ok(guard), _) => guard,
            (Err(_), Some(what)) => return Ok(what),
            (Err(_), None) => slot.fetching.lock().await,
        };
        if let Some(what) = slot.good_for(MARGIN) {
            return Ok(what);
        }
        let fetched = match slot.recent_failure() {
            Some(why) => Err(why),
            // Boxed: whoever finds one does not carry what fetches it.
            None => Box::pin(fetch(gate, cloud)).await,
        };
        match fetched {
            Ok((what, lifetime)) => {
                let good_until = Instant::now() + lifetime;
                *slot.kept.lock() = Some(Kept { what: what.clone(), good_until });
                Ok(what)
            }
            Err(why) => {
                if slot.recent_failure().is_none() {
                    *slot.failed.lock() = Some((Instant::now(), why.clone()));
                }
                // Whoever gives out tokens may come back before the old one is no longer good.
                slot.good_for(Duration::ZERO).ok_or(why)
            }
        }
    }
}

/// Fetches a token or keys, and for how long they are good.
async fn fetch(gate: &Gate, cloud: &Cloud) -> Result<(Fetched, Duration), String> {
    match cloud {
        Cloud::Aws { source, .. } => aws::keys(gate, source).await,
        Cloud::Google(source) => google::token(gate, source).await,
        Cloud::Entra(source) => entra::token(gate, source).await,
    }
}

/// `Authorization: Bearer …` (RFC 6750 §2.1).
fn bearer(token: &Secret, request: &mut UpstreamRequest) -> Result<(), String> {
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
    let mut value = value.map_err(|_| "the token cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    request.headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

/// An answer of a token endpoint (RFC 6749 §5.1).
fn read_token(body: &[u8]) -> Result<(Fetched, Duration), String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        access_token: String,
        expires_in: Option<Seconds>,
    }
    /// Some write the number as a text.
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
    }
    // The text is not repeated: it holds a token.
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| "the token endpoint's answer holds no token".to_owned())?;
    let seconds = match answer.expires_in {
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => text.trim().parse().ok(),
        None => None,
    };
    let lifetime = Duration::from_secs(seconds.unwrap_or(3600)).min(LONGEST_KEPT);
    Ok((Fetched::Token(Secret::new(answer.access_token)), lifetime))
}

/// `pairs` as a form's body (WHATWG URL, `application/x-www-form-urlencoded`).
fn form(pairs: &[(&str, &str)]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// A form that is posted to `url`.
fn post(url: &str, pairs: &[(&str, &str)]) -> Result<http::Request<bytes::Bytes>, String> {
    http::Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(form(pairs).into())
        .map_err(|e| e.to_string())
}

//! Google Cloud: a service account's signed assertion (RFC 7523 §2.1), or the machine's own account from its metadata
//! service.

use std::time::Duration;

use bytes::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use tollgate_core::config::snapshot::GoogleSource;
use tollgate_core::secret::Secret;

use super::{Fetched, post, read_token};
use crate::gate::Gate;
use crate::upstream::egress;

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A service account's key, as Google's console writes it.
#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
    #[serde(default = "usual_token_uri")]
    token_uri: String,
}

fn usual_token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

pub(super) async fn token(gate: &Gate, source: &GoogleSource) -> Result<(Fetched, Duration), String> {
    let body = match source {
        GoogleSource::ServiceAccount(key) => {
            let key: Key = serde_json::from_str(key.expose())
                .map_err(|_| "the service account's key is incomplete".to_owned())?;
            let assertion = assertion(&key, gate.parts.clock.now().as_second())?;
            let request = post(
                &key.token_uri,
                &[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", assertion.expose()),
                ],
            )?;
            egress::document(gate, request, false).await?
        }
        GoogleSource::Metadata { host } => {
            let url = format!(
                "http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={SCOPE}"
            );
            let request = http::Request::get(url).header("metadata-flavor", "Google").body(Bytes::new());
            egress::document(gate, request.map_err(|e| e.to_string())?, true).await?
        }
    };
    read_token(&body)
}

fn assertion(key: &Key, now: i64) -> Result<Secret, String> {
    let claims =
        Claims { iss: &key.client_email, scope: SCOPE, aud: &key.token_uri, iat: now, exp: now + 3600 };
    let header = Header { kid: key.private_key_id.clone(), ..Header::new(Algorithm::RS256) };
    let private = EncodingKey::from_rsa_pem(key.private_key.as_bytes())
        .map_err(|_| "the service account's private key cannot be read".to_owned())?;
    let signed = jsonwebtoken::encode(&header, &claims, &private);
    signed.map(Secret::new).map_err(|_| "the assertion cannot be signed".to_owned())
}

//! Microsoft Entra ID: an application's client credentials (OAuth 2.0, RFC 6749 §4.4).

use std::time::Duration;

use tollgate_core::config::snapshot::EntraSource;

use super::{Fetched, post, read_token};
use crate::gate::Gate;
use crate::upstream::egress;

/// What the token is for: Azure's AI services.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

pub(super) async fn token(gate: &Gate, source: &EntraSource) -> Result<(Fetched, Duration), String> {
    match source {
        EntraSource::Token(token) => Ok((Fetched::Token(token.clone()), Duration::from_hours(24))),
        EntraSource::Client { tenant_id, client_id, client_secret, authority } => {
            let authority = authority.trim_end_matches('/');
            let request = post(
                &format!("{authority}/{tenant_id}/oauth2/v2.0/token"),
                &[
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id),
                    ("client_secret", client_secret.expose()),
                    ("scope", SCOPE),
                ],
            )?;
            read_token(&egress::document(gate, request, false).await?)
        }
    }
}

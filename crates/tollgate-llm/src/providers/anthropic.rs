//! Anthropic.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_core::ports::{CredentialKind, ProviderFacts};
use tollgate_core::secret::Secret;

use super::{Endpoint, Operation, Provider, Tried, put_secret};
use crate::formats::anthropic_messages;

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "anthropic",
        base_url: Some("https://api.anthropic.com"),
        base_url_variables: &["ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"],
        key_variables: &["ANTHROPIC_API_KEY"],
        credential: CredentialKind::Key,
        key_optional: false,
        image_urls: true,
        formats: &[anthropic_messages::NAME],
    },
    path,
    headers,
    normalise_base_url,
    legacy_max_tokens: false,
    formats_for: None,
    anthropic_version: None,
    built_in: false,
    tried: Tried::Recordings,
};

/// The API version that requests are written for, unless the client names one.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    match endpoint.operation {
        Operation::Chat => Some("/v1/messages".into()),
        Operation::CountTokens => Some("/v1/messages/count_tokens".into()),
        _ => None,
    }
}

fn headers(headers: &mut HeaderMap, key: Option<&Secret>) {
    headers.entry(HeaderName::from_static("anthropic-version")).or_insert(VERSION);
    if let Some(key) = key {
        put_secret(headers, HeaderName::from_static("x-api-key"), key.expose());
    }
}

/// The SDKs take the address without the version; people also write it with.
fn normalise_base_url(url: &str) -> &str {
    url.strip_suffix("/v1").unwrap_or(url)
}

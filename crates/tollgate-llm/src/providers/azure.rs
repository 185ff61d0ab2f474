//! Azure OpenAI. The model is the name of a deployment there and stands in the address, with the API's version;
//! behind a base URL that ends in `/openai/v1` it stands in the body, as at OpenAI.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use tollgate_core::ports::{CredentialKind, ProviderFacts};
use tollgate_core::secret::Secret;

use super::{Endpoint, Provider, Tried, encoded, openai, put_secret};
use crate::formats::{openai_chat, openai_embeddings};

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "azure",
        base_url: None,
        base_url_variables: &["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"],
        key_variables: &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
        credential: CredentialKind::Azure,
        key_optional: false,
        image_urls: true,
        formats: openai::FORMATS,
    },
    path,
    headers,
    normalise_base_url: |url| url.strip_suffix("/openai").unwrap_or(url),
    legacy_max_tokens: false,
    formats_for: None,
    anthropic_version: None,
    built_in: false,
    tried: Tried::Mock,
};

/// Models of other makers on Azure, at an address that speaks as OpenAI does.
pub(super) const FOUNDRY: Provider = Provider {
    facts: ProviderFacts {
        name: "azure_ai",
        base_url_variables: &["AZURE_AI_API_BASE"],
        key_variables: &["AZURE_AI_API_KEY"],
        formats: &[openai_chat::NAME, openai_embeddings::NAME],
        ..PROVIDER.facts
    },
    path: openai::path,
    normalise_base_url: |url| url,
    legacy_max_tokens: true,
    tried: Tried::Row,
    ..PROVIDER
};

fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    let operation = openai::path(endpoint)?;
    if endpoint.base_url.ends_with("/v1") {
        return Some(operation);
    }
    let version = endpoint.api_version.unwrap_or_default();
    // The Responses API belongs to the resource, not to a deployment.
    if operation == "/responses" {
        return Some(format!("/openai/responses?api-version={}", encoded(version)).into());
    }
    let deployment = encoded(endpoint.model);
    Some(format!("/openai/deployments/{deployment}{operation}?api-version={}", encoded(version)).into())
}

fn headers(headers: &mut HeaderMap, key: Option<&Secret>) {
    if let Some(key) = key {
        put_secret(headers, HeaderName::from_static("api-key"), key.expose());
    }
}

//! Cohere.

use std::borrow::Cow;

use tollgate_core::ports::{CredentialKind, ProviderFacts};

use super::{Endpoint, Operation, Provider, Tried, bearer};
use crate::formats::{cohere_chat, cohere_embeddings, cohere_rerank};

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "cohere",
        base_url: Some("https://api.cohere.com"),
        base_url_variables: &["CO_API_URL", "COHERE_API_BASE"],
        key_variables: &["COHERE_API_KEY", "CO_API_KEY"],
        credential: CredentialKind::Key,
        key_optional: false,
        image_urls: true,
        formats: &[cohere_chat::NAME, cohere_embeddings::NAME, cohere_rerank::NAME_V2],
    },
    path,
    headers: bearer,
    normalise_base_url,
    legacy_max_tokens: false,
    built_in: false,
    anthropic_version: None,
    formats_for: None,
    tried: Tried::Mock,
};

/// The same under the name that LiteLLM files have for its chats.
pub(super) const CHAT: Provider =
    Provider { facts: ProviderFacts { name: "cohere_chat", ..PROVIDER.facts }, ..PROVIDER };

fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    match endpoint.operation {
        Operation::Chat => Some("/v2/chat".into()),
        Operation::Embed => Some("/v2/embed".into()),
        Operation::Rerank => Some("/v2/rerank".into()),
        _ => None,
    }
}

/// The SDKs take the address without the version; people also write it with.
fn normalise_base_url(url: &str) -> &str {
    let url = url.strip_suffix('/').unwrap_or(url);
    url.strip_suffix("/v1").or_else(|| url.strip_suffix("/v2")).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_with_a_version() {
        for url in ["http://a", "http://a/", "http://a/v1", "http://a/v2/"] {
            assert_eq!(normalise_base_url(url), "http://a");
        }
    }
}

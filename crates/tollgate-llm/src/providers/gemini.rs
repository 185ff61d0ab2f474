//! Google's Gemini API, as AI Studio's keys open it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use tollgate_core::ports::{CredentialKind, ProviderFacts};
use tollgate_core::secret::Secret;

use super::{Endpoint, Operation, Provider, Tried, encoded, put_secret};
use crate::formats::{gemini, gemini_embeddings};

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "gemini",
        base_url: Some("https://generativelanguage.googleapis.com"),
        base_url_variables: &["GOOGLE_GEMINI_BASE_URL"],
        key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        credential: CredentialKind::Key,
        key_optional: false,
        image_urls: true,
        formats: &[gemini::NAME, gemini_embeddings::NAME],
    },
    path,
    headers,
    normalise_base_url,
    legacy_max_tokens: false,
    formats_for: None,
    anthropic_version: None,
    built_in: false,
    tried: Tried::Mock,
};

/// Model and streaming stand in the address. Streams are always asked for as server-sent events: what the client is
/// sent, the gate frames.
fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    let method = match (endpoint.operation, endpoint.stream) {
        (Operation::CountTokens, _) => "countTokens",
        (Operation::Chat, true) => "streamGenerateContent?alt=sse",
        (Operation::Chat, false) => "generateContent",
        (Operation::Embed, _) => "batchEmbedContents",
        _ => return None,
    };
    let model = endpoint.model.strip_prefix("models/").unwrap_or(endpoint.model);
    let (folder, model) = match model.strip_prefix("tunedModels/") {
        Some(tuned) => ("tunedModels", tuned),
        None => ("models", model),
    };
    Some(format!("/v1beta/{folder}/{}:{method}", encoded(model)).into())
}

fn headers(headers: &mut HeaderMap, key: Option<&Secret>) {
    if let Some(key) = key {
        put_secret(headers, HeaderName::from_static("x-goog-api-key"), key.expose());
    }
}

/// The SDKs take the address without the version; people also write it with.
fn normalise_base_url(url: &str) -> &str {
    let url = url.strip_suffix('/').unwrap_or(url);
    url.strip_suffix("/v1beta").or_else(|| url.strip_suffix("/v1")).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_method_stand_in_the_path() {
        let path = |operation, model, stream| {
            let endpoint =
                Endpoint { operation, format: gemini::NAME, model, stream, base_url: "", api_version: None };
            path(&endpoint).map(Cow::into_owned)
        };
        let is = |path: Option<String>, expected: &str| assert_eq!(path.as_deref(), Some(expected));
        is(
            path(Operation::Chat, "gemini-2.5-flash", false),
            "/v1beta/models/gemini-2.5-flash:generateContent",
        );
        is(
            path(Operation::Chat, "models/gemini-3-pro", true),
            "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
        );
        is(
            path(Operation::Embed, "gemini-embedding-001", false),
            "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        );
        is(path(Operation::CountTokens, "tunedModels/mine", true), "/v1beta/tunedModels/mine:countTokens");
        is(
            path(Operation::Chat, "../files?key=x", false),
            "/v1beta/models/..%2Ffiles%3Fkey%3Dx:generateContent",
        );
        assert_eq!(path(Operation::MakeImages, "m", false), None);
    }

    #[test]
    fn an_address_may_be_written_with_the_version() {
        for url in ["http://a", "http://a/", "http://a/v1beta", "http://a/v1/"] {
            assert_eq!(normalise_base_url(url), "http://a");
        }
    }
}

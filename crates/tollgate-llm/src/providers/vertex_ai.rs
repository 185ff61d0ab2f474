//! Google Cloud's Vertex AI: Gemini in Google's format, Claude in Anthropic's.

use std::borrow::Cow;

use tollgate_core::ports::{CredentialKind, ProviderFacts};

use super::{Endpoint, Operation, Provider, Tried, bearer, encoded};
use crate::formats::{anthropic_messages, gemini};

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "vertex_ai",
        base_url: Some(
            "https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}",
        ),
        base_url_variables: &[],
        key_variables: &[],
        credential: CredentialKind::Google,
        key_optional: false,
        // Claude is given no addresses here, and not every Gemini fetches them.
        image_urls: false,
        formats: &[gemini::NAME, anthropic_messages::NAME],
    },
    path,
    headers: bearer,
    normalise_base_url: |url| url,
    legacy_max_tokens: false,
    formats_for: Some(formats_for),
    anthropic_version: Some("vertex-2023-10-16"),
    built_in: false,
    tried: Tried::GeminiAtMock,
};

fn formats_for(model: &str) -> &'static [&'static str] {
    let model = model.strip_prefix("anthropic/").unwrap_or(model);
    if model.starts_with("claude") { &[anthropic_messages::NAME] } else { &[gemini::NAME] }
}

fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    let claude = endpoint.format == anthropic_messages::NAME;
    let method = match (endpoint.operation, claude, endpoint.stream) {
        // One address counts for all of them: the body names the model there.
        (Operation::CountTokens, true, _) => {
            return Some("/publishers/anthropic/models/count-tokens:rawPredict".into());
        }
        (Operation::Chat, true, true) => "streamRawPredict",
        (Operation::Chat, true, false) => "rawPredict",
        (Operation::CountTokens, false, _) => "countTokens",
        (Operation::Chat, false, true) => "streamGenerateContent?alt=sse",
        (Operation::Chat, false, false) => "generateContent",
        _ => return None,
    };
    let publisher = if claude { "anthropic" } else { "google" };
    let model = endpoint.model;
    let model = model.strip_prefix(publisher).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
    Some(format!("/publishers/{publisher}/models/{}:{method}", encoded(model)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_says_the_format_and_the_path() {
        let path = |operation, model, stream| {
            let format = formats_for(model)[0];
            let endpoint = Endpoint { operation, format, model, stream, base_url: "", api_version: None };
            path(&endpoint).unwrap().into_owned()
        };
        for (operation, model, stream, expected) in [
            (Operation::Chat, "gemini-2.5-pro", false, "google/models/gemini-2.5-pro:generateContent"),
            (
                Operation::Chat,
                "google/gemini-3-pro",
                true,
                "google/models/gemini-3-pro:streamGenerateContent?alt=sse",
            ),
            (Operation::CountTokens, "gemini-2.5-pro", false, "google/models/gemini-2.5-pro:countTokens"),
            (
                Operation::Chat,
                "claude-sonnet-4-5@20250929",
                false,
                "anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
            ),
            (Operation::Chat, "claude-opus-4-6", true, "anthropic/models/claude-opus-4-6:streamRawPredict"),
            (Operation::CountTokens, "claude-opus-4-6", false, "anthropic/models/count-tokens:rawPredict"),
        ] {
            assert_eq!(path(operation, model, stream), format!("/publishers/{expected}"), "{model}");
        }
    }
}

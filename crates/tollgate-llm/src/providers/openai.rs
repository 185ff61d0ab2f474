//! OpenAI.

use std::borrow::Cow;

use tollgate_core::ports::{CredentialKind, ProviderFacts};

use super::{Endpoint, Operation, Provider, Tried, bearer};
use crate::formats::{openai_chat, openai_embeddings, openai_images, openai_responses};

/// What it speaks.
pub(super) const FORMATS: &[&str] =
    &[openai_chat::NAME, openai_responses::NAME, openai_embeddings::NAME, openai_images::NAME];

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "openai",
        base_url: Some("https://api.openai.com/v1"),
        base_url_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        key_variables: &["OPENAI_API_KEY"],
        credential: CredentialKind::Key,
        key_optional: false,
        image_urls: true,
        formats: FORMATS,
    },
    path,
    headers: bearer,
    normalise_base_url: |url| url,
    legacy_max_tokens: false,
    formats_for: None,
    anthropic_version: None,
    built_in: false,
    tried: Tried::Mock,
};

pub(super) fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    Some(match endpoint.operation {
        Operation::Chat if endpoint.format == openai_responses::NAME => "/responses".into(),
        Operation::Chat => "/chat/completions".into(),
        Operation::Embed => "/embeddings".into(),
        Operation::Rerank => "/rerank".into(),
        Operation::MakeImages => "/images/generations".into(),
        Operation::EditImages => "/images/edits".into(),
        Operation::CountTokens => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_its_own_path() {
        let path = |format| {
            let (operation, base_url) = (Operation::Chat, "https://api.openai.com/v1");
            path(&Endpoint { operation, format, model: "m", stream: true, base_url, api_version: None })
        };
        assert_eq!(path(openai_chat::NAME).as_deref(), Some("/chat/completions"));
        assert_eq!(path(openai_responses::NAME).as_deref(), Some("/responses"));
    }
}

//! OpenAI.

use std::borrow::Cow;

use tollgate_core::ports::ProviderFacts;

use super::{Endpoint, Operation, Provider, bearer};
use crate::formats::openai_chat;

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "openai",
        base_url: Some("https://api.openai.com/v1"),
        base_url_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        key_variable: Some("OPENAI_API_KEY"),
        key_optional: false,
        formats: &[openai_chat::NAME],
    },
    path,
    headers: bearer,
    normalise_base_url: |url| url,
    legacy_max_tokens: false,
    built_in: false,
};

pub(super) fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    match endpoint.operation {
        Operation::Chat => Some("/chat/completions".into()),
        Operation::CountTokens => None,
    }
}

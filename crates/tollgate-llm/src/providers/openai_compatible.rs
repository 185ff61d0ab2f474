//! Any server that speaks OpenAI's chat completions at an address of its own.

use tollgate_core::ports::ProviderFacts;

use super::{Provider, bearer, openai};
use crate::formats::openai_chat;

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "openai_compatible",
        base_url: None,
        base_url_variables: &[],
        key_variable: None,
        key_optional: true,
        formats: &[openai_chat::NAME],
    },
    path: openai::path,
    headers: bearer,
    normalise_base_url: |url| url,
    legacy_max_tokens: true,
    built_in: false,
};

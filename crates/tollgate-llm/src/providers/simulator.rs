//! The built-in simulator: see [`crate::simulator`].

use std::borrow::Cow;

use http::HeaderMap;
use tollgate_core::ports::{CredentialKind, ProviderFacts};
use tollgate_core::secret::Secret;

use super::{Endpoint, Operation, Provider, Tried};
use crate::formats::{anthropic_messages, gemini, openai_chat, openai_responses};

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "simulator",
        base_url: Some("http://simulator.invalid"),
        base_url_variables: &[],
        key_variables: &[],
        credential: CredentialKind::Key,
        key_optional: true,
        image_urls: true,
        formats: &[openai_chat::NAME, openai_responses::NAME, anthropic_messages::NAME, gemini::NAME],
    },
    path,
    headers,
    normalise_base_url: |url| url,
    legacy_max_tokens: false,
    formats_for: None,
    anthropic_version: None,
    built_in: true,
    tried: Tried::Itself,
};

/// One path for each format would do; the format is told by what the gate asks for.
fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    match endpoint.operation {
        Operation::Chat => Some("/chat".into()),
        _ => None,
    }
}

fn headers(_: &mut HeaderMap, _: Option<&Secret>) {}

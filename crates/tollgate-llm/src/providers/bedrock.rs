//! Amazon Bedrock. Model and streaming stand in the address; requests are signed, or carry a Bedrock API key.

use std::borrow::Cow;

use tollgate_core::ports::{CredentialKind, ProviderFacts};

use super::{Endpoint, Operation, Provider, Tried, bearer, encoded};
use crate::formats::bedrock_converse;

pub(super) const PROVIDER: Provider = Provider {
    facts: ProviderFacts {
        name: "bedrock",
        base_url: Some("https://bedrock-runtime.{region}.amazonaws.com"),
        base_url_variables: &["AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_BEDROCK_RUNTIME_ENDPOINT"],
        key_variables: &["AWS_BEARER_TOKEN_BEDROCK"],
        credential: CredentialKind::Aws,
        key_optional: false,
        image_urls: false,
        formats: &[bedrock_converse::NAME],
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

/// The same by the name that LiteLLM files have for it.
pub(super) const CONVERSE: Provider =
    Provider { facts: ProviderFacts { name: "bedrock_converse", ..PROVIDER.facts }, ..PROVIDER };

fn path(endpoint: &Endpoint<'_>) -> Option<Cow<'static, str>> {
    if endpoint.operation != Operation::Chat {
        return None;
    }
    // How LiteLLM files choose between two of the service's operations; here there is one.
    let model = endpoint.model;
    let model = model.strip_prefix("converse/").or_else(|| model.strip_prefix("invoke/")).unwrap_or(model);
    // As Amazon's own tools write it: signatures are made of the address as it is written.
    let model = encoded(model).replace(':', "%3A").replace('@', "%40");
    let operation = if endpoint.stream { "converse-stream" } else { "converse" };
    Some(format!("/model/{model}/{operation}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_operation_stand_in_the_path() {
        let path = |operation, model, stream| {
            let format = bedrock_converse::NAME;
            let endpoint = Endpoint { operation, format, model, stream, base_url: "", api_version: None };
            path(&endpoint).map(Cow::into_owned)
        };
        let is = |path: Option<String>, expected: &str| assert_eq!(path.as_deref(), Some(expected));
        is(path(Operation::Chat, "anthropic.claude-v1:0", false), "/model/anthropic.claude-v1%3A0/converse");
        is(path(Operation::Chat, "converse/us.m-v1:0", true), "/model/us.m-v1%3A0/converse-stream");
        is(
            path(Operation::Chat, "arn:aws:bedrock:r:1:inference-profile/m", false),
            "/model/arn%3Aaws%3Abedrock%3Ar%3A1%3Ainference-profile%2Fm/converse",
        );
        assert_eq!(path(Operation::CountTokens, "m", false), None);
    }
}

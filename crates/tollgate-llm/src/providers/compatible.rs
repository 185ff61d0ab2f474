//! Services that speak OpenAI's dialect, as data: a row each. Addresses and variables are those that other clients of
//! the service have; none was called.

use http::HeaderMap;
use tollgate_core::ports::{CredentialKind, ProviderFacts};
use tollgate_core::secret::Secret;

use super::{Provider, Tried, bearer, openai};
use crate::formats::{cohere_rerank, openai_chat, openai_embeddings, openai_images};

const CHAT: &[&str] = &[openai_chat::NAME];
const CHAT_EMBEDDINGS: &[&str] = &[openai_chat::NAME, openai_embeddings::NAME];
const CHAT_IMAGES: &[&str] = &[openai_chat::NAME, openai_images::NAME];
const CHAT_EMBEDDINGS_RERANK: &[&str] = &[openai_chat::NAME, openai_embeddings::NAME, cohere_rerank::NAME];
const CHAT_EMBEDDINGS_IMAGES: &[&str] = &[openai_chat::NAME, openai_embeddings::NAME, openai_images::NAME];
const ALL_KINDS: &[&str] =
    &[openai_chat::NAME, openai_embeddings::NAME, openai_images::NAME, cohere_rerank::NAME];

/// A service with a key. It understands `max_completion_tokens` unless [`legacy`] says otherwise.
const fn hosted(
    name: &'static str,
    base_url: &'static str,
    key_variables: &'static [&'static str],
    formats: &'static [&'static str],
) -> Provider {
    Provider {
        facts: ProviderFacts {
            name,
            base_url: Some(base_url),
            base_url_variables: &[],
            key_variables,
            credential: CredentialKind::Key,
            key_optional: false,
            image_urls: true,
            formats,
        },
        path: openai::path,
        headers: bearer_headers,
        normalise_base_url: |url| url,
        legacy_max_tokens: false,
        formats_for: None,
        anthropic_version: None,
        built_in: false,
        tried: Tried::Row,
    }
}

/// A server of one's own: no key is needed, and `base_url` is where it usually listens, if anywhere.
const fn own_server(
    name: &'static str,
    base_url: Option<&'static str>,
    variables: &'static [&'static str],
    key_variables: &'static [&'static str],
) -> Provider {
    Provider {
        facts: ProviderFacts {
            name,
            base_url,
            base_url_variables: variables,
            key_variables,
            credential: CredentialKind::Key,
            key_optional: true,
            image_urls: true,
            formats: ALL_KINDS,
        },
        path: openai::path,
        headers: bearer_headers,
        normalise_base_url: |url| url,
        legacy_max_tokens: true,
        formats_for: None,
        anthropic_version: None,
        built_in: false,
        tried: Tried::Row,
    }
}

/// It knows only `max_tokens`, as servers do that follow an older OpenAI.
const fn legacy(provider: Provider) -> Provider {
    Provider { legacy_max_tokens: true, ..provider }
}

/// Variables that its own SDK reads a base URL from.
const fn at(provider: Provider, variables: &'static [&'static str]) -> Provider {
    Provider { facts: ProviderFacts { base_url_variables: variables, ..provider.facts }, ..provider }
}

fn bearer_headers(headers: &mut HeaderMap, key: Option<&Secret>) {
    bearer(headers, key);
}

/// It does not rerank, or not as Cohere does.
const fn without_rerank(provider: Provider) -> Provider {
    Provider { facts: ProviderFacts { formats: CHAT_EMBEDDINGS_IMAGES, ..provider.facts }, ..provider }
}

/// Ollama's address is written without the version.
fn with_version(url: &str) -> &str {
    url.strip_suffix("/v1").unwrap_or(url)
}

fn ollama_path(endpoint: &super::Endpoint<'_>) -> Option<std::borrow::Cow<'static, str>> {
    openai::path(endpoint).map(|path| format!("/v1{path}").into())
}

const fn ollama(name: &'static str) -> Provider {
    let server = own_server(name, Some("http://127.0.0.1:11434"), &["OLLAMA_API_BASE"], &["OLLAMA_API_KEY"]);
    Provider { path: ollama_path, normalise_base_url: with_version, ..without_rerank(server) }
}

/// The rows. Names are the prefixes that LiteLLM files use.
pub(super) const ROWS: &[Provider] = &[
    Provider { tried: Tried::Mock, ..own_server("openai_compatible", None, &[], &[]) },
    own_server("hosted_vllm", None, &["HOSTED_VLLM_API_BASE"], &["HOSTED_VLLM_API_KEY"]),
    own_server("vllm", None, &["VLLM_API_BASE"], &["VLLM_API_KEY"]),
    without_rerank(own_server(
        "lm_studio",
        Some("http://127.0.0.1:1234/v1"),
        &["LM_STUDIO_API_BASE"],
        &["LM_STUDIO_API_KEY"],
    )),
    without_rerank(own_server(
        "llamafile",
        Some("http://127.0.0.1:8080/v1"),
        &["LLAMAFILE_API_BASE"],
        &["LLAMAFILE_API_KEY"],
    )),
    own_server(
        "xinference",
        Some("http://127.0.0.1:9997/v1"),
        &["XINFERENCE_API_BASE"],
        &["XINFERENCE_API_KEY"],
    ),
    own_server("litellm_proxy", None, &["LITELLM_PROXY_API_BASE"], &["LITELLM_PROXY_API_KEY"]),
    ollama("ollama"),
    ollama("ollama_chat"),
    at(hosted("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"], CHAT), &["GROQ_API_BASE"]),
    legacy(hosted(
        "together_ai",
        "https://api.together.xyz/v1",
        &["TOGETHERAI_API_KEY", "TOGETHER_API_KEY"],
        ALL_KINDS,
    )),
    hosted("openrouter", "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY"], CHAT_EMBEDDINGS),
    legacy(hosted("deepseek", "https://api.deepseek.com", &["DEEPSEEK_API_KEY"], CHAT)),
    hosted("xai", "https://api.x.ai/v1", &["XAI_API_KEY"], CHAT_IMAGES),
    legacy(hosted(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS_API_KEY"],
        CHAT_EMBEDDINGS,
    )),
    legacy(hosted(
        "perplexity",
        "https://api.perplexity.ai",
        &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
        CHAT,
    )),
    legacy(hosted("mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"], CHAT_EMBEDDINGS)),
    hosted("cerebras", "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"], CHAT),
    legacy(hosted(
        "nvidia_nim",
        "https://integrate.api.nvidia.com/v1",
        &["NVIDIA_NIM_API_KEY"],
        CHAT_EMBEDDINGS,
    )),
    legacy(hosted(
        "huggingface",
        "https://router.huggingface.co/v1",
        &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
        CHAT,
    )),
    legacy(hosted(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        &["DEEPINFRA_API_KEY"],
        CHAT_EMBEDDINGS_IMAGES,
    )),
    legacy(hosted("sambanova", "https://api.sambanova.ai/v1", &["SAMBANOVA_API_KEY"], CHAT_EMBEDDINGS)),
    legacy(hosted("nebius", "https://api.studio.nebius.ai/v1", &["NEBIUS_API_KEY"], CHAT_EMBEDDINGS_IMAGES)),
    legacy(hosted("novita", "https://api.novita.ai/v3/openai", &["NOVITA_API_KEY"], CHAT_EMBEDDINGS)),
    legacy(hosted("moonshot", "https://api.moonshot.ai/v1", &["MOONSHOT_API_KEY"], CHAT)),
    legacy(hosted(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["DASHSCOPE_API_KEY"],
        CHAT_EMBEDDINGS,
    )),
    legacy(hosted("hyperbolic", "https://api.hyperbolic.xyz/v1", &["HYPERBOLIC_API_KEY"], CHAT)),
    legacy(hosted("lambda_ai", "https://api.lambda.ai/v1", &["LAMBDA_API_KEY"], CHAT)),
    legacy(hosted("featherless_ai", "https://api.featherless.ai/v1", &["FEATHERLESS_AI_API_KEY"], CHAT)),
    legacy(hosted("friendliai", "https://api.friendli.ai/serverless/v1", &["FRIENDLI_TOKEN"], CHAT)),
    legacy(hosted("baseten", "https://inference.baseten.co/v1", &["BASETEN_API_KEY"], CHAT)),
    legacy(hosted(
        "volcengine",
        "https://ark.cn-beijing.volces.com/api/v3",
        &["VOLCENGINE_API_KEY"],
        CHAT_EMBEDDINGS,
    )),
    hosted(
        "vercel_ai_gateway",
        "https://ai-gateway.vercel.sh/v1",
        &["VERCEL_AI_GATEWAY_API_KEY"],
        CHAT_EMBEDDINGS_RERANK,
    ),
    hosted("github", "https://models.github.ai/inference", &["GITHUB_API_KEY"], CHAT_EMBEDDINGS),
    legacy(hosted("ai21", "https://api.ai21.com/studio/v1", &["AI21_API_KEY"], CHAT)),
    legacy(hosted("codestral", "https://codestral.mistral.ai/v1", &["CODESTRAL_API_KEY"], CHAT)),
    legacy(hosted("meta_llama", "https://api.llama.com/compat/v1", &["LLAMA_API_KEY"], CHAT)),
    legacy(hosted("wandb", "https://api.inference.wandb.ai/v1", &["WANDB_API_KEY"], CHAT)),
    legacy(hosted("nscale", "https://inference.api.nscale.com/v1", &["NSCALE_API_KEY"], CHAT_IMAGES)),
    legacy(hosted(
        "ovhcloud",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        &["OVHCLOUD_API_KEY"],
        CHAT_EMBEDDINGS,
    )),
    legacy(hosted("zai", "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY"], CHAT)),
];

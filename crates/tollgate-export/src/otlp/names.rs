//! Names of OpenTelemetry's semantic conventions. Those for GenAI are still moving: this file is where they do.

pub(super) const SERVICE_NAME: &str = "service.name";
pub(super) const SERVICE_VERSION: &str = "service.version";
pub(super) const SERVICE_INSTANCE_ID: &str = "service.instance.id";

pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const HTTP_STATUS: &str = "http.response.status_code";

pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(super) const TOKEN_TYPE: &str = "gen_ai.token.type";
pub(super) const TOKEN_TYPE_INPUT: &str = "input";
pub(super) const TOKEN_TYPE_OUTPUT: &str = "output";

pub(super) const TOKEN_USAGE: &str = "gen_ai.client.token.usage";
pub(super) const OPERATION_DURATION: &str = "gen_ai.client.operation.duration";
pub(super) const TIME_TO_FIRST_TOKEN: &str = "gen_ai.server.time_to_first_token";

// What the conventions have no name for.
pub(super) const CALL_ID: &str = "tollgate.call.id";
pub(super) const PRINCIPAL: &str = "tollgate.principal";
pub(super) const DEPLOYMENT: &str = "tollgate.deployment";
pub(super) const SURFACE: &str = "tollgate.surface";
pub(super) const OUTCOME: &str = "tollgate.outcome";
pub(super) const BLAME: &str = "tollgate.fault.blame";
pub(super) const SIDE_EFFECT: &str = "tollgate.fault.side_effect";
pub(super) const COST_NANO_USD: &str = "tollgate.cost.nano_usd";
pub(super) const TOOLS_CHOSEN: &str = "tollgate.tools.chosen";
pub(super) const COST: &str = "tollgate.cost";

/// The conventions' word for what a surface's calls do.
pub(super) fn operation(surface: &str) -> &'static str {
    match surface {
        "openai_embeddings" => "embeddings",
        "gemini" | "openai_images" => "generate_content",
        "cohere_rerank" | "cohere_rerank_v2" => "rerank",
        _ => "chat",
    }
}

/// The conventions' word for a provider, where they have one.
pub(super) fn provider(ours: &str) -> &str {
    match ours {
        "bedrock" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "azure_ai" => "azure.ai.inference",
        "vertex_ai" => "gcp.vertex_ai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        "watsonx" => "ibm.watsonx.ai",
        other => other,
    }
}

//! `usageMetadata` of an answer.

use serde::{Deserialize, Serialize};
use tollgate_core::usage::{Usage, UsageSource};

/// Every member may be absent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUsage {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts_token_count: Option<u64>,
    #[serde(skip_serializing)]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_token_count: Option<u64>,
    #[serde(skip_serializing)]
    prompt_tokens_details: Option<Vec<Modality>>,
    #[serde(skip_serializing)]
    candidates_tokens_details: Option<Vec<Modality>>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Modality {
    #[serde(default)]
    modality: String,
    #[serde(default)]
    token_count: u64,
}

fn of(modality: &str, details: Option<&Vec<Modality>>) -> u64 {
    let of = details.into_iter().flatten().filter(|detail| detail.modality == modality);
    of.map(|detail| detail.token_count).fold(0, u64::saturating_add)
}

/// Here thoughts, and the results of the provider's own tools, are counted beside answer and prompt; a [`Usage`]
/// counts them in.
impl From<&WireUsage> for Usage {
    fn from(wire: &WireUsage) -> Self {
        let thoughts = wire.thoughts_token_count.unwrap_or(0);
        let tools = wire.tool_use_prompt_token_count.unwrap_or(0);
        // Where the answer is not told, it is what the total leaves.
        let input = wire.prompt_token_count.unwrap_or(0).saturating_add(tools);
        let rest = wire.total_token_count.map_or(thoughts, |total| total.saturating_sub(input).max(thoughts));
        Self {
            input_tokens: wire.prompt_token_count.unwrap_or(0).saturating_add(tools),
            output_tokens: wire.candidates_token_count.map_or(rest, |answer| answer.saturating_add(thoughts)),
            cache_read_tokens: wire.cached_content_token_count.unwrap_or(0),
            reasoning_tokens: thoughts,
            input_audio_tokens: of("AUDIO", wire.prompt_tokens_details.as_ref()),
            output_audio_tokens: of("AUDIO", wire.candidates_tokens_details.as_ref()),
            input_image_tokens: of("IMAGE", wire.prompt_tokens_details.as_ref()),
            output_image_tokens: of("IMAGE", wire.candidates_tokens_details.as_ref()),
            source: UsageSource::Reported,
            ..Self::default()
        }
    }
}

impl From<&Usage> for WireUsage {
    fn from(usage: &Usage) -> Self {
        let some = |count: u64| (count > 0).then_some(count);
        Self {
            prompt_token_count: Some(usage.input_tokens),
            cached_content_token_count: some(usage.cache_read_tokens),
            candidates_token_count: Some(usage.output_tokens.saturating_sub(usage.reasoning_tokens)),
            thoughts_token_count: some(usage.reasoning_tokens),
            total_token_count: Some(usage.input_tokens.saturating_add(usage.output_tokens)),
            ..Self::default()
        }
    }
}

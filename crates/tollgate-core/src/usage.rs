//! What a call used, in the units that providers bill.

use serde::Serialize;

/// Where the numbers of a [`Usage`] come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The upstream said so.
    Reported,
    /// Counted by the gate from the bytes that passed: the upstream said nothing, or was cut off before it did.
    #[default]
    Estimated,
}

/// Tokens of one call. The names are OpenTelemetry's (`gen_ai.usage.*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// All tokens of the prompt, cached ones included.
    pub input_tokens: u64,
    /// All tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// Of the input: read from the provider's prompt cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read_tokens: u64,
    /// Of the input: written to the provider's prompt cache, all lifetimes.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// Of the cache writes: those with the long lifetime of an hour, which cost more.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h_tokens: u64,
    /// Of the output: spent on reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// Of the input: audio.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_audio_tokens: u64,
    /// Of the output: audio.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_audio_tokens: u64,
    /// Of the input: pictures.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_image_tokens: u64,
    /// Of the output: pictures.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_image_tokens: u64,
    /// Pictures made, where they are billed each.
    #[serde(skip_serializing_if = "is_zero")]
    pub images: u64,
    /// Searches made, where they are billed each: a reranking is one or more.
    #[serde(skip_serializing_if = "is_zero")]
    pub searches: u64,
    /// Who counted.
    pub source: UsageSource,
}

impl Usage {
    /// Whether anything was counted: some servers report zeros where they do not count.
    pub fn says_something(&self) -> bool {
        self.input_tokens != 0 || self.output_tokens != 0 || self.images != 0 || self.searches != 0
    }

    /// This and `more` together.
    #[must_use]
    pub fn and(self, more: &Self) -> Self {
        let estimated = [self.source, more.source].contains(&UsageSource::Estimated);
        Self {
            input_tokens: self.input_tokens.saturating_add(more.input_tokens),
            output_tokens: self.output_tokens.saturating_add(more.output_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(more.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(more.cache_write_tokens),
            cache_write_1h_tokens: self.cache_write_1h_tokens.saturating_add(more.cache_write_1h_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(more.reasoning_tokens),
            input_audio_tokens: self.input_audio_tokens.saturating_add(more.input_audio_tokens),
            output_audio_tokens: self.output_audio_tokens.saturating_add(more.output_audio_tokens),
            input_image_tokens: self.input_image_tokens.saturating_add(more.input_image_tokens),
            output_image_tokens: self.output_image_tokens.saturating_add(more.output_image_tokens),
            images: self.images.saturating_add(more.images),
            searches: self.searches.saturating_add(more.searches),
            source: if estimated { UsageSource::Estimated } else { UsageSource::Reported },
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Tokens that `bytes` of text make, when nobody has counted: a quarter of the bytes, rounded up.
pub fn estimate_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

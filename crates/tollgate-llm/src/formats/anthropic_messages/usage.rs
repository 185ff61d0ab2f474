//! `usage` of an answer, of `message_start` and of `message_delta`.

use serde::{Deserialize, Serialize};
use tollgate_core::usage::{Usage, UsageSource};

/// Every member may be absent: the parts of a stream tell different ones.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct WireUsage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(default, skip_serializing)]
    cache_creation: Option<CacheCreation>,
    #[serde(default, skip_serializing)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// This, with what `later` tells instead.
    pub(super) fn updated(&self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            cache_creation: later.cache_creation.or_else(|| self.cache_creation.clone()),
            output_tokens_details: later.output_tokens_details.or_else(|| self.output_tokens_details.clone()),
        }
    }
}

/// Here `input_tokens` leaves out what the cache served; a [`Usage`] counts all of the prompt.
impl From<&WireUsage> for Usage {
    fn from(wire: &WireUsage) -> Self {
        let read = wire.cache_read_input_tokens.unwrap_or(0);
        let written = wire.cache_creation_input_tokens.unwrap_or(0);
        let long = wire.cache_creation.as_ref().and_then(|c| c.ephemeral_1h_input_tokens).unwrap_or(0);
        Self {
            input_tokens: wire.input_tokens.unwrap_or(0).saturating_add(read).saturating_add(written),
            output_tokens: wire.output_tokens.unwrap_or(0),
            cache_read_tokens: read,
            cache_write_tokens: written,
            cache_write_1h_tokens: long,
            reasoning_tokens: wire
                .output_tokens_details
                .as_ref()
                .and_then(|d| d.thinking_tokens)
                .unwrap_or(0),
            source: UsageSource::Reported,
            ..Self::default()
        }
    }
}

impl From<&Usage> for WireUsage {
    fn from(usage: &Usage) -> Self {
        let cached = usage.cache_read_tokens.saturating_add(usage.cache_write_tokens);
        Self {
            input_tokens: Some(usage.input_tokens.saturating_sub(cached)),
            cache_creation_input_tokens: Some(usage.cache_write_tokens),
            cache_read_input_tokens: Some(usage.cache_read_tokens),
            output_tokens: Some(usage.output_tokens),
            cache_creation: None,
            output_tokens_details: None,
        }
    }
}

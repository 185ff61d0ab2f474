//! `usage` of an answer, which is also that of a stream's last event.

use serde::{Deserialize, Serialize};
use tollgate_core::usage::{Usage, UsageSource};

/// Servers that are merely compatible leave the details out.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
    #[serde(default)]
    total_tokens: u64,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl From<&WireUsage> for Usage {
    fn from(wire: &WireUsage) -> Self {
        let input = wire.input_tokens_details.as_ref();
        let output = wire.output_tokens_details.as_ref();
        Self {
            input_tokens: wire.input_tokens,
            output_tokens: wire.output_tokens,
            cache_read_tokens: input.and_then(|d| d.cached_tokens).unwrap_or(0),
            cache_write_tokens: input.and_then(|d| d.cache_write_tokens).unwrap_or(0),
            reasoning_tokens: output.and_then(|d| d.reasoning_tokens).unwrap_or(0),
            source: UsageSource::Reported,
            ..Self::default()
        }
    }
}

impl From<&Usage> for WireUsage {
    fn from(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: Some(InputDetails {
                cached_tokens: Some(usage.cache_read_tokens),
                cache_write_tokens: Some(usage.cache_write_tokens),
            }),
            output_tokens: usage.output_tokens,
            output_tokens_details: Some(OutputDetails { reasoning_tokens: Some(usage.reasoning_tokens) }),
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        }
    }
}

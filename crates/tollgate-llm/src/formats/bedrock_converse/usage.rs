//! `usage` of an answer and of a stream's `metadata`.

use serde::Deserialize;
use tollgate_core::usage::{Usage, UsageSource};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUsage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_write_input_tokens: Option<u64>,
    #[serde(default)]
    cache_details: Option<Vec<CacheDetail>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: String,
    #[serde(default)]
    input_tokens: u64,
}

/// Here `inputTokens` leaves out what the cache served or kept; a [`Usage`] counts all of the prompt.
impl From<&WireUsage> for Usage {
    fn from(wire: &WireUsage) -> Self {
        let read = wire.cache_read_input_tokens.unwrap_or(0);
        let written = wire.cache_write_input_tokens.unwrap_or(0);
        let details = wire.cache_details.iter().flatten();
        let long = details.filter(|detail| detail.ttl == "1h");
        Self {
            input_tokens: wire.input_tokens.saturating_add(read).saturating_add(written),
            output_tokens: wire.output_tokens,
            cache_read_tokens: read,
            cache_write_tokens: written,
            cache_write_1h_tokens: long.fold(0, |sum, detail| sum.saturating_add(detail.input_tokens)),
            source: UsageSource::Reported,
            ..Self::default()
        }
    }
}

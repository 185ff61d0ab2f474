//! What pictures are billed by: tokens where the model counts them, else the piece.

use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_core::usage::{Usage, UsageSource};

use crate::json::Members;

#[derive(Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    input_tokens_details: Option<Details>,
    #[serde(default)]
    output_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    image_tokens: u64,
}

impl From<&WireUsage> for Usage {
    fn from(wire: &WireUsage) -> Self {
        Self {
            input_tokens: wire.input_tokens,
            output_tokens: wire.output_tokens,
            input_image_tokens: wire.input_tokens_details.as_ref().map_or(0, |d| d.image_tokens),
            // Where the answer does not tell its tokens apart, they are the picture's.
            output_image_tokens: wire
                .output_tokens_details
                .as_ref()
                .map_or(wire.output_tokens, |d| d.image_tokens),
            source: UsageSource::Reported,
            ..Self::default()
        }
    }
}

/// The usage of a whole answer. A model that counts no tokens is billed by the picture.
pub(super) fn of(body: &str) -> Result<Option<Usage>, String> {
    let members = Members::find(body, &["data", "usage"]).map_err(|e| e.to_string())?;
    let pictures: Option<Vec<IgnoredAny>> = members.read("data").map_err(|e| e.to_string())?;
    let pictures = pictures.ok_or("it has no `data`")?;
    let usage: Option<WireUsage> = members.read("usage").map_err(|e| e.to_string())?;
    Ok(Some(match usage.as_ref().map(Usage::from).filter(Usage::says_something) {
        Some(usage) => usage,
        None => Usage { images: pictures.len() as u64, source: UsageSource::Reported, ..Usage::default() },
    }))
}

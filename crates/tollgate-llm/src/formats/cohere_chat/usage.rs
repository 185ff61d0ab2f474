//! What an answer used, as all of Cohere's formats say it. `billed_units` is what Cohere charges for; `tokens`
//! counts beside that what Cohere itself puts into the prompt and does not charge for. A gate that accounts for
//! money goes by the former, and by the latter only where the former is absent.

use serde::Deserialize;
use tollgate_core::usage::{Usage, UsageSource};

/// `usage` of a chat, or `meta` of any other answer. Cohere writes whole numbers with a fraction at times.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(in crate::formats) struct WireUsage {
    billed_units: Option<Units>,
    tokens: Option<Units>,
    cached_tokens: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Units {
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
    image_tokens: Option<f64>,
    /// Not Cohere's: gateways write it that speak its format.
    total_tokens: Option<f64>,
    search_units: Option<f64>,
}

impl WireUsage {
    /// The usage, where anything was counted.
    pub(in crate::formats) fn counted(&self) -> Option<Usage> {
        let units = self.billed_units.filter(Units::counts).or(self.tokens.filter(Units::counts))?;
        let images = whole(units.image_tokens);
        let input_tokens = match units.input_tokens {
            Some(tokens) => whole(Some(tokens)).saturating_add(images),
            None if images > 0 => images,
            None => whole(units.total_tokens),
        };
        Some(Usage {
            input_tokens,
            output_tokens: whole(units.output_tokens),
            cache_read_tokens: whole(self.cached_tokens).min(input_tokens),
            input_image_tokens: images,
            searches: whole(units.search_units),
            source: UsageSource::Reported,
            ..Usage::default()
        })
    }
}

impl Units {
    fn counts(&self) -> bool {
        let all =
            [self.input_tokens, self.output_tokens, self.image_tokens, self.total_tokens, self.search_units];
        all.iter().any(Option::is_some)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; the cast saturates")]
fn whole(number: Option<f64>) -> u64 {
    number.unwrap_or(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_billed_counts() {
        let counted = |text: &str| serde_json::from_str::<WireUsage>(text).unwrap().counted();
        let both = counted(
            r#"{"billed_units":{"input_tokens":5.0,"output_tokens":2},"tokens":{"input_tokens":80,"output_tokens":9},"cached_tokens":64}"#,
        );
        let both = both.unwrap();
        assert_eq!((both.input_tokens, both.output_tokens, both.cache_read_tokens), (5, 2, 5));
        let tokens = counted(r#"{"tokens":{"input_tokens":80,"output_tokens":9}}"#).unwrap();
        assert_eq!((tokens.input_tokens, tokens.output_tokens), (80, 9));
        assert_eq!(counted(r#"{"billed_units":{"search_units":1}}"#).unwrap().searches, 1);
        assert_eq!(counted(r#"{"billed_units":{},"api_version":{"version":"2"}}"#), None);
    }
}

//! What usage costs. Prices are integer pico-dollars per unit, costs integer nano-dollars, rounded up once
//! per call. There is no float anywhere: a price that is not a whole number of pico-dollars is refused.

use serde::{Deserialize, Serialize, Serializer};

use crate::usage::Usage;

/// Pico-dollars (10⁻¹² USD) for one token.
pub type PicoUsd = u64;

/// Nano-dollars (10⁻⁹ USD).
pub type NanoUsd = u64;

/// Prices per token of each kind. A kind without its own price costs what its plain kind does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Per input token.
    pub input: PicoUsd,
    /// Per output token.
    pub output: PicoUsd,
    /// Per input token read from the provider's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<PicoUsd>,
    /// Per input token written to the prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PicoUsd>,
    /// Per input token written to the prompt cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<PicoUsd>,
    /// Per output token spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PicoUsd>,
    /// Per input token of audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_audio: Option<PicoUsd>,
    /// Per output token of audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_audio: Option<PicoUsd>,
    /// Per input token of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_image: Option<PicoUsd>,
    /// Per output token of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_image: Option<PicoUsd>,
    /// Per picture made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PicoUsd>,
    /// Per search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<PicoUsd>,
}

/// Rates that replace the base when the prompt is longer than `above_input_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The prompt length, in tokens, beyond which this tier holds for the whole call.
    pub above_input_tokens: u64,
    /// What holds then.
    pub rates: Rates,
}

/// The price of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// What holds for an ordinary prompt.
    pub rates: Rates,
    /// What holds for long prompts, by rising length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// What a call cost. What cannot be known is never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Exactly this much.
    Known(NanoUsd),
    /// The model has no price.
    Unknown,
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(nano) => serializer.serialize_u64(*nano),
            Self::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(nano) => {
                let digits = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
                let trimmed = digits.trim_end_matches('0');
                f.write_str(trimmed.strip_suffix('.').unwrap_or(trimmed))
            }
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Price {
    /// What `usage` costs, rounded up to a whole nano-dollar.
    pub fn cost(&self, usage: &Usage) -> Cost {
        let rates = self.rates_for(usage.input_tokens);
        let write_1h = usage.cache_write_1h_tokens.min(usage.cache_write_tokens);
        let write = usage.cache_write_tokens - write_1h;
        // What came from the cache is not charged again as the sound or the picture that it is.
        let fresh = usage
            .input_tokens
            .saturating_sub(usage.cache_read_tokens)
            .saturating_sub(usage.cache_write_tokens);
        let input_audio = usage.input_audio_tokens.min(fresh);
        let input_image = usage.input_image_tokens.min(fresh - input_audio);
        // An upstream that reports more of a part than of the whole must not make the rest negative.
        let plain_input = usage
            .input_tokens
            .saturating_sub(usage.cache_read_tokens)
            .saturating_sub(usage.cache_write_tokens)
            .saturating_sub(input_audio)
            .saturating_sub(input_image);
        let plain_output = usage
            .output_tokens
            .saturating_sub(usage.reasoning_tokens)
            .saturating_sub(usage.output_audio_tokens)
            .saturating_sub(usage.output_image_tokens);
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        // What is billed by the piece and has no price for a piece is not free.
        let unpriced =
            (usage.images > 0 && rates.image.is_none()) || (usage.searches > 0 && rates.search.is_none());
        // What is billed by the piece only, and of which nobody has counted the pieces, is not free either.
        let by_piece = rates.image.is_some() || rates.search.is_some();
        let uncounted =
            by_piece && rates.input == 0 && rates.output == 0 && usage.images == 0 && usage.searches == 0;
        if (unpriced && tokens == 0) || uncounted {
            return Cost::Unknown;
        }
        let cache_write = rates.cache_write.unwrap_or(rates.input);
        let parts = [
            (plain_input, rates.input),
            (usage.cache_read_tokens, rates.cache_read.unwrap_or(rates.input)),
            (write, cache_write),
            (write_1h, rates.cache_write_1h.unwrap_or(cache_write)),
            (input_audio, rates.input_audio.unwrap_or(rates.input)),
            (plain_output, rates.output),
            (usage.reasoning_tokens, rates.reasoning.unwrap_or(rates.output)),
            (usage.output_audio_tokens, rates.output_audio.unwrap_or(rates.output)),
            (input_image, rates.input_image.unwrap_or(rates.input)),
            (usage.output_image_tokens, rates.output_image.unwrap_or(rates.output)),
            (usage.images, rates.image.unwrap_or(0)),
            (usage.searches, rates.search.unwrap_or(0)),
        ];
        let pico: u128 = parts.iter().map(|(tokens, rate)| u128::from(*tokens) * u128::from(*rate)).sum();
        u64::try_from(pico.div_ceil(1_000)).map_or(Cost::Unknown, Cost::Known)
    }

    /// The most that so many tokens can cost, whatever kind they turn out to be; `caches` says whether the prompt is
    /// written to a cache. [`Cost::Unknown`] where something is billed by the piece.
    pub fn most(&self, input_tokens: u64, output_tokens: u64, caches: bool) -> Cost {
        let reached = self.tiers.iter().filter(|tier| input_tokens > tier.above_input_tokens);
        let rates = std::iter::once(&self.rates).chain(reached.map(|tier| &tier.rates));
        let (mut input, mut output) = (0, 0);
        for rates in rates {
            if rates.image.is_some() || rates.search.is_some() {
                return Cost::Unknown;
            }
            let written = [rates.cache_write, rates.cache_write_1h].map(|rate| rate.filter(|_| caches));
            let inputs = [Some(rates.input), rates.cache_read, rates.input_audio, rates.input_image];
            let outputs = [Some(rates.output), rates.reasoning, rates.output_audio, rates.output_image];
            input = inputs.into_iter().chain(written).flatten().fold(input, u64::max);
            output = outputs.into_iter().flatten().fold(output, u64::max);
        }
        let pico =
            u128::from(input_tokens) * u128::from(input) + u128::from(output_tokens) * u128::from(output);
        u64::try_from(pico.div_ceil(1_000)).map_or(Cost::Unknown, Cost::Known)
    }

    fn rates_for(&self, input_tokens: u64) -> &Rates {
        self.tiers
            .iter()
            .rev()
            .find(|tier| input_tokens > tier.above_input_tokens)
            .map_or(&self.rates, |t| &t.rates)
    }
}

/// Why a text is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a non-negative decimal number.
    #[error("not a non-negative decimal number")]
    Malformed,
    /// It has digits beyond the unit's last place.
    #[error("finer than a pico-dollar per token")]
    TooFine,
    /// It does not fit.
    #[error("too large")]
    TooLarge,
}

/// Reads a decimal such as `2.5`, `0.075` or `2.5e-06` and returns it times 10^`scale`, exactly.
pub fn decimal(text: &str, scale: i32) -> Result<u64, DecimalError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().map_err(|_| DecimalError::Malformed)?),
        None => (text, 0_i32),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 38 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let value: u128 = digits.parse().map_err(|_| DecimalError::TooLarge)?;
    if value == 0 {
        return Ok(0);
    }
    let fraction_digits = i32::try_from(fraction.len()).map_err(|_| DecimalError::TooFine)?;
    let shift = exponent
        .checked_sub(fraction_digits)
        .and_then(|s| s.checked_add(scale))
        .filter(|s| s.abs() <= 38)
        .ok_or(DecimalError::TooLarge)?;
    let power = 10_u128.pow(shift.unsigned_abs());
    let scaled = if shift >= 0 {
        value.checked_mul(power).ok_or(DecimalError::TooLarge)?
    } else if value.is_multiple_of(power) {
        value / power
    } else {
        return Err(DecimalError::TooFine);
    };
    u64::try_from(scaled).map_err(|_| DecimalError::TooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price() -> Price {
        Price {
            rates: Rates {
                input: 3_000_000,
                output: 15_000_000,
                cache_read: Some(300_000),
                cache_write: Some(3_750_000),
                cache_write_1h: Some(6_000_000),
                ..Rates::default()
            },
            tiers: vec![Tier {
                above_input_tokens: 200_000,
                rates: Rates { input: 6_000_000, output: 22_500_000, ..Rates::default() },
            }],
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let usage = Usage {
            input_tokens: 100 + 50 + 20,
            output_tokens: 10,
            cache_read_tokens: 50,
            cache_write_tokens: 20,
            cache_write_1h_tokens: 5,
            ..Usage::default()
        };
        // 100×3 + 50×0.3 + 15×3.75 + 5×6 + 10×15 micro-dollars
        assert_eq!(price().cost(&usage), Cost::Known(300_000 + 15_000 + 56_250 + 30_000 + 150_000));
    }

    #[test]
    fn a_long_prompt_changes_the_price_of_the_whole_call() {
        let usage = Usage { input_tokens: 200_001, output_tokens: 1, ..Usage::default() };
        assert_eq!(price().cost(&usage), Cost::Known(200_001 * 6_000 + 22_500));
    }

    #[test]
    fn fractions_round_up_once() {
        let price = Price { rates: Rates { input: 1, output: 1, ..Rates::default() }, tiers: vec![] };
        let usage = Usage { input_tokens: 1, output_tokens: 1, ..Usage::default() };
        assert_eq!(price.cost(&usage), Cost::Known(1));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal("2.5", 6), Ok(2_500_000));
        assert_eq!(decimal("2.5e-06", 12), Ok(2_500_000));
        assert_eq!(decimal("0.075", 6), Ok(75_000));
        assert_eq!(decimal("0", 6), Ok(0));
        assert_eq!(decimal("0.0000001", 6), Err(DecimalError::TooFine));
        assert_eq!(decimal("-1", 6), Err(DecimalError::Malformed));
        assert_eq!(decimal("1e400", 6), Err(DecimalError::TooLarge));
        assert_eq!(decimal("1e40", 6), Err(DecimalError::TooLarge));
        assert_eq!(decimal("", 6), Err(DecimalError::Malformed));
    }

    #[test]
    fn a_cost_reads_as_dollars() {
        assert_eq!(Cost::Known(1_500_000_000).to_string(), "1.5");
        assert_eq!(Cost::Known(7).to_string(), "0.000000007");
        assert_eq!(Cost::Known(0).to_string(), "0");
        assert_eq!(Cost::Unknown.to_string(), "unknown");
    }

    proptest! {
        /// Promise 4 rests on it: whatever the tokens turn out to be, they cost no more than was held.
        #[test]
        fn nothing_costs_more_than_the_most(
            input in 0..400_000_u64, output in 0..100_000_u64, read in 0..400_000_u64, write in 0..400_000_u64,
            hour in 0..400_000_u64, reasoning in 0..100_000_u64, extra in 0..1_000_000_u64,
        ) {
            let mut price = price();
            price.rates.reasoning = Some(16_000_000);
            price.tiers[0].rates.cache_write_1h = Some(12_000_000);
            let usage = Usage {
                input_tokens: input,
                output_tokens: output,
                cache_read_tokens: read.min(input),
                cache_write_tokens: write.min(input - read.min(input)),
                cache_write_1h_tokens: hour,
                reasoning_tokens: reasoning.min(output),
                ..Usage::default()
            };
            let caches = usage.cache_write_tokens > 0;
            let Cost::Known(cost) = price.cost(&usage) else { return Ok(()) };
            prop_assert!(matches!(price.most(input, output, caches), Cost::Known(most) if cost <= most));
            prop_assert!(matches!(price.most(input + extra, output, caches), Cost::Known(most) if cost <= most));
        }

        /// Promise 4 rests on it: more usage never costs less, and nothing overflows into a small number.
        #[test]
        fn cost_never_falls_with_usage(input in 0..u64::MAX / 2, output in 0..u64::MAX / 2, more in 0..1_000_u64) {
            let price = Price { rates: price().rates, tiers: vec![] };
            let cost = |output| price.cost(&Usage { input_tokens: input, output_tokens: output, ..Usage::default() });
            match (cost(output), cost(output + more)) {
                (Cost::Known(less), Cost::Known(greater)) => prop_assert!(less <= greater),
                (Cost::Unknown, Cost::Known(_)) => prop_assert!(false, "a larger usage became cheaper"),
                _ => {}
            }
        }
    }
}

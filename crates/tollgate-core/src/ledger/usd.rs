//! An amount of money as people write it.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::price::{Cost, DecimalError, NanoUsd, decimal};

/// US dollars, exact to a nano-dollar. Written as a decimal in a string (`"12.5"`); a plain number is read too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(NanoUsd);

impl Usd {
    /// So many nano-dollars.
    pub const fn from_nano(nano: NanoUsd) -> Self {
        Self(nano)
    }

    /// In nano-dollars.
    pub const fn nano(self) -> NanoUsd {
        self.0
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cost::Known(self.0).fmt(f)
    }
}

impl FromStr for Usd {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        decimal(text.trim(), 9).map(Self)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Usd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in US dollars, such as \"12.5\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Usd, E> {
        text.parse().map_err(|why| E::custom(format!("{text:?} is no amount in US dollars: {}", told(why))))
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<Usd, E> {
        self.visit_str(&whole.to_string())
    }

    /// The shortest decimal that reads as this number is the one that was written, as far as a number can tell.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Usd, E> {
        self.visit_str(&format!("{number:e}"))
    }
}

const fn told(why: DecimalError) -> &'static str {
    match why {
        DecimalError::Malformed => "not a non-negative decimal number",
        DecimalError::TooFine => "finer than a nano-dollar",
        DecimalError::TooLarge => "too large",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly_or_refused() {
        let read = |json: &str| serde_json::from_str::<Usd>(json).map(Usd::nano).map_err(|e| e.to_string());
        assert_eq!(read("\"12.5\""), Ok(12_500_000_000));
        assert_eq!(read("12.5"), Ok(12_500_000_000));
        assert_eq!(read("0.1"), Ok(100_000_000));
        assert_eq!(read("100"), Ok(100_000_000_000));
        assert_eq!(read("0.000001"), Ok(1_000));
        assert!(read("-1").unwrap_err().contains("amount in US dollars"));
        assert!(read("\"0.0000000001\"").unwrap_err().contains("finer than a nano-dollar"));
        assert!(read("1e300").unwrap_err().contains("too large"));
        assert_eq!(serde_json::to_string(&Usd::from_nano(1_500_000_000)).unwrap(), "\"1.5\"");
    }
}

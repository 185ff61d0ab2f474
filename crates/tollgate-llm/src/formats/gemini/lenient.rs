//! Values as Google's servers take them: one message where a list is meant, and whole numbers with a fraction or in
//! quotes.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A list, which may be written as its only element.
#[derive(Debug)]
pub(super) struct Many<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, all: A) -> Result<Many<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(all)).map(Many)
            }

            fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Many<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(one)).map(|one| Many(vec![one]))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A whole number: Google's own SDK writes `40.0`, and protobuf's JSON allows `"40"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole(pub(super) i64);

impl Whole {
    /// The number, unless it is negative.
    pub(super) fn count(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                i64::try_from(number).map(Whole).map_err(de::Error::custom)
            }

            #[expect(clippy::cast_possible_truncation, reason = "checked to be a small whole number")]
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole, E> {
                if number.fract() == 0.0 && number.abs() < 1e15 {
                    return Ok(Whole(number as i64));
                }
                Err(de::Error::invalid_value(de::Unexpected::Float(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Whole, E> {
                text.parse()
                    .map(Whole)
                    .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn one_stands_for_a_list_of_one() {
        #[derive(serde::Deserialize)]
        struct Holder<'a> {
            #[serde(borrow)]
            raw: &'a RawValue,
        }
        for body in [r#"[{"raw":[1,"x"]}]"#, r#"{"raw":[1,"x"]}"#] {
            let read: Many<Holder<'_>> = serde_json::from_str(body).unwrap();
            assert_eq!(read.0[0].raw.get(), r#"[1,"x"]"#);
        }
        assert!(serde_json::from_str::<Many<Holder<'_>>>("5").is_err());
    }

    #[test]
    fn a_whole_number_may_be_written_in_three_ways() {
        for text in ["40", "40.0", "\"40\""] {
            assert_eq!(serde_json::from_str::<Whole>(text).unwrap(), Whole(40));
        }
        assert_eq!(serde_json::from_str::<Whole>("-1").unwrap().count(), None);
        assert!(
            serde_json::from_str::<Whole>("0.5").is_err() && serde_json::from_str::<Whole>("\"x\"").is_err()
        );
    }
}

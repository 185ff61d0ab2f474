//! Which calls belong together: W3C Trace Context (Level 1, §3.2), and ties by cause where nobody sent one.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The id that all calls of a trace share: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The id of one span: 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl TraceId {
    /// The trace that begins with the call `id`: nobody has said which one it belongs to.
    pub fn of(id: Uuid) -> Self {
        Self(id.as_u128())
    }
}

impl SpanId {
    /// The span of attempt `number` of the call `id`; attempt 0 is the call itself. The same for the same call, so
    /// that spans made from records have the ids that upstreams were told.
    pub fn of(id: Uuid, number: u32) -> Self {
        // The low half of a UUIDv7 is chance; its two highest bits are fixed and never zero.
        Self(id.as_u64_pair().1 ^ u64::from(number))
    }
}

macro_rules! hexadecimal {
    ($name:ident, $number:ty, $digits:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                if text.len() != $digits || !text.bytes().all(digits) {
                    return Err(NotAnId);
                }
                match <$number>::from_str_radix(text, 16) {
                    Ok(number) if number != 0 => Ok(Self(number)),
                    _ => Err(NotAnId),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // The digits of a 16-byte number, of which the id is the low part.
                let number = Uuid::from_u128(u128::from(self.0));
                let mut buffer = Uuid::encode_buffer();
                let all: &str = number.as_simple().encode_lower(&mut buffer);
                serializer.serialize_str(&all[32 - $digits..])
            }
        }
    };
}

hexadecimal!(TraceId, u128, 32);
hexadecimal!(SpanId, u64, 16);

/// The text is no trace or span id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no id of a trace or span")]
pub struct NotAnId;

/// What a `traceparent` header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span that caused the call.
    pub span: SpanId,
    /// Whether the caller keeps its part of the trace.
    pub sampled: bool,
}

impl FromStr for TraceParent {
    type Err = NotAnId;

    /// Reads `00-TRACE-SPAN-FLAGS`; of a later version the part that this version knows (§4.3).
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NotAnId);
        let (version, trace, span, flags) = (part()?, part()?, part()?, part()?);
        let byte = |text: &str| {
            let hex =
                text.len() == 2 && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
            if hex { u8::from_str_radix(text, 16).map_err(|_| NotAnId) } else { Err(NotAnId) }
        };
        match byte(version)? {
            0xff => return Err(NotAnId),
            0 if parts.next().is_some() => return Err(NotAnId),
            _ => {}
        }
        Ok(Self { trace: trace.parse()?, span: span.parse()?, sampled: byte(flags)? & 1 == 1 })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written_as_it_was() {
        assert_eq!(GOOD.parse::<TraceParent>().unwrap().to_string(), GOOD);
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert!(!later.parse::<TraceParent>().unwrap().sampled);
    }

    #[test]
    fn what_is_none_is_ignored() {
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_calls_spans_differ_and_are_the_same_each_time() {
        let id = Uuid::now_v7();
        assert_eq!(SpanId::of(id, 1), SpanId::of(id, 1));
        assert_ne!(SpanId::of(id, 0), SpanId::of(id, 1));
        assert_eq!(TraceId::of(id).to_string(), id.simple().to_string());
    }
}

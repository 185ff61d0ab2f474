//! A call: one request through the gate.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::trace::{SpanId, TraceId};

/// The name of one call, in records, headers, errors and logs.
///
/// A UUIDv7 (RFC 9562 §5.7), so that ids sort by the time at which calls arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Uuid);

impl CallId {
    /// A new id for a call that arrived now.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// When the call arrived, to the millisecond; `None` for an id that was not made here.
    pub fn arrived(&self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
    }

    /// The trace that begins with this call.
    pub fn trace(&self) -> TraceId {
        TraceId::of(self.0)
    }

    /// The span of attempt `number` of this call, counted from 1; 0 is the call itself.
    pub fn span(&self, number: u32) -> SpanId {
        SpanId::of(self.0, number)
    }
}

impl Default for CallId {
    fn default() -> Self {
        Self::new()
    }
}

impl FromStr for CallId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

impl Serialize for CallId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut buffer))
    }
}

//! A call: one request through the gate.

use std::fmt;

use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The name of one call, in records, headers, errors and logs.
///
/// A UUIDv7 (RFC 9562 §5.7), so that ids sort by the time at which calls arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(Uuid);

impl CallId {
    /// A new id for a call that arrived now.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for CallId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

impl Serialize for CallId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

//! What stands at the beginning of a segment of the journal: with it the segment needs none before it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Counts;

/// What was true when a segment began.
#[derive(Debug, Serialize)]
pub struct Checkpoint<'a> {
    /// When.
    pub at: Timestamp,
    /// The `opened` entries of calls that had not ended, as they were written.
    pub open: Vec<&'a RawValue>,
    /// What had been used and spent since the journal's beginning, segments that were removed since included.
    pub totals: Vec<Total>,
    /// What was counted under budgets and limits, in the latest windows of each.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub counted: Counts,
    /// What is held for open calls, where that is more than their `opened` entries say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldMore>,
}

/// What is held for an open call since a further attempt.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct HeldMore {
    /// The call.
    pub call_id: String,
    /// Under which budgets and limits how much.
    pub held: Counts,
}

/// What one principal used and spent with one model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Total {
    /// The kind of the principal's subject.
    pub kind: String,
    /// The principal's subject.
    pub id: String,
    /// The public model name; empty for calls that were refused before it was known.
    pub model: String,
    /// Calls that ended.
    pub calls: u64,
    /// Of them, those that did not end well.
    pub faults: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// What they cost, where that is known.
    pub cost_nano_usd: u64,
    /// Calls whose cost is not known.
    pub unpriced_calls: u64,
}

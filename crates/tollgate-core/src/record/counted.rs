//! What a record keeps of budgets and limits: enough to count on after a restart.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ledger::Hold;

/// The event that counts what no call in the journal has used: `counted` stands in its detail.
pub const SPENT_ELSEWHERE: &str = "spent_elsewhere";

/// What is held or counted under one budget or limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Counted {
    /// Whose rule, which, and over which window: `team/search/monthly/month`.
    pub under: Arc<str>,
    /// When the window began.
    pub since: Timestamp,
    /// How much: nano-dollars for budgets, requests or tokens for limits.
    pub amount: u64,
}

impl Counted {
    /// What an event counts.
    pub fn of_event(event: &str, detail: &Value) -> Vec<Self> {
        let counted = detail.get("counted").filter(|_| event == SPENT_ELSEWHERE);
        counted.and_then(|counted| Vec::deserialize(counted).ok()).unwrap_or_default()
    }

    /// What must be known of `hold` after a restart.
    pub fn of(hold: &Hold) -> Vec<Self> {
        let lasting = hold.each().iter().filter(|held| held.meter.outlives_a_restart());
        let counted = lasting.map(|held| Self {
            under: Arc::clone(&held.meter.name),
            since: held.since,
            amount: held.amount,
        });
        counted.collect()
    }
}

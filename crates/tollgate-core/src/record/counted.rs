//! What a record keeps of budgets and limits: enough to count on after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::ledger::Hold;

/// The event that counts what no call in the journal has used: `counted` stands in its detail.
pub const SPENT_ELSEWHERE: &str = "spent_elsewhere";

/// What is held or counted under one budget or limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Whose rule, which, and over which window: `team/search/monthly/month`.
    pub under: Arc<str>,
    /// When the window began.
    pub since: Timestamp,
    /// How much: nano-dollars for budgets, requests or tokens for limits.
    pub amount: u64,
}

/// The same under several. Written by the beginning of the window, so that it stands once for all rules of a day or a
/// month: `[{"since":"2026-11-01T00:00:00Z","under":{"team/search/monthly/month":1200}}]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub Vec<Counted>);

impl Counts {
    /// What an event counts.
    pub fn of_event(event: &str, detail: &Value) -> Self {
        let counted = detail.get("counted").filter(|_| event == SPENT_ELSEWHERE);
        counted.and_then(|counted| Self::deserialize(counted).ok()).unwrap_or_default()
    }

    /// What must be known of `hold` after a restart.
    pub fn of(hold: &Hold) -> Self {
        let lasting = hold.each().iter().filter(|held| held.amount > 0 && held.meter.outlives_a_restart());
        let counted = lasting.map(|held| Counted {
            under: Arc::clone(&held.meter.name),
            since: held.since,
            amount: held.amount,
        });
        Self(counted.collect())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sorted: Vec<&Counted> = self.0.iter().collect();
        sorted.sort_by_key(|counted| counted.since);
        let mut all = serializer.serialize_seq(None)?;
        for window in sorted.chunk_by(|a, b| a.since == b.since) {
            all.serialize_element(&Window(window))?;
        }
        all.end()
    }
}

/// What was counted in windows that began at the same time; never empty.
struct Window<'a>(&'a [&'a Counted]);

impl Serialize for Window<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut window = serializer.serialize_struct("Window", 2)?;
        window.serialize_field("since", &self.0.first().map(|counted| counted.since))?;
        window.serialize_field("under", &Under(self.0))?;
        window.end()
    }
}

struct Under<'a>(&'a [&'a Counted]);

impl Serialize for Under<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut under = serializer.serialize_map(Some(self.0.len()))?;
        for counted in self.0 {
            under.serialize_entry(&*counted.under, &counted.amount)?;
        }
        under.end()
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Window {
            since: Timestamp,
            under: BTreeMap<Arc<str>, u64>,
        }
        let windows = Vec::<Window>::deserialize(deserializer)?;
        let each = windows.into_iter().flat_map(|Window { since, under }| {
            under.into_iter().map(move |(under, amount)| Counted { under, since, amount })
        });
        Ok(Self(each.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_window_stands_once() {
        let of = |under: &str, since: &str, amount| Counted {
            under: under.into(),
            since: since.parse().unwrap(),
            amount,
        };
        let (day, month) = ("2026-11-27T00:00:00Z", "2026-11-01T00:00:00Z");
        let counts = Counts(vec![
            of("key/k/d/day", day, 1),
            of("key/k/m/month", month, 2),
            of("team/t/d/day", day, 3),
        ]);
        let text = serde_json::to_string(&counts).unwrap();
        assert_eq!(
            text,
            format!(
                r#"[{{"since":"{month}","under":{{"key/k/m/month":2}}}},{{"since":"{day}","under":{{"key/k/d/day":1,"team/t/d/day":3}}}}]"#
            )
        );
        let read: Counts = serde_json::from_str(&text).unwrap();
        assert_eq!((read.0.len(), &read.0[1]), (3, &counts.0[0]));
        assert!(serde_json::from_str::<Counts>("[]").unwrap().is_empty());
    }
}

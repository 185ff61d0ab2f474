//! What must be known of a chain apart from its entries: which calls are open, and what was spent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tollgate_core::call::CallId;
use tollgate_core::price::Cost;
use tollgate_core::record::{Checkpoint, Closed, Counted, Counts, Entry, HeldMore, Outcome, Total};

use crate::line::Composed;

/// More different totals than that are added up under the name `other`.
const MOST_TOTALS: usize = 10_000;

/// What an entry changes in what must be known. Owned, for an entry that is written later than it was made.
#[derive(Debug)]
pub(crate) enum Change {
    /// A call begins.
    Opens(CallId),
    /// A call goes on with another attempt, and holds so much from now on.
    GoesOn(CallId, Counts),
    /// A call ends, and has counted so much.
    Closes(CallId, Box<Total>, Counts),
    /// So much was counted without a call.
    Counts(Counts),
    /// None.
    Nothing,
}

impl Change {
    /// What `entry` changes.
    pub(crate) fn of(entry: &Entry<'_>) -> Self {
        match entry {
            Entry::Opened(opened) => Self::Opens(opened.call_id),
            Entry::Attempt(attempt) => Self::GoesOn(attempt.call_id, attempt.held.clone()),
            Entry::Closed(closed) => {
                Self::Closes(closed.call_id, Box::new(total_of(closed)), closed.counted.clone())
            }
            Entry::Event(event) => match Counts::of_event(event.event, &event.detail) {
                counted if counted.is_empty() => Self::Nothing,
                counted => Self::Counts(counted),
            },
            Entry::Checkpoint(_) => Self::Nothing,
        }
    }

    /// Whether a call waits for the entry to go on.
    pub(crate) const fn begins(&self) -> bool {
        matches!(self, Self::Opens(_) | Self::GoesOn(..))
    }
}

/// What must be known of a chain apart from its entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Their `opened` entries as they were written.
    open: HashMap<CallId, Composed>,
    /// By the principal's id, and there by kind and model.
    totals: BTreeMap<String, Vec<Total>>,
    total_count: usize,
    /// What was counted under each budget and limit, in its latest windows.
    counted: HashMap<Arc<str>, Vec<Counted>, RandomState>,
    /// What is held for open calls that have raised it since they began.
    held: HashMap<CallId, Counts>,
}

/// Windows of which counts are kept: the one that is open, and the one before, in which calls that are open may have
/// begun.
const WINDOWS: usize = 2;

/// What is read of an entry to follow the state. What is missing is empty: an entry of a later version must not keep a
/// gate from starting.
#[derive(Deserialize)]
struct Read<'a> {
    entry: &'a str,
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default, borrow)]
    open: Vec<&'a RawValue>,
    #[serde(default)]
    totals: Vec<Total>,
    #[serde(default, borrow)]
    counted: Option<&'a RawValue>,
    #[serde(default, borrow)]
    held: Option<&'a RawValue>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    detail: Option<Value>,
    #[serde(default)]
    principal: Option<Value>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    deployment: Option<String>,
    #[serde(default)]
    outcome: Option<String>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    cost_nano_usd: Option<Value>,
}

impl State {
    /// Takes an entry that was written as `composed`.
    pub(crate) fn take(&mut self, change: Change, composed: Composed) {
        match change {
            Change::Opens(call_id) => {
                self.open.insert(call_id, composed.unnumbered());
            }
            Change::Closes(call_id, total, counted) => {
                self.ended(call_id);
                self.add(&total);
                self.count(counted);
            }
            Change::GoesOn(call_id, held) => self.goes_on(call_id, held),
            Change::Counts(counted) => self.count(counted),
            Change::Nothing => {}
        }
    }

    fn ended(&mut self, call_id: CallId) {
        self.open.remove(&call_id);
        self.held.remove(&call_id);
    }

    fn goes_on(&mut self, call_id: CallId, held: Counts) {
        if !held.is_empty() && self.is_open(call_id) {
            self.held.insert(call_id, held);
        }
    }

    /// Adds what was counted under budgets and limits.
    fn count(&mut self, Counts(counted): Counts) {
        for more in counted {
            let windows = self.counted.entry(Arc::clone(&more.under)).or_default();
            match windows.iter_mut().find(|known| known.since == more.since) {
                Some(known) => known.amount = known.amount.saturating_add(more.amount),
                None => {
                    // There may be a great many rules, most of them in one window.
                    windows.reserve_exact(1);
                    windows.push(more);
                }
            }
            if windows.len() > WINDOWS {
                windows.sort_by_key(|known| known.since);
                windows.remove(0);
            }
        }
    }

    /// What was counted under budgets and limits, in the latest windows of each.
    pub(crate) fn counted(&self) -> Counts {
        Counts(self.counted.values().flatten().cloned().collect())
    }

    /// What is held for an open call, where that is more than its `opened` entry says.
    pub(crate) fn held(&self, call_id: CallId) -> Option<&Counts> {
        self.held.get(&call_id)
    }

    /// Adds calls that have ended.
    fn add(&mut self, more: &Total) {
        let total = self.total(&more.kind, &more.id, &more.model);
        total.calls = total.calls.saturating_add(more.calls);
        total.faults = total.faults.saturating_add(more.faults);
        total.input_tokens = total.input_tokens.saturating_add(more.input_tokens);
        total.output_tokens = total.output_tokens.saturating_add(more.output_tokens);
        total.cost_nano_usd = total.cost_nano_usd.saturating_add(more.cost_nano_usd);
        total.unpriced_calls = total.unpriced_calls.saturating_add(more.unpriced_calls);
    }

    fn total(&mut self, kind: &str, id: &str, model: &str) -> &mut Total {
        let room = self.total_count < MOST_TOTALS;
        let known =
            self.totals.get(id).is_some_and(|of| of.iter().any(|t| t.kind == kind && t.model == model));
        let (kind, id, model) = if known || room { (kind, id, model) } else { ("", "other", "") };
        let of = self.totals.entry(id.to_owned()).or_default();
        let at = of.iter().position(|t| t.kind == kind && t.model == model).unwrap_or_else(|| {
            of.push(Total {
                kind: kind.to_owned(),
                id: id.to_owned(),
                model: model.to_owned(),
                ..Total::default()
            });
            self.total_count += 1;
            of.len() - 1
        });
        &mut of[at]
    }

    /// Takes an entry that is read back from `line`.
    pub(crate) fn take_line(&mut self, line: &[u8]) {
        let Ok(read) = serde_json::from_slice::<Read<'_>>(line) else { return };
        let call_id = || read.call_id.as_deref().and_then(|id| id.parse::<CallId>().ok());
        match read.entry {
            "checkpoint" => {
                *self = Self::default();
                for total in read.totals {
                    self.total_count += 1;
                    self.totals.entry(total.id.clone()).or_default().push(total);
                }
                self.count(parsed(read.counted));
                for raw in read.open {
                    self.take_line(raw.get().as_bytes());
                }
                let held: Vec<HeldMore> = parsed(read.held);
                for more in held {
                    if let Ok(id) = more.call_id.parse() {
                        self.goes_on(id, more.held);
                    }
                }
            }
            "opened" => {
                if let Some(id) = call_id() {
                    self.open.insert(id, Composed::of(line));
                }
            }
            "attempt" => {
                if let Some(id) = call_id() {
                    self.goes_on(id, parsed(read.held));
                }
            }
            "closed" => {
                if let Some(id) = call_id() {
                    self.ended(id);
                }
                self.add_read(&read);
                self.count(parsed(read.counted));
            }
            "event" => {
                let event = read.event.as_deref().unwrap_or_default();
                self.count(Counts::of_event(event, &read.detail.unwrap_or_default()));
            }
            _ => {}
        }
    }

    fn add_read(&mut self, read: &Read<'_>) {
        let sub = |member: &str| {
            let value = read.principal.as_ref().and_then(|p| p["sub"][member].as_str());
            value.unwrap_or_default().to_owned()
        };
        let model = read.model.as_deref().filter(|_| read.deployment.is_some()).unwrap_or_default();
        let tokens = |member: &str| read.usage.as_ref().and_then(|u| u[member].as_u64()).unwrap_or(0);
        let tokens = (tokens("input_tokens"), tokens("output_tokens"));
        let cost = read.cost_nano_usd.as_ref().map(|cost| cost.as_u64().map_or(Cost::Unknown, Cost::Known));
        let well = read.outcome.as_deref() == Some(Outcome::Ok.name());
        self.add(&Total {
            kind: sub("kind"),
            id: sub("id"),
            model: model.to_owned(),
            ..one(well, tokens, cost)
        });
    }

    /// Whether the call has begun and not ended.
    pub(crate) fn is_open(&self, call_id: CallId) -> bool {
        self.open.contains_key(&call_id)
    }

    /// Whether `change` ends a call that has begun.
    pub(crate) fn ends(&self, change: &Change) -> bool {
        matches!(change, Change::Closes(call_id, ..) if self.is_open(*call_id))
    }

    /// The calls that are open, the oldest first, as their `opened` entries.
    pub(crate) fn open(&self) -> Vec<(CallId, &RawValue)> {
        let open = self.open.iter();
        let parsed = open.filter_map(|(id, opened)| Some((*id, serde_json::from_slice(opened.body()).ok()?)));
        let mut open: Vec<(CallId, &RawValue)> = parsed.collect();
        open.sort_by_key(|(id, _)| *id);
        open
    }

    /// What a new segment begins with.
    pub(crate) fn checkpoint(&self, at: Timestamp) -> Checkpoint<'_> {
        let open = self.open().into_iter().map(|(_, raw)| raw).collect();
        let held = self.held.iter();
        let held = held.map(|(id, held)| HeldMore { call_id: id.to_string(), held: held.clone() }).collect();
        let totals = self.totals.values().flatten().cloned().collect();
        Checkpoint { at, open, totals, counted: self.counted(), held }
    }
}

/// What is written; nothing where it cannot be understood.
fn parsed<T: serde::de::DeserializeOwned + Default>(raw: Option<&RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// A call that has ended, as a total of its own.
fn total_of(closed: &Closed<'_>) -> Total {
    let sub = &closed.principal.sub;
    // A model's name is a caller's word until a deployment has served it.
    let model = closed.model.filter(|_| closed.deployment.is_some()).unwrap_or_default();
    let tokens = closed.usage.map_or((0, 0), |usage| (usage.input_tokens, usage.output_tokens));
    let (kind, id, model) = (sub.kind.name().to_owned(), sub.id.to_string(), model.to_owned());
    Total { kind, id, model, ..one(closed.outcome == Outcome::Ok, tokens, closed.cost) }
}

/// One call: whether it ended well, its tokens in and out, what it cost.
fn one(well: bool, (input_tokens, output_tokens): (u64, u64), cost: Option<Cost>) -> Total {
    let cost_nano_usd = if let Some(Cost::Known(nano)) = cost { nano } else { 0 };
    let unpriced_calls = u64::from(cost == Some(Cost::Unknown));
    let faults = u64::from(!well);
    Total { calls: 1, faults, input_tokens, output_tokens, cost_nano_usd, unpriced_calls, ..Total::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A build that writes counts in another form must not make a call that has ended one that has not.
    #[test]
    fn what_is_counted_in_another_form_hides_no_end() {
        let id = CallId::new();
        let mut state = State::default();
        state.take_line(format!(r#"{{"entry":"opened","call_id":"{id}","held":7}}"#).as_bytes());
        assert!(state.is_open(id));
        let closed = format!(
            r#"{{"entry":"closed","call_id":"{id}","outcome":"ok","counted":[{{"under":"key/k/d/day","since":"2026-01-01T00:00:00Z","amount":1}}]}}"#
        );
        state.take_line(closed.as_bytes());
        assert!(!state.is_open(id) && state.counted().is_empty());
        assert_eq!(state.totals.values().flatten().map(|total| total.calls).sum::<u64>(), 1);
    }
}

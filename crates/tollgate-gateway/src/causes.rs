//! Which call a later one was caused by: the ids of the tool calls that models chose of late, by whom they were chosen
//! for. An agent's next prompt carries the result under the same id.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tollgate_core::call::CallId;
use tollgate_core::principal::Principal;
use tollgate_core::trace::TraceId;

/// So many choices are remembered; what is older is tied together when the records are read.
const MOST: usize = 100_000;

/// The tool calls that models chose of late.
#[derive(Debug, Default)]
pub(crate) struct Causes(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    by_id: HashMap<String, (CallId, TraceId)>,
    order: VecDeque<String>,
}

/// One tenant cannot tie its calls to another's by guessing ids.
fn key(principal: &Principal, tool_call_id: &str) -> String {
    format!("{}/{}/{tool_call_id}", principal.sub.kind.name(), principal.sub.id)
}

impl Causes {
    /// Remembers that the answer to `call` chose `tool_call_id`.
    pub(crate) fn remember(&self, principal: &Principal, tool_call_id: &str, call: CallId, trace: TraceId) {
        let key = key(principal, tool_call_id);
        let mut remembered = self.0.lock();
        if remembered.by_id.insert(key.clone(), (call, trace)).is_none() {
            remembered.order.push_back(key);
        }
        if remembered.order.len() > MOST
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.by_id.remove(&oldest);
        }
    }

    /// The call whose answer chose `tool_call_id`, and its trace.
    pub(crate) fn of(&self, principal: &Principal, tool_call_id: &str) -> Option<(CallId, TraceId)> {
        self.0.lock().by_id.get(&key(principal, tool_call_id)).copied()
    }
}

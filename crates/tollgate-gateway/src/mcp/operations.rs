//! Tool calls that belong together, as their client says: an operation. When it ends, the gate says what of it was done,
//! what was not, and of what nobody knows; that stands in the journal, too. An operation that nobody ends ends by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tollgate_core::call::CallId;
use tollgate_core::effect::Effect;
use tollgate_core::fault::{Fault, FaultClass, SideEffect};
use tollgate_core::operation::Tally;
use tollgate_core::record::{Outcome, ToolUse};
use tollgate_mcp::json::Object;

use super::said::one;
use crate::gate::Gate;

/// The method with which a client ends an operation.
pub(super) const END: &str = "tollgate/operation/end";

/// In the `_meta` of a tool call: the operation that it belongs to.
const MEMBER: &str = "tollgate/operation";

/// The header that says the same of all calls of a connection.
const HEADER: &str = "x-tollgate-operation";

/// The longest name, in bytes.
const LONGEST: usize = 128;

/// Operations that are under way at once; of more nothing is reported.
const MOST: usize = 10_000;

/// Calls of one operation of which something is reported.
const MOST_CALLS: usize = 1_000;

/// An operation in which nothing happens for so long is over.
const QUIET: Duration = Duration::from_hours(1);

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Became {
    /// It was done.
    Done,
    /// It was not.
    NotDone,
    /// Nobody knows: it is under way, or broke off.
    Unknown,
}

#[derive(Debug)]
struct Called {
    call_id: CallId,
    server: Arc<str>,
    tool: String,
    effect: Effect,
    became: Became,
}

#[derive(Debug)]
struct Operation {
    calls: Vec<Called>,
    /// Calls of which nothing is kept any more.
    left_out: usize,
    last: Instant,
}

/// Operations that are under way, by whose they are and their names.
#[derive(Debug, Default)]
pub(crate) struct Operations(Mutex<HashMap<(String, String), Operation>>);

/// The operation that a tool call belongs to, as its client says in its `meta` or its headers.
pub(super) fn of(meta: Option<&Object<'_>>, headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let said = meta.filter(|meta| meta.has(MEMBER)).map(|meta| meta.string(MEMBER));
    let name = match said {
        Some(name) => Some(name.unwrap_or_default().into_owned()),
        None => one(headers, HEADER).map(str::to_owned),
    };
    name.map(checked).transpose()
}

fn checked(name: String) -> Result<String, Fault> {
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = format!("the name of an operation is 1 to {LONGEST} visible ASCII characters");
        return Err(Fault::new(FaultClass::Invalid, why).param(MEMBER));
    }
    Ok(name)
}

impl Operations {
    /// A call begins, or has ended: what became of it. `whose` it is says which operations it can belong to.
    pub(crate) fn note(
        &self,
        whose: &str,
        used: &ToolUse,
        call_id: CallId,
        became: Option<(Outcome, SideEffect)>,
    ) {
        let (Some(name), Some(server), Some(tool)) = (&used.operation, &used.server, &used.name) else {
            return;
        };
        let became = match became {
            None => Became::Unknown,
            Some((Outcome::Ok, _)) if used.question => Became::Unknown,
            Some((Outcome::Ok, _)) | Some((_, SideEffect::Certain)) => Became::Done,
            Some((Outcome::Unknown, _)) | Some((_, SideEffect::Possible)) => Became::Unknown,
            Some((_, SideEffect::None)) => Became::NotDone,
        };
        let mut all = self.0.lock();
        let key = (whose.to_owned(), name.clone());
        if !all.contains_key(&key) && all.len() >= MOST {
            return;
        }
        let operation = all.entry(key).or_insert_with(|| Operation {
            calls: Vec::new(),
            left_out: 0,
            last: Instant::now(),
        });
        operation.last = Instant::now();
        if let Some(known) = operation.calls.iter_mut().rev().find(|known| known.call_id == call_id) {
            known.became = became;
        } else if operation.calls.len() < MOST_CALLS {
            let (server, tool) = (Arc::clone(server), tool.clone());
            operation.calls.push(Called { call_id, server, tool, effect: used.effect, became });
        } else {
            operation.left_out += 1;
        }
    }

    /// Ends the operation `name`, and says how.
    pub(super) fn end(&self, gate: &Gate, whose: &str, name: &str) -> Result<Value, Fault> {
        let ended = self.0.lock().remove(&(whose.to_owned(), name.to_owned()));
        let ended = ended.ok_or_else(|| {
            let shown = tollgate_mcp::hidden::excerpt(name, LONGEST);
            let why =
                format!("no operation `{shown}` is under way here; its calls are on record under its trace");
            Fault::new(FaultClass::ToolNotFound, why).param("operation")
        })?;
        let report = report(name, &ended);
        tell(gate, whose, "client", &report);
        Ok(report)
    }

    /// Ends what has been quiet for long, or everything where the gate stops.
    pub(crate) fn end_quiet(&self, gate: &Gate) {
        let (mut over, stops) = (Vec::new(), gate.is_draining());
        self.0.lock().retain(|key, operation| {
            let quiet = stops || operation.last.elapsed() >= QUIET;
            if quiet {
                over.push((key.0.clone(), report(&key.1, operation)));
            }
            !quiet
        });
        over.iter().for_each(|(whose, report)| tell(gate, whose, "gate", report));
    }
}

/// How an operation ended.
fn report(name: &str, operation: &Operation) -> Value {
    let count = |became| operation.calls.iter().filter(|call| call.became == became).count();
    let tally = Tally {
        done: count(Became::Done),
        not_done: count(Became::NotDone),
        unknown: count(Became::Unknown) + operation.left_out,
    };
    let calls = operation.calls.iter().map(|call| {
        json!({
            "call_id": call.call_id.to_string(), "server": call.server, "tool": call.tool, "effect": call.effect,
            "became": call.became,
        })
    });
    let calls: Vec<Value> = calls.collect();
    let mut report = json!({ "operation": name, "state": tally.state(), "calls": calls });
    if operation.left_out > 0 {
        report["left_out"] = json!(operation.left_out);
    }
    report
}

fn tell(gate: &Gate, whose: &str, by: &str, report: &Value) {
    let mut detail = report.clone();
    detail["whose"] = json!(whose);
    detail["ended_by"] = json!(by);
    gate.event("operation", None, detail);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(operation: &str, tool: &str) -> ToolUse {
        ToolUse {
            method: "tools/call".to_owned(),
            server: Some(Arc::from("files")),
            name: Some(tool.to_owned()),
            operation: Some(operation.to_owned()),
            ..ToolUse::of("tools/call")
        }
    }

    fn state(operations: &Operations, name: &str) -> Value {
        let all = operations.0.lock();
        report(name, &all[&("key/ann".to_owned(), name.to_owned())])["state"].clone()
    }

    #[test]
    fn an_operation_is_as_far_as_its_calls_are() {
        let operations = Operations::default();
        let note = |tool: &str, call, became| operations.note("key/ann", &used("deploy", tool), call, became);
        let (first, second, third) = (CallId::new(), CallId::new(), CallId::new());
        note("a", first, None);
        assert_eq!(state(&operations, "deploy"), "unknown", "it is under way");
        note("a", first, Some((Outcome::Ok, SideEffect::None)));
        assert_eq!(state(&operations, "deploy"), "complete");
        note("b", second, Some((Outcome::Refused, SideEffect::None)));
        assert_eq!(state(&operations, "deploy"), "partial");
        note("c", third, Some((Outcome::Failed, SideEffect::Possible)));
        assert_eq!(state(&operations, "deploy"), "unknown");
        note("c", third, Some((Outcome::Failed, SideEffect::Certain)));
        assert_eq!(state(&operations, "deploy"), "partial");
        operations.note("key/bob", &used("deploy", "a"), CallId::new(), None);
        assert_eq!(state(&operations, "deploy"), "partial", "what others call the same is another");
    }

    #[test]
    fn names_are_plain() {
        assert!(checked("deploy-42".to_owned()).is_ok());
        for wrong in ["", "two words", "é", &"x".repeat(200)] {
            assert!(checked(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}

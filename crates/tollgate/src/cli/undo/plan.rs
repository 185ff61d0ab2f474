//! What the tool calls of a trace have changed, and what takes it back: from records alone.

use serde_json::{Value, json};
use tollgate_core::operation::Tally;
use tollgate_core::record::{Direction, Frame};
use tollgate_core::undo::Compensation;

use crate::cli::story::Story;

/// What was kept of a call.
#[derive(Debug, Default)]
pub(super) struct Content {
    arguments: Option<Value>,
    result: Option<Value>,
    /// Whether parts of it were blanked out.
    pub(super) blanked: bool,
    /// Whether not all of it was kept.
    pub(super) cut: bool,
}

impl Content {
    /// Takes a frame. The answer is what the client got, and may have come as a stream of events.
    pub(super) fn take(&mut self, frame: &Frame) {
        let Some(text) = &frame.text else { return };
        match frame.direction {
            Direction::FromClient => {
                self.arguments = read(text).map(|request| match &request["params"]["arguments"] {
                    Value::Null => json!({}),
                    arguments => arguments.clone(),
                });
            }
            Direction::ToClient | Direction::FromUpstream => {
                let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
                let messages = std::iter::once(text.as_str()).chain(data).filter_map(read);
                let mut results = messages.filter_map(|message| message.get("result").cloned());
                self.result = results.next_back().or(self.result.take());
            }
            Direction::ToUpstream => {}
        }
    }
}

fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim()).ok()
}

/// Whether a call has changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// Nobody knows.
    Unknown,
}

/// What is done about a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Then {
    /// This tool is called.
    Call {
        /// The tool, as the server names it.
        tool: String,
        /// Its arguments.
        arguments: Value,
    },
    /// Nothing: why.
    Nothing(String),
}

/// A call, and what is done about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) call: String,
    /// On whose behalf it was made.
    whose: String,
    pub(super) server: String,
    tool: String,
    effect: String,
    pub(super) happened: Happened,
    pub(super) then: Then,
}

/// The plan: the latest call first.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    tally: Tally,
}

/// What takes back the tool calls among `calls`, of which `contents` was kept; only those in `only`, where that says any.
pub(super) fn of(calls: &[Story], contents: &[Content], only: &[String]) -> Plan {
    let mut plan = Plan { steps: Vec::new(), tally: Tally::default() };
    for (call, content) in calls.iter().zip(contents).rev() {
        let tool = call.tool();
        let other = tool["method"] != "tools/call" || tool["dry_run"] == true;
        if other || is_undo(call, calls) || was_made_later(call, calls) {
            continue;
        }
        let happened = happened(call);
        match happened {
            Happened::Yes => plan.tally.done += 1,
            Happened::No => plan.tally.not_done += 1,
            Happened::Unknown => plan.tally.unknown += 1,
        }
        if !only.is_empty() && !only.contains(&call.id) {
            continue;
        }
        let text = |member: &str| tool[member].as_str().unwrap_or("?").to_owned();
        plan.steps.push(Step {
            call: call.id.clone(),
            whose: call.whose(),
            server: text("server"),
            tool: text("name"),
            effect: text("effect"),
            happened,
            then: then(call, happened, content, calls),
        });
    }
    plan
}

fn happened(call: &Story) -> Happened {
    match (call.ending().as_str(), call.side_effect()) {
        // It ended with a question, and nobody has made it again.
        ("ok", _) if call.tool()["question"] == true => Happened::Unknown,
        ("ok", _) => Happened::Yes,
        // The gate died, or the call is still under way.
        ("unknown" | "open", _) => Happened::Unknown,
        (_, Some("none")) => Happened::No,
        (_, Some("certain")) => Happened::Yes,
        ("refused", _) => Happened::No,
        _ => Happened::Unknown,
    }
}

fn then(call: &Story, happened: Happened, content: &Content, all: &[Story]) -> Then {
    let nothing = |why: &str| Then::Nothing(why.to_owned());
    if happened == Happened::No {
        return nothing("it changed nothing");
    }
    if call.tool()["effect"] == "read" {
        return nothing("it only reads");
    }
    let Ok(undo) = serde_json::from_value::<Compensation>(call.tool()["undo"].clone()) else {
        return nothing("no call is configured that takes it back (effects: … undo)");
    };
    if let Some(undone) = all.iter().find(|other| takes_back(other, call, &undo)) {
        return Then::Nothing(format!("it was taken back by {}", undone.id));
    }
    let Some(arguments) = &content.arguments else {
        return nothing("what it was called with was not kept");
    };
    if content.blanked || content.cut {
        return nothing("parts of what passed were not kept (capture), and it cannot be put together");
    }
    match undo.arguments(arguments, content.result.as_ref()) {
        Ok(arguments) => Then::Call { tool: undo.tool, arguments },
        Err(why) => Then::Nothing(format!("it cannot be put together: {why}")),
    }
}

/// Whether `call` takes back another one of `all`, as its configuration says: then it is no change of its own.
fn is_undo(call: &Story, all: &[Story]) -> bool {
    let undone = all.iter().find(|other| call.undoes() == Some(other.id.as_str()));
    let tool = undone.map(|undone| &undone.tool()["undo"]["tool"]);
    tool.is_some_and(|tool| tool.is_string() && *tool == call.tool()["name"])
}

/// Whether `call` waited for an approval, or was ended with a question, and is there again as the call that went on.
fn was_made_later(call: &Story, all: &[Story]) -> bool {
    let same = |member: &str, other: &Story| call.tool()[member] == other.tool()[member];
    let later = all.iter().skip_while(|other| other.id != call.id).skip(1);
    let goes_on = |other: &Story| {
        let cause = &other.trace()["cause"];
        cause["by"] == "retry" && cause["call_id"] == call.id.as_str()
    };
    if later.clone().any(goes_on) {
        return true;
    }
    call.fault_class() == Some("approval_pending")
        && later
            .into_iter()
            .any(|other| ["server", "name", "arguments_digest"].iter().all(|member| same(member, other)))
}

/// Whether `other` is the call that takes `call` back, and was made.
fn takes_back(other: &Story, call: &Story, undo: &Compensation) -> bool {
    other.undoes() == Some(call.id.as_str())
        && other.ending() == "ok"
        && other.tool()["server"] == call.tool()["server"]
        && other.tool()["name"] == undo.tool.as_str()
}

impl Step {
    /// The call in words.
    pub(super) fn shown(&self) -> String {
        match &self.then {
            Then::Call { tool, arguments } => format!("{}/{tool} {arguments}", self.server),
            Then::Nothing(why) => why.clone(),
        }
    }

    pub(super) fn json(&self) -> Value {
        let mut value = json!({
            "call_id": self.call, "whose": self.whose, "server": self.server, "tool": self.tool, "effect": self.effect,
            "happened": match self.happened {
                Happened::Yes => "yes",
                Happened::No => "no",
                Happened::Unknown => "unknown",
            },
        });
        match &self.then {
            Then::Call { tool, arguments } => value["undo"] = json!({ "tool": tool, "arguments": arguments }),
            Then::Nothing(why) => value["why_not"] = json!(why),
        }
        value
    }
}

impl Plan {
    /// The steps that call something; those of which nobody knows whether there is anything to take back only where that
    /// is wanted.
    pub(super) fn to_run(&self, uncertain: bool) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| {
            matches!(step.then, Then::Call { .. }) && (uncertain || step.happened == Happened::Yes)
        })
    }

    /// How the trace ended, as one operation.
    pub(super) fn state(&self) -> &'static str {
        self.tally.state()
    }

    /// The same in words.
    pub(super) fn operation(&self) -> String {
        let tally = self.tally;
        let counts =
            [(tally.done, "done"), (tally.not_done, "not done"), (tally.unknown, "of which nobody knows")];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        match (counts.is_empty(), self.state()) {
            (true, _) => "no tool was called".to_owned(),
            (false, state) => format!("{state}, tool calls: {}", counts.join(", ")),
        }
    }

    /// The steps in words.
    pub(super) fn lines(&self, uncertain: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let happened = match step.happened {
                Happened::Yes => "done",
                Happened::No => "not done",
                Happened::Unknown => "unknown",
            };
            lines.push(format!(
                "{:>2}  {}/{} ({}, {happened}) by {}  {}",
                number + 1,
                step.server,
                step.tool,
                step.effect,
                step.whose,
                step.call
            ));
            let skipped = step.happened == Happened::Unknown && !uncertain;
            lines.push(match &step.then {
                Then::Call { .. } if skipped => {
                    format!("    it may have happened; with --uncertain it is taken back by {}", step.shown())
                }
                Then::Call { .. } => format!("    is taken back by {}", step.shown()),
                Then::Nothing(why) => format!("    {why}"),
            });
        }
        lines
    }
}

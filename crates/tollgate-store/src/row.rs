//! From the journal's lines to rows: what is looked up stands in a column, the rest stays the entry that it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_core::ports::Position;
use tollgate_core::query::CallRow;

use crate::month::Month;
use crate::spend::{Amounts, Label, Spender, Spent};

/// Entries of one journal that are loaded together.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) instance: String,
    /// The last entry that was loaded before.
    pub(crate) after: Position,
    /// The last entry of this batch.
    pub(crate) to: Position,
    pub(crate) calls: BTreeMap<String, Call>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) events: Vec<Event>,
    pub(crate) spent: Vec<Spent>,
}

/// What a batch says of a call.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) row: CallRow,
    pub(crate) opened: String,
    /// Lines of `attempt` entries, each with its end.
    pub(crate) between: String,
    pub(crate) closed: String,
}

/// A tool call that an answer chose or whose result a prompt carries.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tool {
    pub(crate) tenant: String,
    pub(crate) tool_call_id: String,
    pub(crate) role: &'static str,
    pub(crate) call_id: String,
    pub(crate) name: String,
}

/// Something that is no call.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) seq: Position,
    pub(crate) at: String,
    pub(crate) month: Month,
    pub(crate) event: String,
    pub(crate) entry: String,
}

/// What is read of a line. What is missing is empty: entries of other versions are loaded too.
#[derive(Deserialize)]
struct Line<'a> {
    entry: &'a str,
    #[serde(default, borrow)]
    at: Cow<'a, str>,
    #[serde(default)]
    call_id: Option<&'a str>,
    #[serde(default, borrow)]
    trace: Option<Trace<'a>>,
    #[serde(default)]
    principal: Option<Principal>,
    #[serde(default, borrow)]
    surface: Cow<'a, str>,
    #[serde(default)]
    model: String,
    #[serde(default)]
    deployment: String,
    #[serde(default, borrow)]
    outcome: Cow<'a, str>,
    #[serde(default)]
    status: i64,
    #[serde(default, borrow)]
    fault: Option<Fault<'a>>,
    #[serde(default)]
    usage: Usage,
    #[serde(default, borrow)]
    cost_nano_usd: Option<&'a RawValue>,
    #[serde(default)]
    duration_us: i64,
    #[serde(default, borrow)]
    attempts: Vec<&'a RawValue>,
    #[serde(default)]
    chosen: Vec<Chosen>,
    #[serde(default)]
    tool: Option<Used>,
    #[serde(default)]
    end_user: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    event: String,
}

/// What is read of the line with which a call begins, as long as its end may say the rest.
#[derive(Deserialize)]
struct Begun<'a> {
    call_id: &'a str,
    #[serde(borrow)]
    principal: &'a RawValue,
    #[serde(default)]
    results: Vec<String>,
}

#[derive(Deserialize)]
struct Trace<'a> {
    trace_id: &'a str,
    #[serde(default)]
    cause: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    by: String,
    #[serde(default)]
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct Used {
    method: String,
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

impl Used {
    /// The tool, with its server; of what is no call of a tool, the method.
    fn shown(&self) -> String {
        match (self.method.as_str(), &self.server, &self.name) {
            ("tools/call", Some(server), Some(name)) => format!("{server}/{name}"),
            (method, ..) => method.to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct Principal {
    sub: Actor,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    team: Option<String>,
}

impl Principal {
    /// Whose calls are tied to each other.
    fn tenant(&self) -> String {
        format!("{}/{}", self.sub.kind, self.sub.id)
    }
}

#[derive(Deserialize)]
struct Actor {
    kind: String,
    id: String,
}

#[derive(Deserialize)]
struct Fault<'a> {
    class: &'a str,
}

#[derive(Default, Deserialize)]
struct Usage {
    #[serde(default)]
    input_tokens: i64,
    #[serde(default)]
    output_tokens: i64,
}

#[derive(Deserialize)]
struct Chosen {
    id: String,
    name: String,
}

impl Batch {
    /// An empty batch of the journal of `instance`, from the entry after `after` on.
    pub fn new(instance: &str, after: Position) -> Self {
        Self { instance: instance.to_owned(), after, to: after, ..Self::default() }
    }

    /// Whether there is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.to == self.after
    }

    /// The last entry of this batch.
    pub fn to(&self) -> Position {
        self.to
    }

    /// Takes the entry `line` with the number `seq`. What is no entry is stepped over: a verification names it.
    pub fn take(&mut self, seq: Position, line: &[u8]) {
        self.to = self.to.max(seq);
        let Ok(text) = std::str::from_utf8(line) else { return };
        // What was written first tells, before anything is read, what need not be read yet.
        if tollgate_journal::is_of(line, "opened") {
            return self.opened(text);
        }
        let Ok(read) = serde_json::from_str::<Line<'_>>(text) else { return };
        match (read.entry, read.call_id) {
            ("opened", Some(_)) => self.opened(text),
            ("attempt", Some(id)) => {
                let between = &mut self.call(id).between;
                between.push_str(text);
                between.push('\n');
            }
            ("closed", Some(id)) => {
                text.clone_into(&mut self.call(id).closed);
                self.row(id, &read);
                self.spent(seq, id, &read);
            }
            ("event", _) => self.event(seq, &read, text),
            _ => {}
        }
    }

    /// Takes note of what the entries of calls say that have not ended in this batch. An end says all of it once more.
    pub fn finish(&mut self) {
        let open = self.calls.values().filter(|call| call.closed.is_empty() && !call.opened.is_empty());
        let open: Vec<(String, String)> =
            open.map(|call| (call.row.call_id.clone(), call.opened.clone())).collect();
        for (id, opened) in open {
            if let Ok(read) = serde_json::from_str::<Line<'_>>(&opened) {
                self.row(&id, &read);
            }
        }
        self.tools.sort_unstable();
        self.tools.dedup();
    }

    /// What the batch says of the call `id`.
    fn call(&mut self, id: &str) -> &mut Call {
        let instance = &self.instance;
        let new = || CallRow { call_id: id.to_owned(), instance: instance.clone(), ..CallRow::default() };
        self.calls.entry(id.to_owned()).or_insert_with(|| Call { row: new(), ..Call::default() })
    }

    fn opened(&mut self, text: &str) {
        let Ok(read) = serde_json::from_str::<Begun<'_>>(text) else { return };
        text.clone_into(&mut self.call(read.call_id).opened);
        // Of a conversation all results are sent again with each prompt; the last one is what the call is about.
        if let Some(result) = read.results.last() {
            let principal = serde_json::from_str::<Principal>(read.principal.get());
            let tenant = principal.map(|principal| principal.tenant()).unwrap_or_default();
            self.tools.push(tool("result", (&tenant, result), read.call_id, ""));
        }
    }

    fn row(&mut self, id: &str, read: &Line<'_>) {
        let tenant = read.principal.as_ref().map(Principal::tenant).unwrap_or_default();
        let Some(call) = self.calls.get_mut(id) else { return };
        let row = &mut call.row;
        if row.at.is_empty() {
            row.at = came_at(id).unwrap_or_else(|| read.at.to_string());
        }
        if let Some(principal) = &read.principal {
            row.principal_kind = storable(&principal.sub.kind);
            row.principal = storable(&principal.sub.id);
            row.user = storable(principal.user.as_deref().unwrap_or_default());
            row.team = storable(principal.team.as_deref().unwrap_or_default());
        }
        row.trace_id = read.trace.as_ref().map_or(String::new(), |trace| storable(trace.trace_id));
        row.surface = storable(&read.surface);
        row.model = storable(&read.model);
        row.tool = read.tool.as_ref().map_or(String::new(), |used| storable(&used.shown()));
        row.deployment = storable(&read.deployment);
        if read.entry == "closed" {
            row.outcome = read.outcome.to_string();
            row.status = read.status;
            row.fault = read.fault.as_ref().map_or(String::new(), |fault| fault.class.to_owned());
            (row.input_tokens, row.output_tokens) = (read.usage.input_tokens, read.usage.output_tokens);
            row.cost_nano_usd = read.cost_nano_usd.and_then(|raw| raw.get().parse().ok());
            row.duration_us = read.duration_us;
            row.attempts = i64::try_from(read.attempts.len()).unwrap_or(i64::MAX);
        } else if row.outcome.is_empty() {
            "open".clone_into(&mut row.outcome);
        }
        self.tools
            .extend(read.chosen.iter().map(|chosen| tool("chosen", (&tenant, &chosen.id), id, &chosen.name)));
        let executed = read.tool.as_ref().filter(|used| used.method == "tools/call");
        if let Some(name) = executed.and_then(|used| used.name.as_deref()) {
            let cause = read.trace.as_ref().and_then(|trace| trace.cause.as_ref());
            let choice =
                cause.filter(|cause| cause.by == "choice").and_then(|cause| cause.tool_call_id.as_deref());
            // What nobody chose is tied to nothing, and found by its name all the same.
            self.tools.push(tool("executed", (&tenant, choice.unwrap_or(id)), id, name));
        }
    }

    /// Takes note of what the call `id`, which has just ended, has spent.
    fn spent(&mut self, seq: Position, id: &str, read: &Line<'_>) {
        let Some(call) = self.calls.get(id) else { return };
        let unpriced = read.cost_nano_usd.is_some() && call.row.cost_nano_usd.is_none();
        let label = |kind, text: &String| Label { kind, text: storable(text) };
        let tags = read.tags.iter().map(|tag| label("tag", tag));
        let labels = read.end_user.iter().map(|user| label("end_user", user)).chain(tags).collect();
        let (of, amounts) = (Spender::of(&call.row), Amounts::of(&call.row, unpriced));
        self.spent.push(Spent { seq, of, amounts, labels });
    }

    fn event(&mut self, seq: Position, read: &Line<'_>, text: &str) {
        let Ok(at) = read.at.parse::<Timestamp>() else { return };
        self.events.push(Event {
            seq,
            at: read.at.to_string(),
            month: Month::of(at),
            event: storable(&read.event),
            entry: text.to_owned(),
        });
    }
}

/// The tool call `tool_call_id` of `tenant`, which is for the call `call_id` what `role` says.
fn tool(role: &'static str, (tenant, tool_call_id): (&str, &str), call_id: &str, name: &str) -> Tool {
    Tool {
        tenant: storable(tenant),
        tool_call_id: storable(tool_call_id),
        role,
        call_id: call_id.to_owned(),
        name: storable(name),
    }
}

/// PostgreSQL's texts cannot hold the character that a client may well send, and its indexes no long ones: one such call
/// must not stop the rest. What is cut is still told apart, by its hash.
fn storable(text: &str) -> String {
    const LONGEST: usize = 256;
    let text = text.replace('\0', "\u{fffd}");
    if text.len() <= LONGEST {
        return text;
    }
    let hash = tollgate_journal::Hash::of(text.as_bytes()).to_string();
    format!("{}…{}", &text[..text.floor_char_boundary(LONGEST)], &hash[..16])
}

/// When the call `id` came, as its id says.
fn came_at(id: &str) -> Option<String> {
    let id: tollgate_core::call::CallId = id.parse().ok()?;
    id.arrived().map(|at| at.to_string())
}

//! A stream of response events, from neutral events.
//!
//! Items may stand side by side here: every event says which one it is about. Thoughts and messages are told one
//! after the other; a call stays open until its arguments are a whole JSON object and something else begins.

use super::items::{Answer, Ids, Kind, Status, incomplete};
use super::parts::Token;
use super::stream_items::Items;
use super::usage::WireUsage;
use super::{custom_tools, seal};
use crate::chat::{Event, NO_ARGUMENTS, StopReason, id_with};
use crate::formats::{AnswerFor, SCHEMA_TOOL, StreamWriter};
use crate::json::Completeness;

/// A call that is being told.
struct Call {
    index: usize,
    /// Where its item stands.
    item: usize,
    progress: Completeness,
    any: bool,
    /// The arguments that stand for a free text: it can be read only when they are whole.
    held: Option<String>,
}

#[derive(Default)]
pub(super) struct EventWriter {
    answer: AnswerFor,
    id: String,
    model: String,
    items: Items,
    /// The thought or message that is being told.
    open: Option<usize>,
    calls: Vec<Call>,
    any_calls: bool,
    any_refusal: bool,
    /// The call whose arguments are the answer's text.
    schema_call: Option<usize>,
    stop: StopReason,
    usage: Option<WireUsage>,
}

impl EventWriter {
    pub(super) fn new(answer: AnswerFor) -> Self {
        Self { answer, ..Self::default() }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        for kind in ["response.created", "response.in_progress"] {
            let answer = Answer::begun(&self.id, &self.model, self.answer.created);
            self.items.answer_begins(kind, answer, out);
        }
    }

    /// Ends the open thought or message.
    fn close(&mut self, status: Status, out: &mut Vec<u8>) {
        if let Some(at) = self.open.take() {
            self.items.end_part(at, out);
            self.items.end_summary(at, out);
            self.items.end(at, status, out);
        }
    }

    /// Begins an item, for which the open thought or message and the calls that are whole make room.
    fn begin(&mut self, kind: Kind, out: &mut Vec<u8>) -> usize {
        self.close(Status::Completed, out);
        let (whole, open) =
            std::mem::take(&mut self.calls).into_iter().partition(|call: &Call| call.progress.is_complete());
        self.calls = open;
        self.end_calls(whole, Status::Completed, out);
        self.items.begin(kind, out)
    }

    fn say(&mut self, text: &str, refuses: bool, out: &mut Vec<u8>) {
        let at = match self.open.filter(|at| self.items.is_message(*at)) {
            Some(at) => at,
            None => self.begin(Kind::message(), out),
        };
        self.open = Some(at);
        self.items.say(at, text, refuses, out);
    }

    fn think(&mut self, text: &str, out: &mut Vec<u8>) {
        let at = match self.open.filter(|at| !self.items.is_message(*at)) {
            Some(at) => at,
            None => {
                let at = self.begin(Kind::thought(None), out);
                self.items.begin_summary(at, out);
                at
            }
        };
        self.open = Some(at);
        if !text.is_empty() {
            self.items.think(at, text, out);
        }
    }

    fn call(&mut self, index: usize, call_id: String, name: String, out: &mut Vec<u8>) {
        self.any_calls = true;
        let free_text = custom_tools::tool_name(&name).map(str::to_owned);
        let held = free_text.as_ref().map(|_| String::new());
        let kind = match free_text {
            Some(name) => Kind::CustomToolCall { call_id, name, input: String::new() },
            None => Kind::FunctionCall { call_id, name, arguments: String::new() },
        };
        let item = self.begin(kind, out);
        self.calls.push(Call { index, item, progress: Completeness::default(), any: false, held });
    }

    fn arguments(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        if self.schema_call == Some(index) {
            return self.say(fragment, false, out);
        }
        let Some(call) = self.calls.iter_mut().find(|call| call.index == index) else { return };
        call.any = true;
        call.progress.push(fragment);
        match &mut call.held {
            Some(held) => held.push_str(fragment),
            None => self.items.give(call.item, fragment, out),
        }
    }

    fn end_calls(&mut self, calls: Vec<Call>, status: Status, out: &mut Vec<u8>) {
        for call in calls {
            match call.held {
                Some(held) => self.items.give(call.item, &custom_tools::input(&held), out),
                // A call without arguments gives its tool an empty object.
                None if !call.any => self.items.give(call.item, NO_ARGUMENTS, out),
                None => {}
            }
            self.items.given(call.item, out);
            let status = if call.progress.is_complete() { Status::Completed } else { status };
            self.items.end(call.item, status, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let only_schema = self.schema_call.is_some() && !self.any_calls;
        let stop =
            if only_schema && self.stop == StopReason::ToolCalls { &StopReason::End } else { &self.stop };
        let why = incomplete(stop, self.any_refusal);
        let status = if why.is_some() { Status::Incomplete } else { Status::Completed };
        self.close(status, out);
        let calls = std::mem::take(&mut self.calls);
        self.end_calls(calls, status, out);
        let answer = Answer::begun(&self.id, &self.model, self.answer.created);
        self.items.answer_ends(answer, why, self.usage.take(), out);
    }
}

impl StreamWriter for EventWriter {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, usage } => {
                self.items.ids = Ids::of(&id);
                self.id = self.items.ids.response();
                self.model = model;
                self.usage = usage.as_ref().map(WireUsage::from);
                self.start(out);
            }
            Event::Text(text) => self.say(&text, false, out),
            Event::Refusal(text) => {
                self.any_refusal = true;
                self.say(&text, true, out);
            }
            Event::Citation(citation) => {
                if let Some(at) = self.open {
                    self.items.cite(at, &citation, out);
                }
            }
            Event::Logprobs(tokens) => {
                if let Some(at) = self.open {
                    self.items.likely(at, tokens.iter().map(Token::of));
                }
            }
            Event::Thinking(text) => self.think(&text, out),
            Event::ThinkingSeal(sealed) => {
                self.think("", out);
                if let Some(at) = self.open {
                    self.items.seal(at, seal::for_client(&sealed));
                }
                self.close(Status::Completed, out);
            }
            Event::Redacted(sealed) => {
                let at = self.begin(Kind::thought(Some(seal::for_client(&sealed))), out);
                self.items.end(at, Status::Completed, out);
            }
            Event::ToolStart { index, name, .. } if self.answer.schema_tool && name == SCHEMA_TOOL => {
                self.schema_call = Some(index);
            }
            Event::ToolStart { index, id, name, seal } => {
                self.call(index, id_with(&id, seal.as_ref()), name, out);
            }
            Event::ToolArguments { index, fragment } => self.arguments(index, &fragment, out),
            Event::Image { data, .. } => {
                let at = self.begin(Kind::ImageGenerationCall { result: data }, out);
                self.items.end(at, Status::Completed, out);
            }
            Event::Stop(reason) => self.stop = reason,
            Event::Usage(usage) => self.usage = Some(WireUsage::from(&usage)),
            Event::Done => self.finish(out),
            // The relay writes errors: it knows the call's id and what was tried.
            Event::Failed(_) => {}
        }
    }

    /// All that was said: the last event tells it again.
    fn held(&self) -> usize {
        let held: usize = self.calls.iter().filter_map(|call| call.held.as_ref()).map(String::len).sum();
        held + self.items.kept()
    }
}

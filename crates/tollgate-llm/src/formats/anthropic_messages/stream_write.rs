//! A stream of message events, from neutral events.
//!
//! Blocks stand one after the other here, never side by side. A call's block stays open until its arguments are
//! a whole JSON object; what arrives for another call, and text, waits until then.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::response::stop_reason_name;
use super::usage::WireUsage;
use crate::chat::{Event, StopReason};
use crate::formats::{AnswerFor, SCHEMA_TOOL, StreamWriter};
use crate::json::Completeness;
use crate::sse::event as sse;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Tool(usize),
}

#[derive(Default)]
struct Waiting {
    id: String,
    name: String,
    arguments: String,
}

pub(super) struct EventWriter {
    answer: AnswerFor,
    open: Open,
    next_block: usize,
    /// How far the arguments of the open call are.
    progress: Completeness,
    /// Calls that began while another one was open and go on after it.
    waiting: BTreeMap<usize, Waiting>,
    /// Text that came while a call was open.
    held_text: String,
    schema_call: Option<usize>,
    any_calls: bool,
    stop: StopReason,
    usage: Option<WireUsage>,
}

impl EventWriter {
    pub(super) fn new(answer: AnswerFor) -> Self {
        Self {
            answer,
            open: Open::Nothing,
            next_block: 0,
            progress: Completeness::default(),
            waiting: BTreeMap::new(),
            held_text: String::new(),
            schema_call: None,
            any_calls: false,
            stop: StopReason::End,
            usage: None,
        }
    }

    fn emit(name: &str, data: &Value, out: &mut Vec<u8>) {
        out.extend(sse(Some(name), data.to_string().as_bytes()));
    }

    fn start(&self, id: &str, model: &str, out: &mut Vec<u8>) {
        let usage =
            self.usage.clone().unwrap_or_else(|| WireUsage::from(&tollgate_core::usage::Usage::default()));
        let message = json!({
            "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        Self::emit("message_start", &json!({ "type": "message_start", "message": message }), out);
    }

    /// The usage so far. Clients require the numbers, so what nobody told is zero here; the record says `estimated`.
    fn usage_or_none(&self) -> WireUsage {
        self.usage.clone().unwrap_or_else(|| WireUsage::from(&tollgate_core::usage::Usage::default()))
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open != Open::Nothing {
            self.open = Open::Nothing;
            Self::emit(
                "content_block_stop",
                &json!({ "type": "content_block_stop", "index": self.next_block - 1 }),
                out,
            );
        }
    }

    fn begin(&mut self, open: Open, block: &Value, out: &mut Vec<u8>) {
        self.close(out);
        self.open = open;
        let start =
            json!({ "type": "content_block_start", "index": self.next_block, "content_block": block });
        self.next_block += 1;
        Self::emit("content_block_start", &start, out);
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let event = json!({ "type": "content_block_delta", "index": self.next_block - 1, "delta": delta });
        Self::emit("content_block_delta", &event, out);
    }

    /// Whether the open block must stay open.
    fn busy(&self) -> bool {
        matches!(self.open, Open::Tool(_)) && !self.progress.is_complete()
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.busy() {
            self.held_text.push_str(text);
            return;
        }
        if self.open != Open::Text {
            self.begin(Open::Text, &json!({ "type": "text", "text": "" }), out);
        }
        self.delta(&json!({ "type": "text_delta", "text": text }), out);
    }

    fn tool_start(&mut self, index: usize, id: String, name: String, out: &mut Vec<u8>) {
        if self.answer.schema_tool && name == SCHEMA_TOOL {
            self.schema_call = Some(index);
            return;
        }
        self.any_calls = true;
        self.waiting.insert(index, Waiting { id, name, arguments: String::new() });
        self.advance(false, out);
    }

    fn arguments(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        if self.schema_call == Some(index) {
            return self.text(fragment, out);
        }
        if self.open == Open::Tool(index) {
            self.progress.push(fragment);
            self.delta(&json!({ "type": "input_json_delta", "partial_json": fragment }), out);
        } else if let Some(call) = self.waiting.get_mut(&index) {
            call.arguments.push_str(fragment);
        }
        self.advance(false, out);
    }

    /// Opens what waits, in order, as far as the open block allows; at the end of the answer everything.
    fn advance(&mut self, at_end: bool, out: &mut Vec<u8>) {
        while at_end || !self.busy() {
            let held = std::mem::take(&mut self.held_text);
            if !held.is_empty() {
                if at_end {
                    self.close(out);
                }
                self.text(&held, out);
            }
            let Some((index, call)) = self.waiting.pop_first() else { return };
            let block = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
            self.begin(Open::Tool(index), &block, out);
            self.progress = Completeness::default();
            if !call.arguments.is_empty() {
                self.progress.push(&call.arguments);
                self.delta(&json!({ "type": "input_json_delta", "partial_json": call.arguments }), out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.advance(true, out);
        self.close(out);
        let only_schema = self.schema_call.is_some() && !self.any_calls;
        let stop =
            if only_schema && self.stop == StopReason::ToolCalls { &StopReason::End } else { &self.stop };
        let (reason, text) = stop_reason_name(stop);
        let usage = self.usage_or_none();
        let delta = json!({
            "type": "message_delta",
            "delta": { "stop_reason": reason, "stop_sequence": text },
            "usage": usage,
        });
        Self::emit("message_delta", &delta, out);
        Self::emit("message_stop", &json!({ "type": "message_stop" }), out);
    }
}

impl StreamWriter for EventWriter {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, usage } => {
                self.usage = usage.as_ref().map(WireUsage::from);
                self.start(&id, &model, out);
            }
            Event::Text(text) | Event::Refusal(text) => self.text(&text, out),
            Event::ToolStart { index, id, name } => self.tool_start(index, id, name, out),
            Event::ToolArguments { index, fragment } => self.arguments(index, &fragment, out),
            Event::Stop(reason) => self.stop = reason,
            Event::Usage(usage) => self.usage = Some(WireUsage::from(&usage)),
            Event::Done => self.finish(out),
            // The relay writes errors: it knows the call's id and what was tried.
            Event::Failed(_) => {}
        }
    }

    fn held(&self) -> usize {
        self.held_text.len()
            + self.waiting.values().map(|call| call.arguments.len() + call.name.len()).sum::<usize>()
    }
}

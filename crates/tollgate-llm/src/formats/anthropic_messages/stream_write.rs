//! A stream of message events, from neutral events.
//!
//! Blocks stand one after the other here, never side by side. A call's block stays open until its arguments are
//! a whole JSON object; what arrives for another call, and text, waits until then.

use std::collections::BTreeMap;

use serde::Serialize;

use super::response::stop_reason_name;
use super::usage::WireUsage;
use super::{NAME, citations};
use crate::chat::{Citation, Event, Sealed, StopReason, id_with};
use crate::formats::{AnswerFor, SCHEMA_TOOL, StreamWriter};
use crate::json::Completeness;
use crate::sse::write_json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Thinking,
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

#[derive(Serialize)]
struct MessageStart<'a> {
    r#type: &'static str,
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: Option<()>,
    stop_sequence: Option<()>,
    usage: WireUsage,
}

#[derive(Serialize)]
struct BlockStart<'a> {
    r#type: &'static str,
    index: usize,
    content_block: Block<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'static str },
    Thinking { thinking: &'static str, signature: &'static str },
    RedactedThinking { data: String },
    ToolUse { id: &'a str, name: &'a str, input: Nothing },
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct BlockDelta<'a> {
    r#type: &'static str,
    index: usize,
    delta: Delta<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the format's own names")]
enum Delta<'a> {
    TextDelta { text: &'a str },
    ThinkingDelta { thinking: &'a str },
    SignatureDelta { signature: String },
    CitationsDelta { citation: citations::Out<'a> },
    InputJsonDelta { partial_json: &'a str },
}

#[derive(Serialize)]
struct BlockStop {
    r#type: &'static str,
    index: usize,
}

#[derive(Serialize)]
struct MessageDelta<'a> {
    r#type: &'static str,
    delta: Stopped<'a>,
    usage: WireUsage,
}

#[derive(Serialize)]
struct Stopped<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
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

    fn start(&self, id: &str, model: &str, out: &mut Vec<u8>) {
        let message = Message {
            id,
            r#type: "message",
            role: "assistant",
            model,
            content: [],
            stop_reason: None,
            stop_sequence: None,
            usage: self.usage_or_none(),
        };
        write_json(Some("message_start"), &MessageStart { r#type: "message_start", message }, out);
    }

    /// The usage so far. Clients require the numbers, so what nobody told is zero here; the record says `estimated`.
    fn usage_or_none(&self) -> WireUsage {
        self.usage.clone().unwrap_or_else(|| WireUsage::from(&tollgate_core::usage::Usage::default()))
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open == Open::Nothing {
            return;
        }
        self.open = Open::Nothing;
        let stop = BlockStop { r#type: "content_block_stop", index: self.next_block - 1 };
        write_json(Some("content_block_stop"), &stop, out);
    }

    fn begin(&mut self, open: Open, content_block: Block<'_>, out: &mut Vec<u8>) {
        self.close(out);
        self.open = open;
        let start = BlockStart { r#type: "content_block_start", index: self.next_block, content_block };
        self.next_block += 1;
        write_json(Some("content_block_start"), &start, out);
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        let event = BlockDelta { r#type: "content_block_delta", index: self.next_block - 1, delta };
        write_json(Some("content_block_delta"), &event, out);
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
            self.begin(Open::Text, Block::Text { text: "" }, out);
        }
        self.delta(Delta::TextDelta { text }, out);
    }

    /// Belongs to the text before it; without one there is nothing that it could be for.
    fn citation(&self, citation: &Citation, out: &mut Vec<u8>) {
        if self.open == Open::Text {
            self.delta(Delta::CitationsDelta { citation: citations::write(citation) }, out);
        }
    }

    /// Thoughts come before calls; one in the middle of a call's arguments has no place and is left out.
    fn thinking(&mut self, thinking: &str, out: &mut Vec<u8>) {
        if self.busy() {
            return;
        }
        if self.open != Open::Thinking {
            self.begin(Open::Thinking, Block::Thinking { thinking: "", signature: "" }, out);
        }
        if !thinking.is_empty() {
            self.delta(Delta::ThinkingDelta { thinking }, out);
        }
    }

    fn seal(&mut self, seal: &Sealed, out: &mut Vec<u8>) {
        self.thinking("", out);
        if self.open == Open::Thinking {
            self.delta(Delta::SignatureDelta { signature: seal.for_client(NAME) }, out);
            self.close(out);
        }
    }

    fn redacted(&mut self, seal: &Sealed, out: &mut Vec<u8>) {
        if !self.busy() {
            let block = Block::RedactedThinking { data: seal.for_client(NAME) };
            self.begin(Open::Thinking, block, out);
            self.close(out);
        }
    }

    fn tool_start(&mut self, index: usize, call: Waiting, out: &mut Vec<u8>) {
        if self.answer.schema_tool && call.name == SCHEMA_TOOL {
            self.schema_call = Some(index);
            return;
        }
        self.any_calls = true;
        self.waiting.insert(index, call);
        self.advance(false, out);
    }

    fn arguments(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        if self.schema_call == Some(index) {
            return self.text(fragment, out);
        }
        if self.open == Open::Tool(index) {
            self.progress.push(fragment);
            self.delta(Delta::InputJsonDelta { partial_json: fragment }, out);
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
            let block = Block::ToolUse { id: &call.id, name: &call.name, input: Nothing {} };
            self.begin(Open::Tool(index), block, out);
            self.progress = Completeness::default();
            if !call.arguments.is_empty() {
                self.progress.push(&call.arguments);
                self.delta(Delta::InputJsonDelta { partial_json: &call.arguments }, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.advance(true, out);
        self.close(out);
        let only_schema = self.schema_call.is_some() && !self.any_calls;
        let stop =
            if only_schema && self.stop == StopReason::ToolCalls { &StopReason::End } else { &self.stop };
        let (stop_reason, stop_sequence) = stop_reason_name(stop);
        let delta = MessageDelta {
            r#type: "message_delta",
            delta: Stopped { stop_reason, stop_sequence },
            usage: self.usage_or_none(),
        };
        write_json(Some("message_delta"), &delta, out);
        out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
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
            Event::Citation(citation) => self.citation(&citation, out),
            Event::Thinking(thinking) => self.thinking(&thinking, out),
            Event::ThinkingSeal(seal) => self.seal(&seal, out),
            Event::Redacted(seal) => self.redacted(&seal, out),
            Event::ToolStart { index, id, name, seal } => {
                let id = id_with(&id, seal.as_ref());
                self.tool_start(index, Waiting { id, name, arguments: String::new() }, out);
            }
            Event::ToolArguments { index, fragment } => self.arguments(index, &fragment, out),
            Event::Stop(reason) => self.stop = reason,
            Event::Usage(usage) => self.usage = Some(WireUsage::from(&usage)),
            Event::Done => self.finish(out),
            // The format has neither probabilities nor pictures in answers. The relay writes errors: it knows the
            // call's id and what was tried.
            Event::Logprobs(_) | Event::Image { .. } | Event::Failed(_) => {}
        }
    }

    fn held(&self) -> usize {
        self.held_text.len()
            + self.waiting.values().map(|call| call.arguments.len() + call.name.len()).sum::<usize>()
    }
}

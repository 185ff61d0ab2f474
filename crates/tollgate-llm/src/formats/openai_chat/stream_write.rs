//! A stream of chunks, from events.

use serde_json::{Value, json};

use super::response::finish_reason;
use super::usage::WireUsage;
use crate::chat::{Event, StopReason};
use crate::formats::{AnswerFor, SCHEMA_TOOL, StreamWriter};
use crate::sse::event as sse;

pub(super) struct ChunkWriter {
    answer: AnswerFor,
    id: String,
    model: String,
    usage: Option<WireUsage>,
    /// The call whose arguments are the answer's text.
    schema_call: Option<usize>,
    /// Calls that the client was told of, by their number here.
    calls: Vec<usize>,
}

impl ChunkWriter {
    pub(super) fn new(answer: AnswerFor) -> Self {
        Self {
            answer,
            id: String::new(),
            model: String::new(),
            usage: None,
            schema_call: None,
            calls: Vec::new(),
        }
    }

    fn chunk(&self, choices: Value, usage: Option<&WireUsage>, out: &mut Vec<u8>) {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.answer.created,
            "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = usage.and_then(|usage| serde_json::to_value(usage).ok()) {
            chunk["usage"] = usage;
        }
        out.extend(sse(None, chunk.to_string().as_bytes()));
    }

    fn delta(&self, delta: Value, finish: Option<&str>, out: &mut Vec<u8>) {
        self.chunk(
            json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]),
            None,
            out,
        );
    }

    fn stop(&mut self, reason: &StopReason, out: &mut Vec<u8>) {
        let only_schema = self.schema_call.is_some() && self.calls.is_empty();
        let reason = if only_schema && *reason == StopReason::ToolCalls { &StopReason::End } else { reason };
        self.delta(json!({}), Some(finish_reason(reason)), out);
    }
}

impl StreamWriter for ChunkWriter {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, usage } => {
                self.id = id;
                self.model = model;
                self.usage = usage.as_ref().map(WireUsage::from);
                self.delta(json!({ "role": "assistant", "content": "", "refusal": null }), None, out);
            }
            Event::Text(text) => self.delta(json!({ "content": text }), None, out),
            Event::Refusal(text) => self.delta(json!({ "refusal": text }), None, out),
            Event::ToolStart { index, name, .. } if self.answer.schema_tool && name == SCHEMA_TOOL => {
                self.schema_call = Some(index);
            }
            Event::ToolStart { index, id, name } => {
                self.calls.push(index);
                let call = json!({ "index": self.calls.len() - 1, "id": id, "type": "function", "function": { "name": name, "arguments": "" } });
                self.delta(json!({ "tool_calls": [call] }), None, out);
            }
            Event::ToolArguments { index, fragment } if self.schema_call == Some(index) => {
                self.delta(json!({ "content": fragment }), None, out);
            }
            Event::ToolArguments { index, fragment } => {
                if let Some(number) = self.calls.iter().position(|call| *call == index) {
                    let call = json!({ "index": number, "function": { "arguments": fragment } });
                    self.delta(json!({ "tool_calls": [call] }), None, out);
                }
            }
            Event::Stop(reason) => self.stop(&reason, out),
            Event::Usage(usage) => self.usage = Some(WireUsage::from(&usage)),
            Event::Done => {
                if self.answer.stream_usage
                    && let Some(usage) = &self.usage
                {
                    self.chunk(json!([]), Some(usage), out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            // The relay writes errors: it knows the call's id and what was tried.
            Event::Failed(_) => {}
        }
    }
}

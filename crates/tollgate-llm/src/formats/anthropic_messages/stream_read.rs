//! A stream of message events, into neutral events.

use serde::Deserialize;
use tollgate_core::usage::Usage;

use super::response::{Block, StopDetails, stop_reason};
use super::usage::WireUsage;
use super::{NAME, citations, error};
use crate::chat::{Event, NO_ARGUMENTS, Sealed, StopReason};
use crate::formats::StreamReader;
use crate::sse::SseEvent;

/// An event of any type: each has a few of these members.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    message: Option<Start>,
    index: Option<usize>,
    content_block: Option<Block>,
    delta: Option<Delta>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Start {
    id: String,
    model: String,
    usage: Option<WireUsage>,
}

/// A piece of a block, or the end of the message.
#[derive(Deserialize)]
struct Delta {
    #[serde(rename = "type", default)]
    kind: String,
    text: Option<String>,
    partial_json: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    citation: Option<citations::Written>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    stop_details: Option<StopDetails>,
}

/// A tool call that is being told.
struct Call {
    block: usize,
    index: usize,
    any_arguments: bool,
}

/// Reads message events.
#[derive(Default)]
pub(super) struct EventReader {
    calls: usize,
    open: Option<Call>,
    usage: WireUsage,
}

impl EventReader {
    fn start(&mut self, message: Start) -> Vec<Event> {
        self.usage = message.usage.unwrap_or_default();
        vec![Event::Start { id: message.id, model: message.model, usage: Some(Usage::from(&self.usage)) }]
    }

    fn block_start(&mut self, block: usize, content: Block) -> Vec<Event> {
        let not_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
        match content.kind.as_str() {
            "text" => not_empty(content.text).map(Event::Text).into_iter().collect(),
            "thinking" => not_empty(content.thinking).map(Event::Thinking).into_iter().collect(),
            "redacted_thinking" => {
                content.data.map(|data| Event::Redacted(Sealed::by(NAME, data))).into_iter().collect()
            }
            "tool_use" => self.call_start(block, content),
            _ => Vec::new(),
        }
    }

    fn call_start(&mut self, block: usize, content: Block) -> Vec<Event> {
        let Some(name) = content.name else { return Vec::new() };
        let index = self.calls;
        self.calls += 1;
        let id = content.id.unwrap_or_default();
        let mut events = vec![Event::ToolStart { index, id, name, seal: None }];
        // Arguments come as deltas; a server that sends them whole puts them here.
        let is_empty = |text: &str| text.trim_start_matches('{').trim_start().starts_with('}');
        let whole = content.input.map(|input| input.get().to_owned()).filter(|text| !is_empty(text));
        self.open = Some(Call { block, index, any_arguments: whole.is_some() });
        events.extend(whole.map(|fragment| Event::ToolArguments { index, fragment }));
        events
    }

    fn block_delta(&mut self, index: usize, delta: Delta) -> Option<Event> {
        match delta.kind.as_str() {
            "text_delta" => delta.text.map(Event::Text),
            "thinking_delta" => delta.thinking.map(Event::Thinking),
            "signature_delta" => delta.signature.map(|s| Event::ThinkingSeal(Sealed::by(NAME, s))),
            "citations_delta" => delta.citation.and_then(citations::read).map(Event::Citation),
            "input_json_delta" => {
                let call = self.open.as_mut().filter(|call| call.block == index)?;
                let fragment = delta.partial_json.filter(|piece| !piece.is_empty())?;
                call.any_arguments = true;
                Some(Event::ToolArguments { index: call.index, fragment })
            }
            _ => None,
        }
    }

    /// A call without arguments tells none; elsewhere they must be an object all the same.
    fn block_stop(&mut self, index: usize) -> Option<Event> {
        let call = self.open.take_if(|call| call.block == index).filter(|call| !call.any_arguments)?;
        Some(Event::ToolArguments { index: call.index, fragment: NO_ARGUMENTS.to_owned() })
    }

    fn message_delta(&mut self, delta: Delta, usage: Option<WireUsage>) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(usage) = usage {
            self.usage = self.usage.updated(usage);
            events.push(Event::Usage(Usage::from(&self.usage)));
        }
        if delta.stop_reason.is_some() {
            let stop = stop_reason(delta.stop_reason.as_deref(), delta.stop_sequence);
            if stop == StopReason::Refused {
                events.extend(delta.stop_details.and_then(|d| d.explanation).map(Event::Refusal));
            }
            events.push(Event::Stop(stop));
        }
        events
    }
}

impl StreamReader for EventReader {
    fn read(&mut self, event: &SseEvent) -> Result<Vec<Event>, String> {
        if event.data.is_empty() {
            return Ok(Vec::new());
        }
        let written: Written = serde_json::from_slice(&event.data).map_err(|e| e.to_string())?;
        let without = |what: &str| format!("a `{}` without `{what}`", written.kind);
        let index = || written.index.ok_or_else(|| without("index"));
        Ok(match written.kind.as_str() {
            "message_start" => self.start(written.message.ok_or_else(|| without("message"))?),
            "content_block_start" => {
                let block = index()?;
                self.block_start(block, written.content_block.ok_or_else(|| without("content_block"))?)
            }
            "content_block_delta" => {
                let block = index()?;
                self.block_delta(block, written.delta.ok_or_else(|| without("delta"))?).into_iter().collect()
            }
            "content_block_stop" => self.block_stop(index()?).into_iter().collect(),
            "message_delta" => {
                self.message_delta(written.delta.ok_or_else(|| without("delta"))?, written.usage)
            }
            "message_stop" => vec![Event::Done],
            "error" => vec![Event::Failed(error::read(0, &event.data))],
            _ => Vec::new(),
        })
    }
}

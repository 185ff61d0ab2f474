//! A stream of Converse's events, into neutral events. What is told comes by the name of each event; `metadata`, with
//! the usage, comes last, after `messageStop`.

use serde::Deserialize;
use tollgate_core::usage::Usage;

use super::response::{ToolUse, WrittenCitation, citation, stop_reason};
use super::usage::WireUsage;
use super::{NAME, error};
use crate::chat::{Event, NO_ARGUMENTS, Sealed};
use crate::event_stream::EXCEPTION;
use crate::formats::StreamReader;
use crate::sse::SseEvent;

/// An event of any name: each has a few of these members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    content_block_index: Option<usize>,
    start: Option<Start>,
    delta: Option<Delta>,
    stop_reason: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<ToolUse>,
}

/// A piece of a block: one of these.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    text: Option<String>,
    tool_use: Option<Arguments>,
    reasoning_content: Option<Reasoning>,
    citation: Option<WrittenCitation>,
}

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

/// A tool call that is being told.
struct Call {
    block: usize,
    index: usize,
    any_arguments: bool,
}

/// Reads Converse's events.
#[derive(Default)]
pub(super) struct EventReader {
    calls: usize,
    open: Option<Call>,
}

impl EventReader {
    fn call_start(&mut self, block: usize, call: ToolUse) -> Option<Event> {
        call.is_ours().then_some(())?;
        let index = self.calls;
        self.calls += 1;
        self.open = Some(Call { block, index, any_arguments: false });
        Some(Event::ToolStart { index, id: call.tool_use_id, name: call.name, seal: None })
    }

    fn block_delta(&mut self, block: usize, delta: Delta) -> Option<Event> {
        if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
            return Some(Event::Text(text));
        }
        if let Some(Arguments { input: fragment }) = delta.tool_use.filter(|piece| !piece.input.is_empty()) {
            let call = self.open.as_mut().filter(|call| call.block == block)?;
            call.any_arguments = true;
            return Some(Event::ToolArguments { index: call.index, fragment });
        }
        if let Some(reasoning) = delta.reasoning_content {
            let redacted = reasoning.redacted_content.map(|data| Event::Redacted(Sealed::by(NAME, data)));
            let signature = reasoning.signature.filter(|signature| !signature.is_empty());
            let seal = signature.map(|signature| Event::ThinkingSeal(Sealed::by(NAME, signature)));
            return redacted.or(seal).or_else(|| reasoning.text.map(Event::Thinking));
        }
        delta.citation.and_then(citation).map(Event::Citation)
    }

    /// A call without arguments tells none; elsewhere they must be an object all the same.
    fn block_stop(&mut self, block: usize) -> Option<Event> {
        let call = self.open.take_if(|call| call.block == block).filter(|call| !call.any_arguments)?;
        Some(Event::ToolArguments { index: call.index, fragment: NO_ARGUMENTS.to_owned() })
    }
}

impl StreamReader for EventReader {
    fn read(&mut self, event: &SseEvent) -> Result<Vec<Event>, String> {
        let name = event.name.as_deref().unwrap_or_default();
        let name = std::str::from_utf8(name).map_err(|e| e.to_string())?;
        if let Some(kind) = name.strip_prefix(EXCEPTION) {
            return Ok(vec![Event::Failed(error::exception(kind, &event.data))]);
        }
        let read = || serde_json::from_slice::<Written>(&event.data).map_err(|e| e.to_string());
        let without = |what: &str| format!("a `{name}` without `{what}`");
        let index =
            |written: &Written| written.content_block_index.ok_or_else(|| without("contentBlockIndex"));
        Ok(match name {
            "messageStart" => vec![Event::Start { id: String::new(), model: String::new(), usage: None }],
            "contentBlockStart" => {
                let written = read()?;
                let block = index(&written)?;
                let call = written.start.and_then(|start| start.tool_use);
                call.and_then(|call| self.call_start(block, call)).into_iter().collect()
            }
            "contentBlockDelta" => {
                let written = read()?;
                let block = index(&written)?;
                let delta = written.delta.ok_or_else(|| without("delta"))?;
                self.block_delta(block, delta).into_iter().collect()
            }
            "contentBlockStop" => self.block_stop(index(&read()?)?).into_iter().collect(),
            "messageStop" => vec![Event::Stop(stop_reason(read()?.stop_reason.as_deref()))],
            "metadata" => {
                let usage = read()?.usage;
                usage.iter().map(|usage| Event::Usage(Usage::from(usage))).chain([Event::Done]).collect()
            }
            _ => Vec::new(),
        })
    }
}

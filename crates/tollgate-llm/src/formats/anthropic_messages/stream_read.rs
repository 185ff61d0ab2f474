//! A stream of message events, into neutral events.

use serde::Deserialize;
use tollgate_core::usage::Usage;

use super::error;
use super::response::{StopDetails, stop_reason};
use super::usage::WireUsage;
use crate::chat::{Event, StopReason};
use crate::formats::StreamReader;
use crate::sse::SseEvent;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Written {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: usize,
        content_block: Block,
    },
    ContentBlockDelta {
        index: usize,
        delta: Delta,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: MessageDelta,
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    id: String,
    model: String,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct MessageDelta {
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
    fn block_start(&mut self, block: usize, content: Block) -> Vec<Event> {
        if content.kind == "text" {
            return content.text.filter(|t| !t.is_empty()).map(Event::Text).into_iter().collect();
        }
        let (Some(name), "tool_use") = (content.name, content.kind.as_str()) else { return Vec::new() };
        let index = self.calls;
        self.calls += 1;
        let mut events = vec![Event::ToolStart { index, id: content.id.unwrap_or_default(), name }];
        // Arguments come as deltas; a server that sends them whole puts them here.
        let whole = content.input.filter(|input| !input.is_empty());
        self.open = Some(Call { block, index, any_arguments: whole.is_some() });
        events.extend(whole.map(|input| Event::ToolArguments {
            index,
            fragment: serde_json::Value::Object(input).to_string(),
        }));
        events
    }

    fn message_delta(&mut self, delta: MessageDelta, usage: Option<WireUsage>) -> Vec<Event> {
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
        Ok(match written {
            Written::MessageStart { message } => {
                self.usage = message.usage.unwrap_or_default();
                vec![Event::Start {
                    id: message.id,
                    model: message.model,
                    usage: Some(Usage::from(&self.usage)),
                }]
            }
            Written::ContentBlockStart { index, content_block } => self.block_start(index, content_block),
            Written::ContentBlockDelta { delta: Delta::Text { text }, .. } => vec![Event::Text(text)],
            Written::ContentBlockDelta { index, delta: Delta::InputJson { partial_json } } => {
                match &mut self.open {
                    Some(call) if call.block == index && !partial_json.is_empty() => {
                        call.any_arguments = true;
                        vec![Event::ToolArguments { index: call.index, fragment: partial_json }]
                    }
                    _ => Vec::new(),
                }
            }
            // A call without arguments tells none; elsewhere they must be an object all the same.
            Written::ContentBlockStop { index } => match self.open.take_if(|call| call.block == index) {
                Some(call) if !call.any_arguments => {
                    vec![Event::ToolArguments { index: call.index, fragment: "{}".to_owned() }]
                }
                _ => Vec::new(),
            },
            Written::MessageDelta { delta, usage } => self.message_delta(delta, usage),
            Written::MessageStop => vec![Event::Done],
            Written::Error => vec![Event::Failed(error::read(0, &event.data))],
            Written::ContentBlockDelta { .. } | Written::Other => Vec::new(),
        })
    }
}

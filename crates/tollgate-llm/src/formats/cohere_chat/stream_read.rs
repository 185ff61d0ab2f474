//! A stream of events, into neutral ones.

use serde::Deserialize;

use super::logprobs::Piece;
use super::response::{Call, stop_reason};
use super::usage::WireUsage;
use super::{citations, error};
use crate::chat::{Event, NO_ARGUMENTS};
use crate::formats::StreamReader;
use crate::sse::SseEvent;

/// An event. Kinds that mean nothing to a client of another format are passed over, and so is what is new.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Written {
    MessageStart {
        #[serde(default)]
        id: Option<String>,
    },
    #[serde(alias = "content-start")]
    ContentDelta {
        delta: Option<Delta<Content>>,
        logprobs: Option<Piece>,
    },
    ToolPlanDelta {
        delta: Option<Delta<Plan>>,
    },
    ToolCallStart {
        #[serde(default)]
        index: usize,
        delta: Option<Delta<Calls>>,
    },
    ToolCallDelta {
        #[serde(default)]
        index: usize,
        delta: Option<Delta<Calls>>,
    },
    ToolCallEnd {
        #[serde(default)]
        index: usize,
    },
    CitationStart {
        delta: Option<Delta<Cited>>,
    },
    MessageEnd {
        delta: Option<End>,
    },
    #[serde(other)]
    Other,
}

/// A piece of the message.
#[derive(Deserialize)]
struct Delta<T> {
    message: Option<T>,
}

#[derive(Deserialize)]
struct Content {
    content: Option<Told>,
}

#[derive(Deserialize)]
struct Told {
    text: Option<String>,
    thinking: Option<String>,
}

#[derive(Deserialize)]
struct Plan {
    tool_plan: Option<String>,
}

#[derive(Deserialize)]
struct Calls {
    tool_calls: Option<Call>,
}

#[derive(Deserialize)]
struct Cited {
    citations: Option<citations::Written>,
}

#[derive(Deserialize)]
struct End {
    finish_reason: Option<String>,
    error: Option<String>,
    usage: Option<WireUsage>,
}

/// Reads events.
#[derive(Default)]
pub(super) struct EventReader {
    /// The upstream's index of each call that has begun, and whether any of its arguments have come.
    calls: Vec<(usize, bool)>,
}

impl EventReader {
    fn call_start(&mut self, upstream: usize, call: Call) -> Vec<Event> {
        self.calls.push((upstream, false));
        let index = self.calls.len() - 1;
        let id = if call.id.is_empty() { format!("call_{index}") } else { call.id };
        let name = call.function.name.unwrap_or_default();
        let mut out = vec![Event::ToolStart { index, id, name, seal: None }];
        out.extend(self.arguments(upstream, call.function.arguments));
        out
    }

    fn arguments(&mut self, upstream: usize, fragment: Option<String>) -> Option<Event> {
        let fragment = fragment.filter(|fragment| !fragment.is_empty())?;
        let index = self.calls.iter().rposition(|(known, _)| *known == upstream)?;
        self.calls[index].1 = true;
        Some(Event::ToolArguments { index, fragment })
    }

    /// A call without arguments has an empty object for them elsewhere.
    fn call_end(&mut self, upstream: usize) -> Option<Event> {
        let (_, any) = self.calls.iter().rfind(|(known, _)| *known == upstream)?;
        if *any { None } else { self.arguments(upstream, Some(NO_ARGUMENTS.to_owned())) }
    }
}

fn told(delta: Option<Delta<Content>>, logprobs: Option<Piece>) -> Vec<Event> {
    let full = |text: &String| !text.is_empty();
    let mut out = Vec::new();
    if let Some(told) = delta.and_then(|delta| delta.message).and_then(|message| message.content) {
        out.extend(told.thinking.filter(full).map(Event::Thinking));
        out.extend(told.text.filter(full).map(Event::Text));
    }
    out.extend(logprobs.and_then(Piece::into_neutral).map(|token| Event::Logprobs(vec![token])));
    out
}

fn end(delta: Option<End>) -> Vec<Event> {
    let End { finish_reason, error, usage } =
        delta.unwrap_or(End { finish_reason: None, error: None, usage: None });
    let finish = finish_reason.as_deref().unwrap_or("COMPLETE");
    let mut out: Vec<Event> = usage.and_then(|usage| usage.counted()).map(Event::Usage).into_iter().collect();
    match stop_reason(finish) {
        Some(stop) => out.extend([Event::Stop(stop), Event::Done]),
        None => out.push(Event::Failed(error::stumbled(finish, error))),
    }
    out
}

impl StreamReader for EventReader {
    fn read(&mut self, event: &SseEvent) -> Result<Vec<Event>, String> {
        let data = event.data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return Ok(Vec::new());
        }
        let written = match serde_json::from_slice(data) {
            Ok(written) => written,
            // What fails in the middle comes as the body of an error.
            Err(why) => {
                return error::written(0, data).map(|e| vec![Event::Failed(e)]).ok_or(why.to_string());
            }
        };
        Ok(match written {
            Written::MessageStart { id } => {
                vec![Event::Start { id: id.unwrap_or_default(), model: String::new(), usage: None }]
            }
            Written::ContentDelta { delta, logprobs } => told(delta, logprobs),
            Written::ToolPlanDelta { delta } => {
                let plan = delta.and_then(|delta| delta.message).and_then(|message| message.tool_plan);
                plan.filter(|plan| !plan.is_empty()).map(Event::Thinking).into_iter().collect()
            }
            Written::ToolCallStart { index, delta } => {
                let call = delta.and_then(|delta| delta.message).and_then(|message| message.tool_calls);
                call.map(|call| self.call_start(index, call)).unwrap_or_default()
            }
            Written::ToolCallDelta { index, delta } => {
                let call = delta.and_then(|delta| delta.message).and_then(|message| message.tool_calls);
                self.arguments(index, call.and_then(|call| call.function.arguments)).into_iter().collect()
            }
            Written::ToolCallEnd { index } => self.call_end(index).into_iter().collect(),
            Written::CitationStart { delta } => {
                let cited = delta.and_then(|delta| delta.message).and_then(|message| message.citations);
                cited.map(|cited| cited.addressed().map(Event::Citation).collect()).unwrap_or_default()
            }
            Written::MessageEnd { delta } => end(delta),
            Written::Other => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tollgate_core::fault::FaultClass;

    use super::*;
    use crate::formats::classify;

    fn read(reader: &mut EventReader, data: &str) -> Vec<Event> {
        let data = Bytes::copy_from_slice(data.as_bytes());
        reader.read(&SseEvent { raw: data.clone(), name: None, data }).unwrap()
    }

    #[test]
    fn a_stream_that_fails_says_so() {
        for (data, class) in [
            (
                r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"m"}}"#,
                FaultClass::UpstreamFailed,
            ),
            (r#"{"type":"message-end","delta":{"finish_reason":"TIMEOUT"}}"#, FaultClass::Timeout),
            (r#"{"message":"internal","id":"x"}"#, FaultClass::UpstreamFailed),
        ] {
            let events = read(&mut EventReader::default(), data);
            let [Event::Failed(error)] = &events[..] else { panic!("{events:?}") };
            assert_eq!(classify(error), class);
        }
    }

    #[test]
    fn a_call_without_arguments_has_an_empty_object() {
        let reader = &mut EventReader::default();
        let start = r#"{"type":"tool-call-start","index":3,"delta":{"message":{"tool_calls":{"id":"f_1","type":"function","function":{"name":"f","arguments":""}}}}}"#;
        let begun = Event::ToolStart { index: 0, id: "f_1".into(), name: "f".into(), seal: None };
        assert_eq!(read(reader, start), [begun]);
        let arguments = Event::ToolArguments { index: 0, fragment: "{}".into() };
        assert_eq!(read(reader, r#"{"type":"tool-call-end","index":3}"#), [arguments]);
        assert_eq!(read(reader, r#"{"type":"tool-call-end","index":3}"#), []);
        assert_eq!(read(reader, r#"{"type":"debug","prompt":"…"}"#), []);
        assert_eq!(read(reader, r#"{"type":"new-in-2027","delta":[1]}"#), []);
    }
}

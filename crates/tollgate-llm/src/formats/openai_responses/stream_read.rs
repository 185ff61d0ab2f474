//! A stream of response events, into neutral events.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_core::usage::Usage;

use super::error;
use super::parts::{Annotation, Part, Token};
use super::read_response::{Thought, Written as WrittenResponse, WrittenItem, media_type};
use crate::chat::{Event, Said, arguments_text};
use crate::formats::StreamReader;
use crate::sse::SseEvent;

/// An event of any type.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    output_index: usize,
    #[serde(default)]
    summary_index: usize,
    /// A text, but for some of the events that are passed over.
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(default)]
    logprobs: Option<Vec<Token>>,
    #[serde(default)]
    annotation: Option<Annotation>,
    #[serde(default)]
    item: Option<WrittenItem>,
    #[serde(default)]
    response: Option<WrittenResponse>,
}

/// Reads response events. Servers differ: some send items whole, without deltas.
#[derive(Default)]
pub(super) struct EventReader {
    started: bool,
    ended: bool,
    refused: bool,
    /// The places of the calls in the answer, in the order in which they began.
    calls: Vec<usize>,
    /// The places of items that were told in pieces.
    told: BTreeSet<usize>,
}

impl EventReader {
    fn start(&mut self, response: &WrittenResponse, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            let (id, model) = (response.id.clone(), response.model.clone());
            out.push(Event::Start { id, model, usage: response.usage.as_ref().map(Usage::from) });
        }
    }

    fn call(&self, output: usize) -> Option<usize> {
        self.calls.iter().position(|call| *call == output)
    }

    fn delta(&mut self, event: Written<'_>, out: &mut Vec<Event>) {
        let text: Option<String> = event.delta.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let Some(delta) = text.filter(|delta| !delta.is_empty()) else { return };
        let more = match event.kind.as_str() {
            "response.output_text.delta" => Event::Text(delta),
            "response.refusal.delta" => {
                self.refused = true;
                Event::Refusal(delta)
            }
            "response.function_call_arguments.delta" => match self.call(event.output_index) {
                Some(index) => Event::ToolArguments { index, fragment: delta },
                // It comes whole at its end.
                None => return,
            },
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                Event::Thinking(delta)
            }
            // Pieces of what OpenAI's own tools do.
            _ => return,
        };
        self.told.insert(event.output_index);
        out.push(more);
        let tokens: Vec<_> = event.logprobs.into_iter().flatten().map(Token::into_neutral).collect();
        out.extend((!tokens.is_empty()).then_some(Event::Logprobs(tokens)));
    }

    fn item_added(&mut self, output: usize, item: WrittenItem, out: &mut Vec<Event>) {
        if let WrittenItem::FunctionCall { call_id, name, arguments } = item {
            self.calls.push(output);
            let index = self.calls.len() - 1;
            out.push(Event::ToolStart { index, id: call_id, name, seal: None });
            if !arguments.is_empty() {
                self.told.insert(output);
                out.push(Event::ToolArguments { index, fragment: arguments });
            }
        }
    }

    /// The whole item: a thought's seal, and whatever was not told in pieces.
    fn item_done(&mut self, output: usize, item: WrittenItem, out: &mut Vec<Event>) {
        let told = self.told.contains(&output);
        match (item, self.call(output)) {
            (item @ WrittenItem::FunctionCall { .. }, None) => self.item_added(output, item, out),
            (WrittenItem::FunctionCall { arguments, .. }, Some(index)) => {
                // A call without arguments tells none; elsewhere they must be an object all the same.
                let fragment = arguments_text(&arguments).to_owned();
                out.extend((!told).then_some(Event::ToolArguments { index, fragment }));
            }
            (WrittenItem::Reasoning(thought), _) => thought_done(thought, told, out),
            (WrittenItem::Message { content }, _) if !told => {
                content.into_iter().for_each(|part| self.whole_part(part, out));
            }
            (WrittenItem::ImageGenerationCall { result: Some(data), output_format }, _) => {
                out.push(Event::Image { media_type: media_type(output_format), data });
            }
            _ => {}
        }
    }

    fn whole_part(&mut self, part: Part, out: &mut Vec<Event>) {
        match part {
            Part::OutputText { text, annotations, .. } if !text.is_empty() => {
                out.push(Event::Text(text));
                let citations = annotations.into_iter().filter_map(Annotation::into_neutral);
                out.extend(citations.map(Event::Citation));
            }
            Part::Refusal { refusal } => {
                self.refused = true;
                out.push(Event::Refusal(refusal));
            }
            _ => {}
        }
    }

    fn end(&mut self, response: &WrittenResponse, out: &mut Vec<Event>) {
        self.ended = true;
        self.start(response, out);
        out.extend(response.usage.as_ref().map(|usage| Event::Usage(Usage::from(usage))));
        out.push(Event::Stop(response.stop(!self.calls.is_empty(), self.refused)));
        out.push(Event::Done);
    }
}

/// Of a thought that was told already only the seal is new.
fn thought_done(thought: Thought, told: bool, out: &mut Vec<Event>) {
    match thought.into_neutral() {
        Some(Said::Thinking { text, seal }) => {
            out.extend(Some(text).filter(|text| !told && !text.is_empty()).map(Event::Thinking));
            out.extend(seal.map(Event::ThinkingSeal));
        }
        Some(Said::Redacted(seal)) if told => out.push(Event::ThinkingSeal(seal)),
        Some(Said::Redacted(seal)) => out.push(Event::Redacted(seal)),
        _ => {}
    }
}

impl StreamReader for EventReader {
    fn read(&mut self, event: &SseEvent) -> Result<Vec<Event>, String> {
        let text = std::str::from_utf8(&event.data).map_err(|e| e.to_string())?.trim();
        // The word is not part of the format, but some servers end every stream with it.
        if text.is_empty() || text == "[DONE]" {
            return Ok(Vec::new());
        }
        let written: Written<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        if self.ended {
            return Ok(out);
        }
        match (written.kind.as_str(), &written.response) {
            ("error" | "response.failed", _) => return Ok(vec![Event::Failed(error::in_stream(text))]),
            ("", _) if error::is_error(text) => return Ok(vec![Event::Failed(error::in_stream(text))]),
            ("", _) => return Err("it has no `type`".to_owned()),
            ("response.created" | "response.queued" | "response.in_progress", Some(response)) => {
                self.start(response, &mut out);
            }
            ("response.completed" | "response.incomplete", Some(response)) => self.end(response, &mut out),
            ("response.completed" | "response.incomplete", None) => {
                return Err("it has no `response`".to_owned());
            }
            ("response.reasoning_summary_part.added", _) if written.summary_index > 0 => {
                out.push(Event::Thinking("\n\n".to_owned()));
            }
            ("response.output_text.annotation.added", _) => {
                let citation = written.annotation.and_then(Annotation::into_neutral);
                out.extend(citation.map(Event::Citation));
            }
            ("response.output_item.added", _) => {
                if let Some(item) = written.item {
                    self.item_added(written.output_index, item, &mut out);
                }
            }
            ("response.output_item.done", _) => {
                if let Some(item) = written.item {
                    self.item_done(written.output_index, item, &mut out);
                }
            }
            (kind, _) if kind.ends_with(".delta") => self.delta(written, &mut out),
            _ => {}
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut EventReader, text: &str) -> Result<Vec<Event>, String> {
        reader.read(&SseEvent { name: None, data: text.to_owned().into(), raw: Default::default() })
    }

    #[test]
    fn failures_are_events_and_garbage_is_an_error() {
        let mut reader = EventReader::default();
        for text in [
            r#"{"type":"error","code":"c","message":"m"}"#,
            r#"{"type":"response.failed","response":{"error":{"code":"c","message":"m"}}}"#,
        ] {
            let events = read(&mut reader, text).unwrap();
            let [Event::Failed(error)] = &events[..] else { panic!("{events:?}") };
            assert_eq!((error.code.as_deref(), &*error.message), (Some("c"), "m"));
        }
        assert!(read(&mut reader, r#"{"choices":[]}"#).is_err());
        assert!(read(&mut reader, r#"{"type":"response.completed"}"#).is_err());
        assert!(read(&mut reader, "?").is_err());
        assert_eq!(read(&mut reader, "[DONE]"), Ok(vec![]));
        assert_eq!(read(&mut reader, r#"{"type":"response.brand_new","delta":{"a":1}}"#), Ok(vec![]));
    }

    #[test]
    fn an_answer_that_only_ends_is_an_answer() {
        let mut reader = EventReader::default();
        let text =
            r#"{"type":"response.completed","response":{"id":"resp_1","model":"m","status":"completed"}}"#;
        let events = read(&mut reader, text).unwrap();
        assert!(matches!(events[..], [Event::Start { .. }, Event::Stop(_), Event::Done]), "{events:?}");
    }
}

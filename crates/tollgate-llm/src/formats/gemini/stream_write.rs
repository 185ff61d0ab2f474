//! A stream of chunks, from events. A call stands whole in one chunk here: its arguments wait until all have come.

use std::collections::BTreeMap;

use super::NAME;
use super::answer::finish_reason;
use super::citations::CitationMetadata;
use super::framing::Framing;
use super::logprobs::LogprobsResult;
use super::out::{OutAnswer, OutCandidate, OutContent};
use super::parts::{OutPart, kept};
use super::usage::WireUsage;
use crate::chat::{Citation, Event, Sealed, StopReason, TokenLogprob};
use crate::formats::{AnswerFor, SCHEMA_TOOL, StreamWriter};
use crate::json::Completeness;

pub(super) struct ChunkWriter {
    schema_tool: bool,
    framing: Framing,
    id: String,
    model: String,
    usage: Option<WireUsage>,
    /// Calls whose arguments have not all come.
    open: BTreeMap<usize, Call>,
    /// The call whose arguments are the answer's text.
    schema_call: Option<usize>,
    /// The text so far, from whose beginning citations count, and the citations.
    text: String,
    citations: Vec<Citation>,
    stop: StopReason,
}

#[derive(Default)]
struct Call {
    id: String,
    name: String,
    seal: Option<Sealed>,
    arguments: String,
    progress: Completeness,
}

impl ChunkWriter {
    pub(super) fn new(answer: &AnswerFor) -> Self {
        Self {
            schema_tool: answer.schema_tool,
            framing: Framing::new(answer.array),
            id: String::new(),
            model: String::new(),
            usage: None,
            open: BTreeMap::new(),
            schema_call: None,
            text: String::new(),
            citations: Vec::new(),
            stop: StopReason::End,
        }
    }

    fn part(&mut self, part: OutPart<'_>, out: &mut Vec<u8>) {
        self.candidate(vec![part], None, out);
    }

    fn candidate(&mut self, parts: Vec<OutPart<'_>>, logprobs: Option<LogprobsResult>, out: &mut Vec<u8>) {
        let candidate = OutCandidate {
            content: OutContent::new(parts),
            finish_reason: None,
            citation_metadata: None,
            logprobs_result: logprobs,
            index: 0,
        };
        self.chunk(candidate, out);
    }

    fn chunk(&mut self, candidate: OutCandidate<'_>, out: &mut Vec<u8>) {
        let chunk = OutAnswer {
            candidates: vec![candidate],
            usage_metadata: self.usage.clone(),
            model_version: &self.model,
            response_id: &self.id,
        };
        self.framing.element(&chunk, out);
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.text.push_str(text);
        self.part(OutPart::plain(text), out);
    }

    fn arguments(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        if self.schema_call == Some(index) {
            return self.text(fragment, out);
        }
        let Some(call) = self.open.get_mut(&index) else { return };
        call.arguments.push_str(fragment);
        call.progress.push(fragment);
        if call.progress.is_complete() {
            self.close_calls(false, out);
        }
    }

    /// Writes the calls that are complete, in their order; at the end of the answer, all.
    fn close_calls(&mut self, all: bool, out: &mut Vec<u8>) {
        while let Some(first) = self.open.first_entry() {
            if !all && !first.get().progress.is_complete() {
                return;
            }
            let call = first.remove();
            let signature = call.seal.as_ref().map(|seal| seal.for_client(NAME).into());
            self.part(
                OutPart::call(Some(&call.id), &call.name, kept(&call.arguments)).signed(signature),
                out,
            );
        }
    }

    fn logprobs(&mut self, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        self.candidate(Vec::new(), LogprobsResult::of(tokens), out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.close_calls(true, out);
        let candidate = OutCandidate {
            content: OutContent::new(Vec::new()),
            finish_reason: Some(finish_reason(&self.stop)),
            citation_metadata: CitationMetadata::of(self.citations.iter(), &self.text),
            logprobs_result: None,
            index: 0,
        };
        self.chunk(candidate, out);
        out.extend_from_slice(self.framing.end());
    }
}

impl StreamWriter for ChunkWriter {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, usage } => {
                self.id = id;
                self.model = model;
                self.usage = usage.as_ref().map(WireUsage::from);
                if self.framing.is_array() {
                    // From here on an error is a further element: there must be a first one.
                    self.candidate(Vec::new(), None, out);
                }
            }
            Event::Text(text) => self.text(&text, out),
            Event::Refusal(text) => self.part(OutPart::plain(&text), out),
            Event::Citation(citation) => self.citations.push(citation),
            Event::Logprobs(tokens) => self.logprobs(&tokens, out),
            Event::Thinking(text) => self.part(OutPart::plain(&text).thought(), out),
            Event::ThinkingSeal(seal) => {
                let signature = Some(seal.for_client(NAME).into());
                self.part(OutPart::plain("").thought().signed(signature), out);
            }
            Event::Redacted(seal) => {
                self.part(OutPart::plain("").signed(Some(seal.for_client(NAME).into())), out)
            }
            Event::ToolStart { index, name, .. } if self.schema_tool && name == SCHEMA_TOOL => {
                self.schema_call = Some(index);
            }
            Event::ToolStart { index, id, name, seal } => {
                self.open.insert(index, Call { id, name, seal, ..Call::default() });
            }
            Event::ToolArguments { index, fragment } => self.arguments(index, &fragment, out),
            Event::Image { media_type, data } => self.part(OutPart::inline(&media_type, &data), out),
            Event::Stop(reason) => self.stop = reason,
            Event::Usage(usage) => self.usage = Some(WireUsage::from(&usage)),
            Event::Done => self.finish(out),
            // The relay writes errors: it knows the call's id and what was tried.
            Event::Failed(_) => {}
        }
    }

    fn held(&self) -> usize {
        self.open.values().map(|call| call.arguments.len() + call.name.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn events() -> Vec<Event> {
        vec![
            Event::Start { id: "r".into(), model: "m".into(), usage: None },
            Event::Thinking("hm".into()),
            Event::ThinkingSeal(Sealed::by(NAME, "AQL/")),
            Event::Text("x".into()),
            Event::ToolStart {
                index: 0,
                id: "c".into(),
                name: "f".into(),
                seal: Some(Sealed::by(NAME, "AAAA")),
            },
            Event::ToolArguments { index: 0, fragment: "{\n\"a\":".into() },
            Event::ToolArguments { index: 0, fragment: "1}".into() },
            Event::ToolStart { index: 1, id: "d".into(), name: "g".into(), seal: None },
            Event::Stop(StopReason::ToolCalls),
            Event::Done,
        ]
    }

    fn written(array: bool) -> Vec<u8> {
        let mut writer = ChunkWriter::new(&AnswerFor { array, ..AnswerFor::default() });
        let mut out = Vec::new();
        for event in events() {
            writer.write(event, &mut out);
        }
        assert_eq!(writer.held(), 0);
        out
    }

    #[test]
    fn both_framings_hold_the_same_parts() {
        let array: Vec<Value> = serde_json::from_slice(&written(true)).unwrap();
        let text = String::from_utf8(written(false)).unwrap();
        let events: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        // The array begins with an element of its own, so that an error has something to follow.
        assert_eq!(array[1..], events);
        let parts: Vec<&Value> = events.iter().map(|e| &e["candidates"][0]["content"]["parts"][0]).collect();
        let expected = [
            json!({ "text": "hm", "thought": true }),
            json!({ "text": "", "thought": true, "thoughtSignature": "AQL/" }),
            json!({ "text": "x" }),
            json!({ "functionCall": { "id": "c", "name": "f", "args": { "a": 1 } }, "thoughtSignature": "AAAA" }),
            json!({ "functionCall": { "id": "d", "name": "g", "args": {} } }),
            json!({ "text": "" }),
        ];
        assert_eq!(parts, expected.iter().collect::<Vec<_>>());
        assert_eq!(events[5]["candidates"][0]["finishReason"], "STOP");
    }
}

//! A stream of chunks, from events.

use serde::Serialize;

use super::annotations::Annotation;
use super::logprobs::Logprobs;
use super::response::{OutImage, finish_reason};
use super::thinking::Block;
use super::usage::WireUsage;
use crate::chat::{Event, StopReason, id_with};
use crate::formats::{AnswerFor, SCHEMA_TOOL, StreamWriter};
use crate::sse::write_json;

pub(super) struct ChunkWriter {
    answer: AnswerFor,
    id: String,
    model: String,
    usage: Option<WireUsage>,
    /// The call whose arguments are the answer's text.
    schema_call: Option<usize>,
    /// Calls that the client was told of, by their number here.
    calls: Vec<usize>,
    /// The thought so far, for the block that its seal completes.
    thought: String,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a WireUsage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    delta: Delta<'a>,
    logprobs: Option<Logprobs>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    /// The first chunk says null.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[Block; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[Annotation; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<[OutImage; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

#[derive(Serialize)]
struct Call<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
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
            thought: String::new(),
        }
    }

    fn chunk(&self, choices: &[Choice<'_>], usage: Option<&WireUsage>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.answer.created,
            model: &self.model,
            choices,
            usage,
        };
        write_json(None, &chunk, out);
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.chunk(&[Choice { index: 0, delta, logprobs: None, finish_reason: None }], None, out);
    }

    fn text(&self, content: &str, out: &mut Vec<u8>) {
        self.delta(Delta { content: Some(content), ..Delta::default() }, out);
    }

    fn call(&self, call: Call<'_>, out: &mut Vec<u8>) {
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, out);
    }

    fn block(&self, block: Block, out: &mut Vec<u8>) {
        self.delta(Delta { thinking_blocks: Some([block]), ..Delta::default() }, out);
    }

    fn arguments(&self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        if self.schema_call == Some(index) {
            return self.text(fragment, out);
        }
        if let Some(number) = self.calls.iter().position(|call| *call == index) {
            let function = Function { name: None, arguments: fragment };
            self.call(Call { index: number, id: None, kind: None, function }, out);
        }
    }

    fn stop(&self, reason: &StopReason, out: &mut Vec<u8>) {
        let only_schema = self.schema_call.is_some() && self.calls.is_empty();
        let reason = if only_schema && *reason == StopReason::ToolCalls { &StopReason::End } else { reason };
        let finish_reason = Some(finish_reason(reason));
        self.chunk(&[Choice { index: 0, delta: Delta::default(), logprobs: None, finish_reason }], None, out);
    }
}

impl StreamWriter for ChunkWriter {
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, usage } => {
                self.id = id;
                self.model = model;
                self.usage = usage.as_ref().map(WireUsage::from);
                let delta = Delta {
                    role: Some("assistant"),
                    content: Some(""),
                    refusal: Some(None),
                    ..Delta::default()
                };
                self.delta(delta, out);
            }
            Event::Text(text) => self.text(&text, out),
            Event::Logprobs(tokens) => {
                let logprobs = Some(Logprobs::of(&tokens));
                let delta = Delta { content: Some(""), ..Delta::default() };
                self.chunk(&[Choice { index: 0, delta, logprobs, finish_reason: None }], None, out);
            }
            Event::Citation(citation) => {
                let annotations = Some([Annotation::of(&citation)]);
                self.delta(Delta { annotations, ..Delta::default() }, out);
            }
            Event::Refusal(text) => {
                self.delta(Delta { refusal: Some(Some(&text)), ..Delta::default() }, out);
            }
            Event::Thinking(text) => {
                self.delta(Delta { reasoning_content: Some(&text), ..Delta::default() }, out);
                self.thought.push_str(&text);
            }
            Event::ThinkingSeal(seal) => {
                let thought = std::mem::take(&mut self.thought);
                self.block(Block::sealed(thought, &seal), out);
            }
            Event::Redacted(seal) => self.block(Block::redacted(&seal), out),
            Event::ToolStart { index, name, .. } if self.answer.schema_tool && name == SCHEMA_TOOL => {
                self.schema_call = Some(index);
            }
            Event::ToolStart { index, id, name, seal } => {
                self.calls.push(index);
                let function = Function { name: Some(&name), arguments: "" };
                let id = Some(id_with(&id, seal.as_ref()));
                self.call(Call { index: self.calls.len() - 1, id, kind: Some("function"), function }, out);
            }
            Event::ToolArguments { index, fragment } => self.arguments(index, &fragment, out),
            Event::Image { media_type, data } => {
                let images = Some([OutImage::new(&media_type, &data)]);
                self.delta(Delta { images, ..Delta::default() }, out);
            }
            Event::Stop(reason) => self.stop(&reason, out),
            Event::Usage(usage) => self.usage = Some(WireUsage::from(&usage)),
            Event::Done => {
                if self.answer.stream_usage
                    && let Some(usage) = &self.usage
                {
                    self.chunk(&[], Some(usage), out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            // The relay writes errors: it knows the call's id and what was tried.
            Event::Failed(_) => {}
        }
    }
}

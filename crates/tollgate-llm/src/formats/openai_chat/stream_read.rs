//! A stream of chunks, into events.

use serde::Deserialize;
use tollgate_core::usage::Usage;

use super::annotations::{Annotation, citations};
use super::error;
use super::logprobs::Logprobs;
use super::response::stop_reason;
use super::usage::WireUsage;
use crate::chat::{Event, StopReason};
use crate::formats::StreamReader;
use crate::sse::SseEvent;

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
    #[serde(default)]
    annotations: Option<Vec<Annotation>>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    index: Option<usize>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<String>,
}

/// Reads chunks. Servers differ: some leave out a call's `index`, some send calls whole.
#[derive(Default)]
pub(super) struct ChunkReader {
    started: bool,
    /// The upstream's index and id of each call that has begun.
    calls: Vec<(usize, Option<String>)>,
    refused: bool,
}

impl ChunkReader {
    fn call(&mut self, delta: CallDelta, out: &mut Vec<Event>) {
        let function = delta.function.unwrap_or(FunctionDelta { name: None, arguments: None });
        let id = delta.id.filter(|id| !id.is_empty());
        // Without an index, an id begins a call and anything else goes on with the last one.
        let upstream = delta.index.unwrap_or_else(|| match (&id, self.calls.last()) {
            (None, Some((last, _))) => *last,
            (Some(_), Some((last, _))) => last + 1,
            (_, None) => 0,
        });
        // Some servers give every call the same index: then another id is another call.
        let goes_on = |(known, known_id): &(usize, Option<String>)| {
            *known == upstream && (id.is_none() || *known_id == id)
        };
        let index = match self.calls.iter().rposition(goes_on) {
            Some(index) => index,
            None => {
                self.calls.push((upstream, id.clone()));
                let index = self.calls.len() - 1;
                let id = id.unwrap_or_else(|| format!("call_{index}"));
                let name = function.name.unwrap_or_default();
                out.push(Event::ToolStart { index, id, name, seal: None });
                index
            }
        };
        if let Some(fragment) = function.arguments.filter(|a| !a.is_empty()) {
            out.push(Event::ToolArguments { index, fragment });
        }
    }
}

impl ChunkReader {
    fn choice(&mut self, choice: Choice, out: &mut Vec<Event>) {
        let delta = choice.delta;
        out.extend(delta.reasoning_content.filter(|t| !t.is_empty()).map(Event::Thinking));
        out.extend(delta.content.filter(|t| !t.is_empty()).map(Event::Text));
        out.extend(choice.logprobs.map(|logprobs| Event::Logprobs(logprobs.into_neutral())));
        out.extend(citations(delta.annotations).into_iter().map(Event::Citation));
        if let Some(refusal) = delta.refusal.filter(|t| !t.is_empty()) {
            self.refused = true;
            out.push(Event::Refusal(refusal));
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, out);
        }
        if let Some(finish) = choice.finish_reason {
            out.push(Event::Stop(if self.refused {
                StopReason::Refused
            } else {
                stop_reason(&finish, !self.calls.is_empty())
            }));
        }
    }
}

impl StreamReader for ChunkReader {
    fn read(&mut self, event: &SseEvent) -> Result<Vec<Event>, String> {
        let text = std::str::from_utf8(&event.data).map_err(|e| e.to_string())?.trim();
        match text {
            "" => return Ok(Vec::new()),
            "[DONE]" => return Ok(vec![Event::Done]),
            _ => {}
        }
        if let Some(error) = error::in_stream(text) {
            return Ok(vec![Event::Failed(error)]);
        }
        let chunk: Chunk = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        let Some(choices) = chunk.choices else {
            return chunk
                .usage
                .map(|usage| vec![Event::Usage(Usage::from(&usage))])
                .ok_or("it has no `choices`".to_owned());
        };
        if !self.started {
            self.started = true;
            out.push(Event::Start { id: chunk.id, model: chunk.model, usage: None });
        }
        // Several answers at once are not translated while they stream.
        for choice in choices.into_iter().filter(|choice| choice.index == 0) {
            self.choice(choice, &mut out);
        }
        out.extend(chunk.usage.as_ref().map(|usage| Event::Usage(Usage::from(usage))));
        Ok(out)
    }
}

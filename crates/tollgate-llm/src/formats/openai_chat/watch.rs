//! A stream that passes unchanged: usage is read, and taken out again where only the gate asked for it.

use std::borrow::Cow;

use serde::Deserialize;
use tollgate_core::usage::Usage;

use super::error;
use super::usage::WireUsage;
use crate::formats::{Watch, Watcher};
use crate::json::{Members, splice};
use crate::sse::{SseEvent, event};

pub(super) struct ChunkWatcher {
    hide_usage: bool,
    usage: Option<Usage>,
    content_bytes: u64,
    stopped: bool,
}

impl ChunkWatcher {
    pub(super) fn new(hide_usage: bool) -> Self {
        Self { hide_usage, usage: None, content_bytes: 0, stopped: false }
    }

    /// Hides the usage that only the gate asked for: the chunk that holds nothing else, and the null in others.
    fn without_usage(seen: &SseEvent, text: &str, members: &Members<'_>) -> Watch {
        let reported = members.get("usage").is_some_and(|usage| usage != "null");
        let empty = members.get("choices").is_some_and(|choices| choices[1..].trim_start().starts_with(']'));
        if reported && empty {
            return Watch::Drop;
        }
        match members.remove("usage") {
            Some(edit) => {
                let name = seen.name.as_deref().and_then(|name| std::str::from_utf8(name).ok());
                Watch::Replace(event(name, &splice(text, vec![edit])))
            }
            None => Watch::Forward,
        }
    }
}

impl Watcher for ChunkWatcher {
    fn event(&mut self, seen: &SseEvent) -> Watch {
        let Ok(text) = std::str::from_utf8(&seen.data) else { return Watch::Garbage };
        match text.trim() {
            "" => return Watch::Forward,
            "[DONE]" => return Watch::Last,
            _ => {}
        }
        let Ok(members) = Members::find(text, &["choices", "usage", "error"]) else { return Watch::Garbage };
        if members.get("error").is_some_and(|error| error != "null")
            && let Some(error) = error::in_stream(text)
        {
            return Watch::Failed(error);
        }
        if members.get("choices").is_none() && members.get("usage").is_none() {
            return Watch::Garbage;
        }
        self.stopped |= has_finish_reason(text);
        self.content_bytes += content_bytes(members.get("choices"));
        match members.read::<WireUsage>("usage") {
            Ok(Some(usage)) => self.usage = Some(Usage::from(&usage)),
            Ok(None) => {}
            Err(_) => return Watch::Garbage,
        }
        if self.hide_usage && members.get("usage").is_some() {
            return Self::without_usage(seen, text, &members);
        }
        Watch::Forward
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    fn stopped(&self) -> bool {
        self.stopped
    }
}

/// Whether a choice says why it ended.
fn has_finish_reason(text: &str) -> bool {
    const NAME: &[u8] = b"\"finish_reason\":";
    memchr::memmem::find(text.as_bytes(), NAME)
        .is_some_and(|at| text[at + NAME.len()..].trim_start().starts_with('"'))
}

/// Bytes of content in the `choices` of a chunk.
fn content_bytes(choices: Option<&str>) -> u64 {
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow, default)]
        delta: Delta<'a>,
    }
    #[derive(Default, Deserialize)]
    struct Delta<'a> {
        #[serde(borrow, default)]
        content: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        refusal: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        reasoning_content: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        tool_calls: Option<Vec<Call<'a>>>,
    }
    #[derive(Deserialize)]
    struct Call<'a> {
        #[serde(borrow, default)]
        function: Function<'a>,
    }
    #[derive(Default, Deserialize)]
    struct Function<'a> {
        #[serde(borrow, default)]
        arguments: Option<Cow<'a, str>>,
    }
    // A chunk of another shape passes all the same; it only cannot be counted.
    let choices: Vec<Choice<'_>> = choices.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    let texts = choices.iter().flat_map(|choice| {
        let delta = &choice.delta;
        let calls = delta.tool_calls.iter().flatten().map(|call| &call.function.arguments);
        [&delta.content, &delta.refusal, &delta.reasoning_content].into_iter().chain(calls)
    });
    texts.flatten().map(|text| text.len() as u64).sum()
}

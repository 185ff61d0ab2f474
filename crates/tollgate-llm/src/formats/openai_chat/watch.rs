//! A stream that passes unchanged: usage is read, and taken out again where only the gate asked for it.

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
        if members.get("error").is_some()
            && members.get("choices").is_none()
            && let Some(error) = error::in_stream(text)
        {
            return Watch::Failed(error);
        }
        self.stopped |= has_finish_reason(text);
        self.content_bytes += estimate_content(text);
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

/// Bytes of content in a chunk, near enough for an estimate: what stands after `delta`.
fn estimate_content(text: &str) -> u64 {
    // `{"content":""}` and what closes the chunk around it.
    const FRAME: usize = 48;
    let delta = memchr::memmem::find(text.as_bytes(), b"\"delta\":").map_or(0, |at| text.len() - at);
    delta.saturating_sub(FRAME) as u64
}

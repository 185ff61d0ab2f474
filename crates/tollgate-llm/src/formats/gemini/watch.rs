//! A stream that passes unchanged but for its framing: usage stands in every chunk, the last one counts.

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_core::usage::Usage;

use super::error;
use super::framing::Framing;
use super::usage::WireUsage;
use crate::formats::{Watch, Watcher};
use crate::json::{Members, without_base64};
use crate::sse::SseEvent;

pub(super) struct ChunkWatcher {
    framing: Framing,
    usage: Option<Usage>,
    content_bytes: u64,
    stopped: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

impl ChunkWatcher {
    pub(super) fn new(array: bool) -> Self {
        Self { framing: Framing::new(array), usage: None, content_bytes: 0, stopped: false }
    }

    /// Takes note of a chunk; `None` when it is none.
    fn note(&mut self, text: &str) -> Option<()> {
        let members = Members::find(text, &["candidates", "promptFeedback", "usageMetadata"]).ok()?;
        let usage: Option<WireUsage> = members.read("usageMetadata").ok()?;
        let candidates: Option<Vec<Candidate<'_>>> = members.read("candidates").ok()?;
        let blocked = members.get("promptFeedback").is_some_and(|feedback| feedback.contains("blockReason"));
        if usage.is_none() && candidates.is_none() && !blocked {
            return None;
        }
        self.usage = usage.as_ref().map(Usage::from).or(self.usage);
        self.stopped |= blocked;
        for candidate in candidates.into_iter().flatten() {
            // `{"parts": [{"text": ""}],"role": "model"}` is frame, the rest content.
            const FRAME: usize = 41;
            // A picture is not billed by the length of its base64.
            const PICTURE: usize = 6_000;
            let content = candidate.content.map_or(0, |content| {
                let (rest, pictures) = without_base64(content.get());
                rest + pictures * PICTURE
            });
            self.content_bytes += content.saturating_sub(FRAME) as u64;
            self.stopped |= candidate.finish_reason.is_some();
        }
        Some(())
    }
}

impl Watcher for ChunkWatcher {
    fn event(&mut self, seen: &SseEvent) -> Watch {
        let Ok(text) = std::str::from_utf8(&seen.data) else { return Watch::Garbage };
        if text.is_empty() {
            return if self.framing.is_array() { Watch::Drop } else { Watch::Forward };
        }
        if let Some(error) = error::in_stream(text.as_bytes()) {
            return Watch::Failed(error);
        }
        if self.note(text).is_none() {
            return Watch::Garbage;
        }
        if !self.framing.is_array() {
            return Watch::Forward;
        }
        let mut framed = Vec::with_capacity(text.len() + 2);
        self.framing.raw(text.as_bytes(), &mut framed);
        Watch::Replace(framed)
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

    fn end(&mut self) -> &'static [u8] {
        self.framing.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &'static str) -> SseEvent {
        SseEvent { name: None, data: data.into(), raw: format!("data: {data}\r\n\r\n").into() }
    }

    const FIRST: &str = r#"{"candidates": [{"content": {"parts": [{"text": "Rhine"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 2}}"#;
    const LAST: &str = r#"{"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP"}],"usageMetadata": {"promptTokenCount": 2,"candidatesTokenCount": 3,"thoughtsTokenCount": 4}}"#;

    #[test]
    fn chunks_pass_and_are_understood() {
        let mut watcher = ChunkWatcher::new(false);
        assert_eq!(watcher.event(&event(FIRST)), Watch::Forward);
        assert!(!watcher.stopped());
        assert_eq!(watcher.event(&event(LAST)), Watch::Forward);
        assert!(watcher.stopped());
        assert_eq!((watcher.content_bytes(), watcher.usage().unwrap().output_tokens), (5, 7));
        assert_eq!(watcher.event(&event(r#"{"promptFeedback":{"blockReason":"OTHER"}}"#)), Watch::Forward);
        assert_eq!(watcher.event(&event("{}")), Watch::Garbage);
        assert_eq!(watcher.event(&event("x")), Watch::Garbage);
        assert!(matches!(watcher.event(&event(r#"{"error":{"code":503}}"#)), Watch::Failed(_)));
    }

    #[test]
    fn a_client_that_wants_an_array_gets_one() {
        let mut watcher = ChunkWatcher::new(true);
        let mut out = Vec::new();
        for data in [FIRST, "", LAST] {
            match watcher.event(&event(data)) {
                Watch::Replace(bytes) => out.extend(bytes),
                other => assert_eq!(other, Watch::Drop),
            }
        }
        out.extend_from_slice(watcher.end());
        let all: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!(all.len(), 2);
    }
}

//! A stream that passes unchanged: usage is read from the event that ends it.

use serde::Deserialize;
use tollgate_core::usage::Usage;

use super::error;
use super::usage::WireUsage;
use crate::formats::{Watch, Watcher};
use crate::json::Members;
use crate::sse::SseEvent;

#[derive(Default)]
pub(super) struct EventWatcher {
    usage: Option<Usage>,
    content_bytes: u64,
}

#[derive(Deserialize)]
struct Ended {
    #[serde(default)]
    usage: Option<WireUsage>,
}

impl Watcher for EventWatcher {
    fn event(&mut self, seen: &SseEvent) -> Watch {
        let Ok(text) = std::str::from_utf8(&seen.data) else { return Watch::Garbage };
        match text.trim() {
            "" => return Watch::Forward,
            // Not part of the format, but some servers add it to every stream.
            "[DONE]" => return Watch::Last,
            _ => {}
        }
        let Ok(members) = Members::find(text, &["type", "response", "delta"]) else { return Watch::Garbage };
        let kind = members.get("type").unwrap_or_default().trim_matches('"');
        match kind {
            "error" => return Watch::Failed(error::in_stream(text)),
            "response.completed" | "response.incomplete" | "response.failed" => {
                let Ok(ended) = members.read::<Ended>("response") else { return Watch::Garbage };
                self.usage = ended.and_then(|ended| ended.usage).as_ref().map(Usage::from).or(self.usage);
                return if kind == "response.failed" {
                    Watch::Failed(error::in_stream(text))
                } else {
                    Watch::Last
                };
            }
            // Servers that are merely compatible report an error without a type.
            "" if error::is_error(text) => return Watch::Failed(error::in_stream(text)),
            "" => return Watch::Garbage,
            // Text, refusals, arguments and reasoning: the delta is a string, of which the quotes do not count.
            _ if kind.ends_with(".delta") => {
                self.content_bytes += members.get("delta").map_or(0, str::len).saturating_sub(2) as u64;
            }
            _ => {}
        }
        Watch::Forward
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Nothing but the last event says that the model is done.
    fn stopped(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::SseReader;

    fn watched(stream: &str) -> (Vec<Watch>, EventWatcher) {
        let mut events = SseReader::new(1 << 16);
        events.push(stream.as_bytes());
        let mut watcher = EventWatcher::default();
        let mut seen = Vec::new();
        while let Some(event) = events.next_event().unwrap() {
            seen.push(watcher.event(&event));
        }
        (seen, watcher)
    }

    #[test]
    fn the_last_event_brings_the_usage() {
        let usage = r#""usage":{"input_tokens":3,"output_tokens":2}"#;
        for kind in ["completed", "incomplete"] {
            let stream = format!(
                "data: {{\"type\":\"response.created\",\"response\":{{\"usage\":null}}}}\n\n\
                 data: {{\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}}\n\n\
                 data: {{\"type\":\"response.{kind}\",\"response\":{{{usage}}}}}\n\n"
            );
            let (seen, watcher) = watched(&stream);
            assert_eq!(seen, [Watch::Forward, Watch::Forward, Watch::Last]);
            assert_eq!(watcher.usage().unwrap().output_tokens, 2);
            assert_eq!(watcher.content_bytes(), 5);
        }
    }

    #[test]
    fn failures_and_garbage_are_told_apart() {
        let failed = |text: &str| matches!(watched(&format!("data: {text}\n\n")).0[..], [Watch::Failed(_)]);
        assert!(failed(r#"{"type":"error","message":"m"}"#));
        assert!(failed(r#"{"error":{"message":"m"}}"#));
        assert!(failed(
            r#"{"type":"response.failed","response":{"error":{"code":"server_error"},"usage":null}}"#
        ));
        assert_eq!(watched("data: {\"choices\":[]}\n\n").0, [Watch::Garbage]);
        assert_eq!(watched("data: nothing\n\n").0, [Watch::Garbage]);
        assert_eq!(
            watched("data: {\"type\":\"response.brand_new\"}\n\ndata: [DONE]\n\n").0,
            [Watch::Forward, Watch::Last]
        );
    }
}

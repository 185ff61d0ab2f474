//! A stream of partial pictures: usage stands in its last event.

use tollgate_core::usage::Usage;

use super::usage::WireUsage;
use crate::formats::openai_chat::error;
use crate::formats::{Watch, Watcher};
use crate::json::Members;
use crate::sse::SseEvent;

#[derive(Default)]
pub(super) struct EventWatcher {
    usage: Option<Usage>,
    stopped: bool,
}

impl Watcher for EventWatcher {
    fn event(&mut self, seen: &SseEvent) -> Watch {
        let Ok(text) = std::str::from_utf8(&seen.data) else { return Watch::Garbage };
        match text.trim() {
            "" => return Watch::Forward,
            "[DONE]" => return Watch::Last,
            _ => {}
        }
        let Ok(members) = Members::find(text, &["type", "usage", "error"]) else { return Watch::Garbage };
        if members.get("error").is_some_and(|error| error != "null")
            && let Some(error) = error::in_stream(text)
        {
            return Watch::Failed(error);
        }
        match members.read::<WireUsage>("usage") {
            Ok(Some(usage)) => self.usage = Some(Usage::from(&usage)),
            Ok(None) => {}
            Err(_) => return Watch::Garbage,
        }
        // `image_generation.completed` and `image_edit.completed`; the server closes the stream after it.
        self.stopped |= members.get("type").is_some_and(|kind| kind.ends_with(".completed\""));
        Watch::Forward
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The bytes of a picture say nothing about its price.
    fn content_bytes(&self) -> u64 {
        0
    }

    fn stopped(&self) -> bool {
        self.stopped
    }
}

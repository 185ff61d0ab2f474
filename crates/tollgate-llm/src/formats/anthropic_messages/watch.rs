//! A stream that passes unchanged: usage is read from `message_start` and `message_delta`.

use serde::Deserialize;
use tollgate_core::usage::Usage;

use super::error;
use super::usage::WireUsage;
use crate::formats::{Watch, Watcher};
use crate::json::Members;
use crate::sse::SseEvent;

#[derive(Default)]
pub(super) struct EventWatcher {
    usage: Option<WireUsage>,
    content_bytes: u64,
    stopped: bool,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    usage: Option<WireUsage>,
}

impl EventWatcher {
    fn update(&mut self, later: Option<WireUsage>) {
        if let Some(later) = later {
            self.usage = Some(self.usage.take().unwrap_or_default().updated(later));
        }
    }
}

impl Watcher for EventWatcher {
    fn event(&mut self, seen: &SseEvent) -> Watch {
        let Ok(text) = std::str::from_utf8(&seen.data) else { return Watch::Garbage };
        if text.is_empty() {
            return Watch::Forward;
        }
        let Ok(members) = Members::find(text, &["type", "message", "usage", "delta"]) else {
            return Watch::Garbage;
        };
        let read = match members.get("type") {
            Some("\"message_start\"") => {
                members.read::<Start>("message").map(|start| self.update(start.and_then(|s| s.usage)))
            }
            Some("\"message_delta\"") => {
                self.stopped = true;
                members.read::<WireUsage>("usage").map(|usage| self.update(usage))
            }
            Some("\"message_stop\"") => return Watch::Last,
            Some("\"error\"") => return Watch::Failed(error::read(0, text.as_bytes())),
            Some("\"content_block_delta\"") => {
                // `{"type":"text_delta","text":""}` is frame, the rest content.
                const FRAME: usize = 31;
                let delta = members.get("delta").map_or(0, str::len);
                self.content_bytes += delta.saturating_sub(FRAME) as u64;
                Ok(())
            }
            Some(_) => Ok(()),
            None => return Watch::Garbage,
        };
        if read.is_ok() { Watch::Forward } else { Watch::Garbage }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage.as_ref().map(Usage::from)
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    fn stopped(&self) -> bool {
        self.stopped
    }
}

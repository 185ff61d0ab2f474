//! For formats whose answers are always whole: a stream is no answer of theirs.

use tollgate_core::usage::Usage;

use super::{Watch, Watcher};
use crate::sse::SseEvent;

pub(super) struct Unstreamed;

impl Watcher for Unstreamed {
    fn event(&mut self, _: &SseEvent) -> Watch {
        Watch::Garbage
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn content_bytes(&self) -> u64 {
        0
    }

    fn stopped(&self) -> bool {
        false
    }
}

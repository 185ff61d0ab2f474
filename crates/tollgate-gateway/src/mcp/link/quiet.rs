//! How long a server that was asked something may say nothing.

use tokio::time::Instant;
use tollgate_core::config::snapshot::Timeouts;

use super::{Heard, LinkError};

/// For how long a server that was asked something has said nothing.
#[derive(Debug)]
pub(super) struct Quiet {
    since: Instant,
    /// Whether it has not begun to answer.
    first: bool,
    /// Whether it has asked something itself, and may wait for somebody to think.
    waits: bool,
}

impl Quiet {
    /// It is asked now.
    pub(super) fn begins() -> Self {
        Self { since: Instant::now(), first: true, waits: false }
    }

    /// It has said `heard`.
    pub(super) fn heard(&mut self, heard: &Heard) {
        let waits = self.waits || matches!(heard, Heard::Request(_));
        *self = Self { since: Instant::now(), first: false, waits };
    }

    /// Resolves when it has said nothing for longer than it may; never, where it waits itself.
    pub(super) async fn too_long(&self, timeouts: &Timeouts) -> LinkError {
        if self.waits {
            return std::future::pending().await;
        }
        let (limit, what, setting) = if self.first {
            (timeouts.first_byte, "the server did not begin to answer", "first_byte_ms")
        } else {
            (timeouts.idle, "the server's answer did not go on", "idle_ms")
        };
        tokio::time::sleep_until(self.since + limit).await;
        LinkError::TooLate { what, limit, setting }
    }
}
